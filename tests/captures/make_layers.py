"""Makes layers.pcap (one packet of every kind the reader decodes) and tshark's view of it.

    python tests/captures/make_layers.py

Needs scapy and tshark; the results are kept, so that the tests need neither.
"""

# mypy: ignore-errors
# Scapy makes its names at run time.

from __future__ import annotations

import subprocess
from pathlib import Path

from scapy.all import (
    ARP,
    GRE,
    ICMP,
    IP,
    LLC,
    STP,
    TCP,
    UDP,
    Dot1AD,
    Dot1Q,
    Dot3,
    Ether,
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6PacketTooBig,
    IPOption_RR,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    Raw,
    RouterAlert,
    wrpcap,
)  # fmt: skip

HERE = Path(__file__).parent

FIELDS = (
    "frame.number", "frame.len", "frame.cap_len", "frame.time_epoch", "eth.dst", "eth.src",
    "eth.type", "ieee8021ad.id",
    "ieee8021ad.priority", "vlan.id", "vlan.priority", "vlan.etype", "arp.opcode", "arp.src.hw_mac",
    "arp.src.proto_ipv4", "arp.dst.hw_mac", "arp.dst.proto_ipv4", "ip.version", "ip.src", "ip.dst",
    "ip.proto", "ip.len", "ip.hdr_len", "ip.ttl", "ip.dsfield.dscp", "ip.dsfield.ecn", "ip.id",
    "ip.flags.df", "ip.flags.mf", "ip.frag_offset", "ip.checksum.status", "ipv6.version",
    "ipv6.src", "ipv6.dst", "ipv6.plen", "ipv6.hlim", "ipv6.flow", "ipv6.tclass.dscp",
    "ipv6.tclass.ecn", "ipv6.fraghdr.ident", "ipv6.fraghdr.offset", "ipv6.fraghdr.more",
    "icmp.type", "icmp.code", "icmp.ident", "icmp.seq", "icmp.mtu", "icmp.redir_gw",
    "icmpv6.type", "icmpv6.code",
    "icmpv6.echo.identifier", "icmpv6.echo.sequence_number", "icmpv6.mtu",
    "icmpv6.nd.ns.target_address", "icmpv6.nd.na.target_address", "udp.srcport", "udp.dstport",
    "udp.length", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags",
    "tcp.window_size_value", "tcp.urgent_pointer", "tcp.hdr_len", "tcp.len",
    "tcp.options.mss_val", "tcp.options.wscale.shift", "tcp.options.sack_perm",
    "tcp.options.timestamp.tsval", "tcp.options.timestamp.tsecr", "tcp.options.sack.count",
    "tcp.options.sack_le", "tcp.options.sack_re",
)  # fmt: skip


def tcp(flags: str, options: list[tuple[str, object]], payload: bytes = b"", **fields: int) -> Raw:
    """A TCP segment between two fixed ports."""
    segment = TCP(sport=40000, dport=443, flags=flags, options=options, **fields)
    return segment / Raw(payload) if payload else segment


