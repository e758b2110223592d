"""What runs over TCP and over UDP: eight old protocols of the application layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from testbed import (
    Action,
    LinkShape,
    Tables,
    Verdict,
    all_of,
    at_least,
    claim,
    filter_packets,
    in_order,
    nothing,
    param,
    pick,
    program,
    same,
    steps,
    unfilter,
)
from testbed.daemons import accounts, start
from testbed.daemons.atftpd import Atftpd
from testbed.daemons.dnsmasq import Dnsmasq
from testbed.daemons.dovecot import Dovecot
from testbed.daemons.exim import Exim
from testbed.daemons.nginx import Nginx
from testbed.daemons.snmpd import Snmpd
from testbed.daemons.telnetd import Telnetd
from testbed.daemons.vsftpd import Vsftpd
from topologies.line import Line

from . import payloads
from .datagrams import Datagrams
from .files import Files
from .mail import Mail
from .requests import Requests

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData
    from testbed.daemons import Daemon

CLIENT, PATH = "h1-eth0", "r1-eth1"
"""Where packets are captured: at the client, and on the path."""

ACK = 0x10
"""The flag alone."""

KNOWN_PORTS = {
    "ftp-active": ("tcp", 21),
    "telnet": ("tcp", 23),
    "smtp": ("tcp", 25),
    "http-1.1": ("tcp", 80),
    "pop3": ("tcp", 110),
    "dns": ("udp", 53),
    "tftp": ("udp", 69),
    "snmp": ("udp", 161),
}
"""Step → the transport and port of its server (the registry of RFC 6335)."""

NAME = "www.example.org"
OBJECT = "1.3.6.1.2.1.1.6.0"
"""sysLocation (RFC 3418)."""

LOGIN = f"{accounts.USER}:{accounts.PASSWORD}"
LETTER = """\
From: bob@example.org
To: alice@example.org
Subject: {subject}

