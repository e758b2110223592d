"""The table of columns: one row per packet column, with type, unit and meaning.

The documentation page is made from this table by `testbed capture columns`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    import pandas as pd

NUMPY = "numpy"
MASKED = "masked"
CATEGORY = "category"
BYTES = "bytes"


@dataclass(frozen=True)
class Column:
    """One column of the packet table.

    Attributes:
        layer: the header it comes from; the column is null in packets without it.
        name: as in the DataFrame.
        dtype: pandas' name: a lower-case integer is never null, `UInt16` may be.
        unit: ``bytes``, ``ns``, or empty.
        meaning: one line, with Wireshark's field where the names differ much.
    """

    layer: str
    name: str
    dtype: str
    unit: str
    meaning: str

    @property
    def kind(self) -> str:
        """How it is stored: `NUMPY`, `MASKED`, `CATEGORY` or `BYTES`."""
        if self.dtype in {CATEGORY, BYTES}:
            return self.dtype
        return MASKED if self.dtype[0].isupper() or self.dtype == "boolean" else NUMPY


def _table(layer: str, text: str) -> list[Column]:
    """Columns from lines of `name | dtype | unit | meaning`."""
    rows = (line.split("|") for line in text.strip().splitlines())
    return [Column(layer, *(cell.strip() for cell in row)) for row in rows]


_ALL = [
    *_table("frame", """
        frame          | int64    |       | 1-based number, as Wireshark shows it
        time_ns        | int64    | ns    | time since the Unix epoch; 0 if the file has none
        wire_bytes     | uint32   | bytes | length on the wire
        captured_bytes | uint32   | bytes | length kept in the capture (snapped)
        interface      | category |       | capture interface: its name, or its number (pcapng)
        protocol       | category |       | highest header recognised: TCP, UDP, ARP, OSPF, ...
        malformed      | bool     |       | a header contradicts itself, its carrier or the wire
        problem        | category |       | what is malformed, in words
    """),
    *_table("Ethernet", """
        eth_dst        | category |       | destination MAC address
        eth_src        | category |       | source MAC address (Linux cooked: the sender's)
        eth_type       | UInt16   |       | EtherType behind VLAN tags; null in 802.3 frames
        vlan_id        | UInt16   |       | outermost VLAN
        vlan_pcp       | UInt8    |       | outermost VLAN's priority
        vlan_inner_id  | UInt16   |       | VLAN of the second tag
    """),
    *_table("ARP", """
        arp_op         | UInt16   |       | 1 request, 2 reply
        arp_sender_mac | category |       | sender's hardware address
        arp_sender_ip  | category |       | sender's protocol address
        arp_target_mac | category |       | target's hardware address
        arp_target_ip  | category |       | target's protocol address
    """),
    *_table("IP", """
        ip_version     | UInt8    |       | 4 or 6
        ip_src         | category |       | source address, IPv4 or IPv6
        ip_dst         | category |       | destination address, IPv4 or IPv6
        ip_proto       | UInt8    |       | transport protocol, behind IPv6 extension headers
        ip_bytes       | Int32    | bytes | length of the IP packet by its header
        ip_header_bytes| Int32    | bytes | IPv4: 4·ihl; IPv6: with extension headers
        ip_ttl         | UInt8    | hops  | time to live, hop limit
        ip_dscp        | UInt8    |       | differentiated services code point
        ip_ecn         | UInt8    |       | 0 not-ECT, 1 ECT(1), 2 ECT(0), 3 CE
        ip_id          | UInt32   |       | identification (IPv6: of the fragment header)
        ip_df          | boolean  |       | don't fragment (IPv4)
        ip_mf          | boolean  |       | more fragments
        ip_offset_bytes| Int32    | bytes | fragment offset
        ip_checksum_ok | boolean  |       | IPv4 header checksum is right; null if not captured
        ip6_flow_label | UInt32   |       | flow label
        ip6_extensions | category |       | extension headers in order, e.g. `hop-by-hop,fragment`
    """),
    *_table("ICMP", """
        icmp_type      | UInt8    |       | type (ICMP and ICMPv6)
        icmp_code      | UInt8    |       | code
        icmp_id        | UInt16   |       | identifier of an echo
        icmp_seq       | UInt16   |       | sequence number of an echo
        icmp_mtu       | UInt32   | bytes | MTU of fragmentation needed, packet too big
        icmp_gateway   | category |       | the better router a redirect names (IPv4)
        icmp6_target   | category |       | neighbour solicitation's, advertisement's target
    """),
    *_table("UDP", """
        udp_sport      | UInt16   |       | source port
        udp_dport      | UInt16   |       | destination port
        udp_bytes      | Int32    | bytes | length field: header and payload
    """),
    *_table("TCP", """
        tcp_sport      | UInt16   |       | source port
        tcp_dport      | UInt16   |       | destination port
        tcp_seq        | UInt32   |       | sequence number as on the wire
        tcp_ack        | UInt32   |       | acknowledgement number as on the wire
        tcp_flags      | UInt16   |       | FIN 1 SYN 2 RST 4 PSH 8 ACK 16 URG 32 ECE 64 CWR 128
        tcp_window     | UInt16   |       | window field, not scaled
        tcp_urgent     | UInt16   |       | urgent pointer
        tcp_header_bytes | Int32  | bytes | 4·data offset
        tcp_payload_bytes| Int32  | bytes | payload by the IP length, even in a snapped capture
        tcp_mss        | UInt16   | bytes | option: maximum segment size
        tcp_wscale     | UInt8    |       | option: window scale shift
        tcp_sack_permitted | boolean |    | option: selective acknowledgements allowed
        tcp_tsval      | UInt32   |       | option: timestamp
        tcp_tsecr      | UInt32   |       | option: timestamp echoed
        tcp_sack_count | UInt8    |       | option: number of SACK blocks
        tcp_sack1_left | UInt32   |       | first SACK block, first byte
        tcp_sack1_right| UInt32   |       | first SACK block, byte behind the last
        tcp_sack2_left | UInt32   |       | second SACK block
        tcp_sack2_right| UInt32   |       | second SACK block
        tcp_sack3_left | UInt32   |       | third SACK block
        tcp_sack3_right| UInt32   |       | third SACK block
        tcp_sack4_left | UInt32   |       | fourth SACK block
        tcp_sack4_right| UInt32   |       | fourth SACK block
    """),
    *_table("payload", """
        payload        | bytes    |       | captured bytes behind the last header decoded
    """),
]  # fmt: skip

COLUMNS: dict[str, Column] = {column.name: column for column in _ALL}
"""Every column, in the order of the DataFrame. `payload` comes only when asked for."""

DEFAULT = tuple(name for name in COLUMNS if name != "payload")


def choose(columns: Iterable[str] | None) -> list[str]:
    """The wanted column names in table order; all but `payload` if None.

    Raises:
        ConfigError: a name is not in `COLUMNS`.
    """
    if columns is None:
        return list(DEFAULT)
    wanted = {columns} if isinstance(columns, str) else set(columns)
    for name in sorted(wanted - COLUMNS.keys()):
        raise ConfigError(f"columns: no packet column '{name}'{nearest(name, COLUMNS)}")
    return [name for name in COLUMNS if name in wanted]


def need(packets: pd.DataFrame, columns: Iterable[str]) -> None:
    """Raises ConfigError if a column was not read with the capture."""
    for name in columns:
        if name not in packets:
            raise ConfigError(f"packets: column '{name}' is missing; read it with the capture")


def as_markdown() -> str:
    """The documentation page."""
    lines = [
        "# Packet columns",
        "",
        "`packets.read(capture)` gives one row a packet with these columns. Made from",
        "`analysis/packets/columns.py` by `testbed capture columns > docs/packet-columns.md`.",
        "",
        "Types with a capital letter and `boolean` are pandas' nullable types; they and categories",
        "are null where the layer is absent, or where the capture was cut before the field.",
    ]
    layer = ""
    for column in COLUMNS.values():
        if column.layer != layer:
            layer = column.layer
            lines += [
                "",
                f"## {layer}",
                "",
                "| column | type | unit | meaning |",
                "|---|---|---|---|",
            ]
        lines.append(f"| `{column.name}` | {column.dtype} | {column.unit} | {column.meaning} |")
    return "\n".join(lines) + "\n"
