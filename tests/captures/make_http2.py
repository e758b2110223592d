"""Makes http2.pcapng, and tshark's view of it: HTTP/2 in the clear and inside TLS 1.3.

testbed run tests/captures/make_http2.py
python tests/captures/make_http2.py runs/make_http2-…/scenarios/main

The capture has the client's secrets inside. Needs tshark.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.dissect import http2
from testbed import Experiment
from testbed.daemons import certificates, start
from testbed.daemons.certificates import Certificate
from testbed.daemons.nginx import Nginx
from topologies.line import Line

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork, ScenarioData

HERE = Path(__file__).parent
CAPTURE = "h1-eth0"
NAME = "www.example.org"
SITE = """
server {{
  listen 80 http2;
  listen 443 ssl http2;
  root /srv;
  ssl_protocols TLSv1.3;
  ssl_certificate {0.chain};
  ssl_certificate_key {0.key};
  location = /moved {{
    return 301 /page.txt;
  }}
}}
"""
FIELDS = (
    *("frame.number", "tcp.stream", "http2.type", "http2.streamid", "http2.length"),
    *("http2.headers.method", "http2.headers.path", "http2.headers.status"),
)


class Exchange(Experiment):
    """Requests over HTTP/2: in the clear with prior knowledge, and in TLS 1.3."""

    @dataclass(frozen=True)
    class Parameters:
        """None."""

    programs = ("nginx", "curl", "nghttp")

    def topology(self) -> Line:
        """h1 and h2 with two routers between them."""
        return Line(2)

    def run(self, net: RunningNetwork) -> None:
        """By curl in the clear and in TLS, then by nghttp, which also sends priorities."""
        Path("/srv/page.txt").write_text("a page\n" * 100)
        own = Certificate("www", NAME, names=(NAME,), key="p256")
        made = certificates.make(net, "h2", [own])["www"]
        start(net, {"h2": [Nginx(SITE.format(made))]})
        net.capture(CAPTURE)
        server, environment = net.address("h2"), {"SSLKEYLOGFILE": certificates.key_log(net, "h1")}
        for scheme, port, option in (
            ("http", 80, "--http2-prior-knowledge"),
            ("https", 443, "--http2"),
        ):
            urls = [f"{scheme}://{server}:{port}/{name}" for name in ("page.txt", "moved", "none")]
            argv = ("curl", "--silent", "--insecure", option, *urls)
            net.start("h1", *argv, environment=environment).wait(30)
        net.exec("h1", "nghttp", "--null-out", f"http://{server}:80/page.txt")
        net.sleep(1)

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """The frames."""
        return {"frames": http2.read(data.packets(CAPTURE, http2.COLUMNS))}


def main(scenario: Path) -> None:
    """Copies the client's capture and asks tshark."""
    capture = HERE / "http2.pcapng"
    shutil.copy(scenario / "captures" / f"{CAPTURE}.pcapng", capture)
    fields = [word for name in FIELDS for word in ("-e", name)]
    argv = ["tshark", "-n", "-r", str(capture), "-d", "tcp.port==80,http2", "-Y", "http2"]
    argv += ["-T", "fields", "-E", "header=y", "-E", "aggregator=;", *fields]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    (HERE / "http2.tsv").write_text(done.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
