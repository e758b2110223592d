# mypy: ignore-errors
# Scapy makes its names at run time.
"""Makes applications.pcap (DNS, DHCP, HTTP, TLS) and tshark's view of it.

    python tests/captures/make_applications.py

Needs scapy and tshark. The client hello is OpenSSL's own and changes with every run.
"""

from __future__ import annotations

import ssl
import struct
import subprocess
from pathlib import Path

from scapy.all import (
    BOOTP,
    DHCP,
    DNS,
    DNSQR,
    DNSRR,
    DNSRRMX,
    IP,
    TCP,
    UDP,
    Ether,
    IPv6,
    Raw,
    wrpcap,
)  # fmt: skip

HERE = Path(__file__).parent
FIELDS = (
    "frame.number", "dns.id", "dns.flags.response", "dns.flags.rcode", "dns.qry.name",
    "dns.qry.type", "dns.count.answers", "dns.a", "dns.aaaa", "dns.cname", "dns.resp.ttl",
    "dhcp.option.dhcp", "dhcp.id", "dhcp.ip.your", "dhcp.option.requested_ip_address",
    "dhcp.option.dhcp_server_id", "dhcp.option.ip_address_lease_time", "dhcp.option.subnet_mask",
    "dhcp.option.router", "dhcp.option.hostname", "http.request.method", "http.request.uri",
    "http.host", "http.response.code", "http.content_length_header",
    "tls.handshake.type", "tls.handshake.extensions_server_name",
    "tls.handshake.extensions_alpn_str", "tls.handshake.ciphersuite",
)  # fmt: skip


def client_hello() -> bytes:
    """What OpenSSL sends first."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname="www.example.org")
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("the handshake cannot end without a server")


def server_hello() -> bytes:
    """A TLS 1.3 server hello: cipher 0x1301, version by its extension."""
    extensions = struct.pack(">HHH", 43, 2, 0x0304)
    body = b"\3\3" + bytes(range(32)) + b"\0" + b"\x13\x01" + b"\0"
    body += struct.pack(">H", len(extensions)) + extensions
    message = b"\2" + len(body).to_bytes(3, "big") + body
    return b"\x16\3\3" + struct.pack(">H", len(message)) + message


def packets() -> list[Ether]:
    """The packets, oldest first."""
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    ask, answer = UDP(sport=40000, dport=53), UDP(sport=53, dport=40000)
    four = ether / IP(src="10.0.0.1", dst="10.0.0.53")
    six = ether / IPv6(src="2001:db8::1", dst="2001:db8::53")
    name = "www.example.org."
    answers = [
        DNSRR(rrname=name, type="CNAME", ttl=60, rdata="web.example.org."),
        DNSRR(rrname="web.example.org.", type="A", ttl=30, rdata="192.0.2.7"),
    ]
    dora = [("discover", []), ("offer", [("lease_time", 3600), ("subnet_mask", "255.255.255.0"),
            ("router", "10.0.0.254")]), ("request", [("requested_addr", "10.0.0.5")]),
            ("ack", [("lease_time", 3600), ("renewal_time", 1800)])]  # fmt: skip
    made = [
        four / ask / DNS(id=7, qd=DNSQR(qname=name)),
        four / answer / DNS(id=7, qr=1, aa=1, qd=DNSQR(qname=name), an=answers),
        six / ask / DNS(id=8, qd=DNSQR(qname=name, qtype="AAAA")),
        six / answer / DNS(id=8, qr=1, qd=DNSQR(qname=name, qtype="AAAA"),
                           an=DNSRR(rrname=name, type="AAAA", ttl=5, rdata="2001:db8::7")),
        four / ask / DNS(id=9, qd=DNSQR(qname="no.example.org.")),
        four / answer / DNS(id=9, qr=1, rcode=3, qd=DNSQR(qname="no.example.org.")),
        four / answer / DNS(id=10, qr=1, qd=DNSQR(qname="example.org.", qtype="MX"),
                            an=DNSRRMX(rrname="example.org.", preference=10,
                                       exchange="mail.example.org.")),
    ]  # fmt: skip
    for kind, options in dora:
        client = kind in {"discover", "request"}
        ports = (68, 67) if client else (67, 68)
        made.append(
            ether / IP(src="0.0.0.0" if client else "10.0.0.254", dst="255.255.255.255")
            / UDP(sport=ports[0], dport=ports[1])
            / BOOTP(op=1 if client else 2, xid=0x1234, yiaddr="0.0.0.0" if client else "10.0.0.5",
                    chaddr=bytes.fromhex("020000000001"))
            / DHCP(options=[("message-type", kind), ("server_id", "10.0.0.254"), *options,
                            ("hostname", b"h1"), "end"])
        )  # fmt: skip
    web = ether / IP(src="10.0.0.1", dst="10.0.0.80")
    get = b"GET /index.html?a=1 HTTP/1.1\r\nHost: www.example.org\r\nAccept: */*\r\n\r\n"
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/html\r\n\r\nhello"
    segment = {"seq": 1, "ack": 1, "flags": "PA"}
    return [
        *made,
        web / TCP(sport=40001, dport=80, **segment) / Raw(get),
        web / TCP(sport=80, dport=40001, **segment) / Raw(page),
        web / TCP(sport=40002, dport=443, **segment) / Raw(client_hello()),
        web / TCP(sport=443, dport=40002, **segment) / Raw(server_hello()),
    ]


def main() -> None:
    """Writes the capture and the table."""
    frames = [Ether(packet.build()) for packet in packets()]
    for number, frame in enumerate(frames):
        frame.time = 1_700_000_000 + number * 0.001
    capture = HERE / "applications.pcap"
    wrpcap(str(capture), frames)
    words = [word for field in FIELDS for word in ("-e", field)]
    argv = ["tshark", "-n", "-r", str(capture), "-T", "fields", "-E", "header=y"]
    argv += ["-E", "aggregator=;", *words]
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    (HERE / "applications.tsv").write_text(text)


if __name__ == "__main__":
    main()