{subject}: meet me at nine.
.the line that begins with a dot
"""

TCP_BYTES, TIMESTAMPS_BYTES, UDP_BYTES = 20, 12, 8
"""Headers: TCP's without options, its timestamps with their padding (RFC 7323), UDP's."""

KEYS = "echo hi\n"
"""What the user of Telnet types, key by key, once logged in."""

FAULTS = tuple(
    (
        "none no-timestamps dns-over-tcp swapped-ftp anonymous raw-client refused keep-alive close "
        "no-pipeline one-connection wrong-community big-blocks no-loss port-8080 wrong-password"
    ).split()
)


class TcpApplications(Files, Mail, Requests, Datagrams):
    """Eight application protocols: what they say over TCP and over UDP.

    h1 is the client and h2 the server of each: FTP (active and passive, and through a firewall),
    Telnet, SMTP, POP3 and HTTP over TCP; DNS, SNMP and TFTP over UDP. A capture at r1 shows what
    anyone on the path can read. One block of TFTP is lost, so TFTP has to do what TCP does for
    the others.

    Servers: vsftpd, inetutils' telnetd, Exim, Dovecot, nginx, dnsmasq, Net-SNMP, atftpd. Clients:
    curl, telnet, mpop, kdig, snmpget, atftp. `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(10.0, "delay of the path, one way", unit="ms", low=0, high=1000)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = (
        *("vsftpd", "telnetd", "exim4", "dovecot", "nginx", "dnsmasq", "snmpd", "atftpd"),
        *("curl", "telnet", "mpop", "kdig", "snmpget", "atftp", "socat", "nft"),
    )

    # ---- in the network

    def topology(self) -> Line:
        """h1 and h2 in LANs of their own, two routers between them."""
        return Line(2, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """Starts all servers on h2, then one client after another on h1."""
        _write_files()
        if "no-timestamps" in self.params.faults:
            net.sysctl("h1", "net.ipv4.tcp_timestamps", 0)
        start(net, {"h2": self._servers(net.address("h2"))})
        net.capture(CLIENT, PATH)
        steps.play(net, self._steps(net.address("h2")), quiet_s=1.0)
        net.sleep(1.0)

    def _servers(self, address: str) -> list[Daemon]:
        return [
            Vsftpd(),
            Telnetd(),
            Exim(),
            Dovecot(),
            Nginx(_SITE.replace("PORT", str(self._http_port)), {"users": _USERS}, self._http_port),
            Dnsmasq((f"address=/{NAME}/{address}",)),
            Snmpd(accounts.PASSWORD, ("sysLocation Rack 3",)),
            Atftpd("/srv"),
        ]

    @property
    def _http_port(self) -> int:
        return 8080 if "port-8080" in self.params.faults else 80

    def _steps(self, server: str) -> dict[str, Action]:
        faults = self.params.faults
        swapped = "swapped-ftp" in faults
        active, passive = self._ftp(server, active=not swapped), self._ftp(server, active=swapped)
        firewall = filter_packets("r1", "forward", f'iifname "{PATH}" ct state new drop')
        return {
            "ftp-active": active,
            "ftp-passive": passive,
            "firewall-active": in_order(firewall, active),
            "firewall-passive": in_order(passive, unfilter("r1")),
            "telnet": self._telnet(server),
            "smtp": self._smtp(server),
            "pop3": _pop3(server),
            **self._http(f"http://{server}:{self._http_port}", server),
            "dns": self._dns(server),
            "snmp": self._snmp(server, "wrong-community" not in faults),
            "snmp-refused": self._snmp(server, False),
            "tftp": self._tftp(server, "long.bin", "no-loss" not in faults),
            "tftp-even": self._tftp(server, "even.bin", False),
        }

    def _ftp(self, server: str, *, active: bool) -> Action:
        """Two files, by one control connection."""
        mode = ("--ftp-port", "-", "--disable-eprt") if active else ("--disable-epsv",)
        user = "anonymous:guest" if "anonymous" in self.params.faults else LOGIN
        if "wrong-password" in self.params.faults:
            user += "?"
        curl = (*_CURL, "--max-time", "20", *mode, "--user", user)
        return program("h1", *curl, f"ftp://{server}/{{notes,list}}.txt")

    def _telnet(self, server: str) -> Action:
        """Logs in, and types a command key by key."""
        client = f"socat - TCP4:{server}:23" if "raw-client" in self.params.faults else ""
        lines = (f"{accounts.USER}\n", f"{accounts.PASSWORD}\n")
        typed = "; ".join(
            [f"sleep 1; printf '{line}'" for line in lines]
            + ["sleep 1"]
            + [f"printf '{key}'; sleep 0.2" for key in KEYS]
            + ["printf 'exit\\n'; sleep 1"]
        ).replace("\n", "\\n")
        return program("h1", "sh", "-c", f"({typed}) | {client or f'telnet {server}'}")

    def _smtp(self, server: str) -> Action:
        """Two letters, by one connection."""
        domain = "example.com" if "refused" in self.params.faults else "example.org"
        send = ("--user", LOGIN, "--mail-from", "bob@example.org")
        one, two = (
            (*_CURL, *send, "--mail-rcpt", f"alice@{domain}", "-T", f"/srv/{n}.eml")
            for n in ("one", "two")
        )
        url = f"smtp://{server}/h1"
        return program("h1", *one, url, "--next", *two[1:], url)

    def _http(self, site: str, server: str) -> dict[str, Action]:
        """Several requests, in each way there is."""
        faults = self.params.faults
        urls = [f"{site}/{page}.html" for page in ("one", "two", "three")]
        out = ["-o", "/dev/null", "-o", "/dev/null"]
        old = ("-H", "Connection: keep-alive") * ("keep-alive" in faults)
        new = ("-H", "Connection: close") * ("close" in faults)
        together = () if "one-connection" in faults else ("--parallel", "--parallel-immediate")
        get = "GET /{}.html HTTP/1.1\\r\\nHost: h2\\r\\n{}\\r\\n"
        pause = "sleep 1; " if "no-pipeline" in faults else ""
        last = get.format("two", "Connection: close\\r\\n")
        two = f"(printf '{get.format('one', '')}'; {pause}printf '{last}'; sleep 1)"
        if not pause:
            two = f"(printf '{get.format('one', '')}{last}'; sleep 1)"
        port = site.rsplit(":", 1)[1]
        return {
            "http-1.0": program("h1", *_CURL, *out, "--http1.0", *old, *urls),
            "http-1.1": program("h1", *_CURL, *out, *new, *urls),
            "http-pipelined": program("h1", "sh", "-c", f"{two} | socat - TCP4:{server}:{port}"),
            "http-parallel": program("h1", *_CURL, *out, *together, *urls),
            "http-login": program("h1", *_CURL, "--user", LOGIN, f"{site}/private/one.html"),
        }

    def _dns(self, server: str) -> Action:
        over = ("+tcp",) if "dns-over-tcp" in self.params.faults else ()
        return program("h1", "kdig", f"@{server}", *over, "+noedns", NAME, "A")

    def _snmp(self, server: str, knows: bool) -> Action:
        word = accounts.PASSWORD if knows else "public"
        ask = ("-v2c", "-c", word, "-t", "1", "-r", "1")
        return program("h1", "snmpget", *ask, server, OBJECT)

    def _tftp(self, server: str, file: str, lossy: bool) -> Action:
        options = ("--option", "blksize 1024") if "big-blocks" in self.params.faults else ()
        get = program("h1", "atftp", *options, "--get", "-r", file, "-l", "/tmp/got", server)
        # DATA, block 2, of whatever port: the first one of them alone
        lose = "meta l4proto udp @th,64,32 0x00030002 limit rate 1/day burst 1 packets drop"
        around = (filter_packets("r1", "forward", lose), get, unfilter("r1"))
        return in_order(*around) if lossy else in_order(nothing, get)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by step."""
        tables = steps.measure(data, ("payload", "tcp_header_bytes"), {"said": payloads.read})
        seen = tables["packets"]
        only_acknowledges = (seen["tcp_payload_bytes"] == 0) & (seen["tcp_flags"] == ACK)
        seen["speaks"] = ~only_acknowledges.fillna(False).astype(bool)
        return tables

    # ---- claims

    @claim(
        "Servers wait at well-known ports: FTP 21, Telnet 23, SMTP 25, HTTP 80 and POP3 110 over "
        "TCP; DNS 53, TFTP 69 and SNMP 161 over UDP.",
        source="RFC 6335 §6; RFC 959, 854, 5321, 9110, 1939, 1035, 1350, 3417",
    )
    def servers_wait_at_known_ports(self, tables: Tables) -> Verdict:
        """The first packet of each client."""
        first = {name: pick(tables, name, CLIENT, ip_proto={6, 17}).head(1) for name in KNOWN_PORTS}
        found = {name: _target(rows) for name, rows in first.items()}
        return same(found, KNOWN_PORTS, "ports").because("first packets", pd.concat(first.values()))

    @claim(
        "Over TCP three segments come before the first word, and the server may speak first; over "
        "UDP the first packet is the question.",
        source="RFC 9293 §3.5, RFC 768",
    )
    def tcp_connects_and_udp_asks(self, tables: Tables) -> Verdict:
        """Packets without data before the first one with data."""
        before = {}
        for name, (transport, _) in KNOWN_PORTS.items():
            seen = pick(tables, name, CLIENT, ip_proto={6, 17})
            spoken = seen[(seen["tcp_payload_bytes"] > 0) | (seen["udp_bytes"] > UDP_BYTES)]
            before[name] = (transport, int((seen["frame"] < spoken["frame"].min()).sum()))
        wanted = {n: (t, 3 if t == "tcp" else 0) for n, (t, _) in KNOWN_PORTS.items()}
        firsts = {n: pick(tables, n, CLIENT, ip_proto={6, 17}).head(4) for n in ("smtp", "dns")}
        return same(before, wanted, "packets before").because(
            "SMTP and DNS", pd.concat(firsts.values())
        )

    @claim(
        "A TCP header has 20 bytes plus options, here 12 for timestamps; a UDP header has 8.",
        source="RFC 9293 §3.1, RFC 7323 §3, RFC 768",
    )
    def headers_have_their_sizes(self, tables: Tables) -> Verdict:
        """All segments behind the handshakes, and all datagrams."""
        seen = tables.of("packets", capture=CLIENT)
        segments = seen[seen["tcp_payload_bytes"] > 0]
        datagrams = seen[seen["udp_bytes"].notna()]
        udp = datagrams["udp_bytes"] - datagrams["payload"].map(len)
        return all_of(
            at_least(len(segments), 50, unit="segments"),
            same(
                set(segments["tcp_header_bytes"].astype(int)),
                {TCP_BYTES + TIMESTAMPS_BYTES},
                "bytes of TCP",
            ),
            same(set(udp.astype(int)), {UDP_BYTES}, "bytes of UDP"),
        ).because("the first of each", pd.concat([segments.head(1), datagrams.head(1)]))

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, str]:
        """One ladder for each protocol, as the client saw it, without mere acknowledgements.

        Figures:
            01_ftp_active: The client sends PORT with an address and a port of its own; for each
                file the server connects to it, from port 20.
            02_ftp_passive: After PASV the client connects, to the port in the reply 227.
            03_telnet: First both ends agree on options; then each key is a segment, and comes back.
            04_smtp: A greeting, then commands and three-digit replies; only DATA carries the
                letter.
            05_pop3: The same letters on their way to their reader, after USER and PASS.
            06_http_1_0: A connection for each page.
            07_http_1_1: One connection for three pages, one after another.
            08_dns: One question, one answer, no connection.
            09_snmp: Just as simple. The community is the only protection, and it can be read.
            10_tftp: A block, its acknowledgement, the next block. Block 2 is lost: after five
                seconds both ends repeat their last message.
        """
        return {
            "01_ftp_active": _ladder(tables, "ftp-active"),
            "02_ftp_passive": _ladder(tables, "ftp-passive"),
            "03_telnet": _ladder(tables, "telnet"),
            "04_smtp": _ladder(tables, "smtp"),
            "05_pop3": _ladder(tables, "pop3"),
            "06_http_1_0": _ladder(tables, "http-1.0"),
            "07_http_1_1": _ladder(tables, "http-1.1"),
            "08_dns": _ladder(tables, "dns"),
            "09_snmp": _ladder(tables, "snmp"),
            "10_tftp": _ladder(tables, "tftp"),
        }


def _ladder(tables: Tables, step: str) -> str:
    return steps.ladder(
        tables, step, CLIENT, hosts=("h1", "h2"), keep=40, ip_proto={6, 17}, speaks=True
    )


def _write_files() -> None:
    """What h2 serves; written now, so that its dates are the run's."""
    folder = Path("/srv")
    (folder / "private").mkdir()
    for page in ("one", "two", "three", "private/one"):
        (folder / f"{page}.html").write_text(f"<h1>Page {page}</h1>\n")
    for name, size in (("notes.txt", 3000), ("list.txt", 500)):
        for place in (folder, accounts.HOME):
            (place / name).write_text("x" * size)
    (folder / "long.bin").write_bytes(bytes(1300))
    (folder / "even.bin").write_bytes(bytes(1024))
    for name in ("one", "two"):
        text = LETTER.format(subject=f"Letter {name}").replace("\n", "\r\n")
        (folder / f"{name}.eml").write_text(text, newline="")


def _pop3(server: str) -> Action:
    """Fetches all letters."""
    who = ("--user=alice", f"--passwordeval=echo {accounts.PASSWORD}", "--auth=user", "--tls=off")
    where = ("--delivery=mbox,/tmp/inbox", "--uidls-file=/tmp/uidls", "--received-header=off")
    return program("h1", "mpop", f"--host={server}", *who, *where, "--pipelining=off")


def _target(first: pd.DataFrame) -> tuple[str, int] | None:
    """Transport and port of the packet."""
    if first.empty:
        return None
    packet = first.iloc[0]
    transport = "tcp" if packet["ip_proto"] == 6 else "udp"
    return transport, int(packet[f"{transport}_dport"])


_CURL = ("curl", "--silent", "--show-error", "-o", "/dev/null")

_SITE = """
server {
  listen PORT;
  root /srv;
  location /private/ {
    auth_basic "private";
    auth_basic_user_file {configs}/users;
  }
}
"""

_USERS = f"{accounts.USER}:{{PLAIN}}{accounts.PASSWORD}\n"