def packets() -> list[Raw]:
    """The packets, oldest first."""
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    four = ether / IP(src="10.0.0.1", dst="10.0.1.2", id=7, flags="DF")
    six = ether / IPv6(src="2001:db8::1", dst="2001:db8:1::2", fl=0x12345, tc=0xB9)
    stamp = ("Timestamp", (1000, 900))
    first = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (999, 0)), ("NOP", None), ("WScale", 7)]
    nops = [("NOP", None), ("NOP", None)]
    sacks = [*nops, stamp, *nops, ("SAck", (101, 201, 301, 401, 501, 601))]
    four_sacks = [*nops, ("SAck", (11, 21, 31, 41, 51, 61, 71, 81))]
    return [
        four / tcp("S", first, seq=4_000_000_000),
        four / tcp("SA", [("MSS", 1448), *nops, ("SAckOK", b"")], seq=5, ack=4_000_000_001),
        four / tcp("A", [*nops, stamp], seq=4_000_000_001, ack=6, window=502),
        four / tcp("PA", [*nops, stamp], b"x" * 700, seq=4_000_000_001, ack=6),
        four / tcp("A", sacks, seq=6, ack=101),
        four / tcp("A", four_sacks, seq=6, ack=11),
        four / tcp("PAUEC", [], b"urgent", seq=9, ack=11, urgptr=3),
        four / tcp("R", [], seq=9),
        four / tcp("FA", [("EOL", None)], seq=9),
        (four / tcp("A", [], seq=1)).build().ljust(60, b"\0"),
        four / UDP(sport=5000, dport=5001) / Raw(b"hello"),
        four / UDP(sport=5000, dport=5001),
        ether / IP(src="10.0.0.1", dst="10.0.1.2", tos=0xBB, ttl=1) / UDP(sport=1, dport=2),
        ether / IP(src="10.0.0.1", dst="10.0.1.2", options=[IPOption_RR(length=7)])
        / UDP(sport=3, dport=4) / Raw(b"options"),
        ether / IP(src="10.0.0.1", dst="10.0.1.2", chksum=1) / UDP(sport=5, dport=6),
        ether / IP(src="10.0.0.1", dst="10.0.1.2", id=99, flags="MF", proto=17)
        / Raw(UDP(sport=7, dport=8, len=32).build() + b"f" * 16),
        ether / IP(src="10.0.0.1", dst="10.0.1.2", id=99, frag=3, proto=17) / Raw(b"f" * 8),
        four / ICMP(type=8, id=77, seq=3) / Raw(b"ping"),
        four / ICMP(type=3, code=4, nexthopmtu=1400) / IP(src="10.0.1.2", dst="10.0.0.1")
        / Raw(b"12345678"),
        four / ICMP(type=5, code=1, gw="10.0.0.254") / IP(src="10.0.0.1", dst="10.0.1.2")
        / Raw(b"12345678"),
        four / ICMP(type=11) / IP(src="10.0.1.2", dst="10.0.0.1") / Raw(b"12345678"),
        ether / ARP(op=1, hwsrc="02:00:00:00:00:01", psrc="10.0.0.1", pdst="10.0.0.9"),
        ether / ARP(op=2, hwsrc="02:00:00:00:00:09", psrc="10.0.0.9",
                    hwdst="02:00:00:00:00:01", pdst="10.0.0.1"),
        ether / Dot1Q(vlan=42, prio=5) / IP(src="10.0.2.1", dst="10.0.2.2") / tcp("S", first),
        ether / Dot1AD(vlan=100, prio=1) / Dot1Q(vlan=200) / IP(src="10.0.2.1", dst="10.0.2.2")
        / UDP(sport=9, dport=10),
        six / tcp("S", first, seq=77),
        six / tcp("PA", [*nops, stamp], b"six", seq=78, ack=1),
        six / UDP(sport=11, dport=12) / Raw(b"udp"),
        six / ICMPv6EchoRequest(id=5, seq=6, data=b"echo"),
        six / ICMPv6ND_NS(tgt="fe80::9"),
        six / ICMPv6ND_NA(tgt="fe80::9"),
        six / ICMPv6PacketTooBig(mtu=1280) / IPv6(src="::1", dst="::2") / Raw(b"12345678"),
        six / ICMPv6DestUnreach() / IPv6(src="::1", dst="::2") / Raw(b"12345678"),
        six / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6MLReport2(),
        six / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting(addresses=["2001:db8::7"])
        / UDP(sport=13, dport=14) / Raw(b"chain"),
        six / IPv6ExtHdrFragment(id=0xABCDEF, m=1, nh=17)
        / Raw(UDP(sport=15, dport=16, len=24).build() + b"f" * 8),
        six / IPv6ExtHdrFragment(id=0xABCDEF, offset=2, nh=17) / Raw(b"f" * 8),
        six / IPv6ExtHdrHopByHop() / tcp("A", [*nops, stamp], b"deep", seq=1),
        ether / IP(src="10.0.0.1", dst="224.0.0.5", proto=89, ttl=1)
        / Raw(b"\2\1\0\x2c" + bytes(40)),
        four / GRE() / IP(src="1.1.1.1", dst="2.2.2.2") / UDP(),
        Dot3(src="02:00:00:00:00:03", dst="01:80:c2:00:00:00") / LLC() / STP(),
        Ether(src="02:00:00:00:00:03", dst="01:80:c2:00:00:0e", type=0x88CC) / Raw(bytes(30)),
    ]  # fmt: skip


def main() -> None:
    """Writes the capture and the table."""
    made = [p if isinstance(p, bytes) else p.build() for p in packets()]
    frames = [Ether(raw) for raw in made]
    for number, frame in enumerate(frames):
        frame.time = 1_700_000_000 + number * 0.123456
    capture = HERE / "layers.pcap"
    wrpcap(str(capture), frames)
    fields = [word for name in FIELDS for word in ("-e", name)]
    options = ["ip.check_checksum:TRUE", "ip.defragment:FALSE", "ipv6.defragment:FALSE",
               "tcp.relative_sequence_numbers:FALSE"]  # fmt: skip
    settings = [word for option in options for word in ("-o", option)]
    argv = ["tshark", "-n", "-r", str(capture), *settings, "-T", "fields", "-E", "header=y"]
    argv += ["-E", "occurrence=a", "-E", "aggregator=;", *fields]
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    (HERE / "layers.tsv").write_text(text)


if __name__ == "__main__":
    main()
