"""HTTP/3 of nginx, as aioquic's client and curl use it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from analysis.dissect import http3
from testbed import Experiment, LinkShape, all_of, claim, pick, program, same, steps
from testbed.daemons import certificates, start
from testbed.daemons.certificates import Certificate, key_log
from testbed.daemons.http3 import Http3Client
from testbed.daemons.nginx import Nginx
from topologies.line import Line

NAME, TEXT = "www.example.org", "rosebud " * 1000
CERTIFICATES = (
    Certificate("root", "Example Root", ca=True, key="p256"),
    Certificate("www", NAME, issuer="root", names=(NAME,), key="p256"),
)
SITE = """
server {
  listen 443 quic;
  listen 443 ssl;
  root /srv;
  ssl_certificate CHAIN;
  ssl_certificate_key KEY;
}
"""
CLIENTS = ("aioquic", "curl")


class NginxHttp3(Experiment):
    """HTTP/3 of nginx."""

    @dataclass(frozen=True)
    class Parameters:
        """None."""

    programs = ("nginx", "curl")
    extras = ("quic", "tls")

    def topology(self):
        return Line(2, LinkShape(delay_ms=5))

    def run(self, net):
        Path("/srv/page").write_text(TEXT)
        made = certificates.make(net, "h2", CERTIFICATES)
        root, www = made["root"].certificate, made["www"]
        site = SITE.replace("CHAIN", str(www.chain)).replace("KEY", str(www.key))
        client = Http3Client(net, "h1", net.address("h2"), NAME, root)
        start(net, {"h2": [Nginx(site, port=443)], "h1": [client]})
        words = ("--http3-only", "--cacert", str(root), "--resolve")
        words += (
            f"{NAME}:443:{net.address('h2')}",
            "--output",
            "/dev/null",
            f"https://{NAME}/page",
        )
        curl = program("h1", "env", f"SSLKEYLOGFILE={key_log(net, 'h1')}", "curl", "-sS", *words)
        net.capture("h1-eth0")
        steps.play(net, {"aioquic": client.do(paths=[["/page"]]), "curl": curl}, quiet_s=0.3)

    def measure(self, data):
        def read(packets):
            return http3.read(packets).assign(info=None)

        return steps.measure(data, http3.COLUMNS, {"http3": read})

    @claim(
        "Both clients get the file over HTTP/3, and all of it can be read in the capture.",
        source="RFC 9114 §4.1",
    )
    def both_get_the_file(self, tables):
        found = {
            name: pick(tables, name, "h1-eth0", table="http3", from_client=False)
            for name in CLIENTS
        }
        read = {
            name: (
                [int(code) for code in rows["status"].dropna()],
                int(rows.loc[rows["type"] == "DATA", "payload_bytes"].sum()),
            )
            for name, rows in found.items()
        }
        return all_of(same(read, dict.fromkeys(CLIENTS, ([200], len(TEXT))), "status, bytes"))
