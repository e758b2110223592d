"""The header's fields, and the checksum over more than the datagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.dissect import udp
from testbed import (
    Experiment,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    near,
    none_of,
    pick,
    presuming,
    same,
)

from .sending import DATA, FIRST_PORT, FLIPPED, LENIENT, PLAIN, SIZES, SURPLUS_BYTES

if TYPE_CHECKING:
    import pandas as pd

    from testbed import Tables

SENT, CAME = "tx1-eth0", "rx1-eth0"
UDP, ICMP = 17, 1
INVALID = ("UDP_CSUM", "PKT_TOO_SMALL")
"""The kernel's reasons for dropping a datagram that is not as it should be."""

WHOLE = bytes.fromhex(DATA)


class Header(Experiment):
    """The header's fields, and the checksum over more than the datagram."""

    @claim(
        "A UDP header has 8 bytes, and IP's payload is nothing but this header and the data.",
        source="RFC 768",
    )
    def header_has_eight_bytes(self, tables: Tables) -> Verdict:
        """IP's length less IP's header and what the program sent, for each datagram."""
        came = pick(tables, "sizes", CAME, ip_version=4, ip_proto=UDP)
        sent = tables.of("sent", step="sizes")
        over = (came["ip_bytes"] - came["ip_header_bytes"]).to_list()
        wanted = [udp.HEADER_BYTES + int(size) for size in sent["size_bytes"]]
        return same([int(n) for n in over], wanted, "bytes in IP").because("datagrams", came)

    @claim(
        "The ports name the sockets: the sender's own port is the source port, and is what the "
        "receiving program is given.",
        source="RFC 768 (fields, user interface)",
    )
    def ports_name_the_sockets(self, tables: Tables) -> Verdict:
        """Ports as the sender's socket, the header and the receiver's socket have them."""
        seen = self._datagrams(tables, "sizes")
        got = self._got(tables, "sizes")
        return all_of(
            same(set(tables.of("sent", step="sizes")["sport"]), {FIRST_PORT}, "sender's port"),
            same(_pairs(seen, "sport", "dport"), {(FIRST_PORT, PLAIN)}, "in the header"),
            same(_pairs(got, "source_port", "port"), {(FIRST_PORT, PLAIN)}, "at the reader"),
        ).because("datagrams", seen)

    @claim(
        "The source port is optional: a datagram with source port 0 is delivered.", source="RFC 768"
    )
    def source_port_is_optional(self, tables: Tables) -> Verdict:
        """One datagram made by hand; the reader sees that there is no port to answer."""
        seen = self._datagrams(tables, "no-source-port")
        got = self._got(tables, "no-source-port")
        return all_of(
            same(_pairs(seen, "sport", "dport"), {(0, PLAIN)}, "in the header"),
            same([int(n) for n in got["source_port"]], [0], "at the reader"),
        ).because("the datagram", seen)

    @claim(
        "The length field counts header and data: 8 is the least, and a datagram without data is a "
        "message, too.",
        source="RFC 768",
    )
    def length_counts_header_and_data(self, tables: Tables) -> Verdict:
        """Length fields, and what the reader got."""
        seen = self._datagrams(tables, "sizes")
        wanted = [udp.HEADER_BYTES + size for size in SIZES]
        return all_of(
            same([int(n) for n in seen["length_bytes"]], wanted, "length fields"),
            same(self._sizes(tables, "sizes"), list(SIZES), "bytes delivered"),
        ).because("datagrams", seen)

    @claim(
        "The length field says where the data ends, even if the IP packet is longer.",
        source="RFC 768; RFC 9868 §5 (the surplus area)",
    )
    def surplus_is_left_out(self, tables: Tables) -> Verdict:
        """A datagram with a length field 4 bytes too small; its checksum covers the rest only."""
        seen = self._datagrams(tables, "short-length")
        surplus = [int(n) for n in seen["data_bytes"] + udp.HEADER_BYTES - seen["length_bytes"]]
        kept = len(WHOLE) - SURPLUS_BYTES
        return all_of(
            same(surplus, [SURPLUS_BYTES], "bytes behind the datagram"),
            same(self._sizes(tables, "short-length"), [kept], "bytes delivered"),
        ).because("the datagram", seen)

    @claim(
        "A length of less than 8 bytes, or of more than IP brought, gets the datagram dropped.",
        source="RFC 768; RFC 9868 §5; Linux: net/ipv4/udp.c, short_packet",
    )
    def impossible_lengths_are_dropped(self, tables: Tables) -> Verdict:
        """Two datagrams made by hand: neither reaches a socket, both are counted."""
        seen = self._datagrams(tables, "wrong-length")
        impossible = (seen["length_bytes"] < udp.HEADER_BYTES) | (
            seen["length_bytes"] > seen["data_bytes"] + udp.HEADER_BYTES
        )
        return all_of(
            near(int(impossible.sum()), 2, abs=0, unit="datagrams of impossible length"),
            self._dropped(tables, "wrong-length", "InErrors", 2),
        ).because("the datagrams", seen)

    @claim(
        "The checksum covers header, data and a pseudo-header of both addresses, protocol and "
        "length, in IPv4 as in IPv6.",
        source="RFC 768; RFC 1071; RFC 8200 §8.1",
    )
    def checksum_covers_the_pseudo_header(self, tables: Tables) -> Verdict:
        """Checksums computed from the captured bytes; one made for another address is refused."""
        steps = ("sizes", "sizes-ipv6", "clients", "boundaries")
        seen = tables.of("datagrams")
        seen = seen[seen["step"].isin(steps)]
        wrong = seen[seen["checksum"] != seen["computed"]]
        stray = self._datagrams(tables, "other-address")
        return all_of(
            none_of(
                wrong.assign(scenario="main"),
                seen,
                "checksums differ from those computed",
                "all checksums as computed",
            ),
            same({":" in target for target in seen["target"]}, {False, True}, "IPv6"),
            at_least(_wrong(stray), 1, unit="datagrams made for another address"),
            self._dropped(tables, "other-address", "InCsumErrors", 1),
        ).because("made for another address", stray)

    @claim(
        "A computed checksum of 0 is sent as all ones, because 0 means that there is none.",
        source="RFC 768",
    )
    def zero_is_sent_as_all_ones(self, tables: Tables) -> Verdict:
        """The kernel sends data whose checksum comes out as 0."""
        seen = self._datagrams(tables, "all-ones")
        return all_of(
            same([f"0x{int(n):04x}" for n in seen["checksum"]], ["0xffff"], "checksum"),
            at_most(_wrong(seen), 0, unit="not as computed"),
            same(self._sizes(tables, "all-ones"), [len(WHOLE)], "bytes delivered"),
        ).because("the datagram", seen)

    @claim(
        "In IPv4 the checksum is optional: without one the datagram is delivered, and damage goes "
        "unnoticed.",
        source="RFC 768; RFC 1122 §4.1.3.4; RFC 8085 §3.4",
    )
    def checksum_is_optional_in_ipv4(self, tables: Tables) -> Verdict:
        """A socket that computes none (SO_NO_CHECK); then a datagram with a byte inverted."""
        seen, got = self._datagrams(tables, "no-checksum"), self._got(tables, "no-checksum")
        damaged = bytearray(WHOLE)
        damaged[FLIPPED] ^= 0xFF
        return all_of(
            same([int(n) for n in seen["checksum"]], [0, 0], "checksums"),
            same(self._sizes(tables, "no-checksum"), [SIZES[2], len(WHOLE)], "bytes delivered"),
            same(list(got["head"])[1:], [damaged.hex()], "damaged data delivered"),
        ).because("datagrams", seen)

    @claim(
        "In IPv6 a datagram without a checksum is dropped, except by a socket that asked for such "
        "datagrams.",
        source="RFC 8200 §8.1; RFC 6935; RFC 6936 §4",
    )
    def checksum_is_required_in_ipv6(self, tables: Tables) -> Verdict:
        """The same datagram to an ordinary socket and to one with UDP_NO_CHECK6_RX."""
        seen = self._datagrams(tables, "no-checksum-ipv6", 6)
        got = self._got(tables, "no-checksum-ipv6")
        return all_of(
            same([int(n) for n in seen["checksum"]], [0, 0], "checksums"),
            same([int(n) for n in got["port"]], [LENIENT], "ports that delivered"),
            near(
                self._counter(tables, "no-checksum-ipv6", "Udp6InCsumErrors"),
                1,
                abs=0,
                unit="counted (Udp6InCsumErrors)",
            ),
            near(self._drops(tables, "no-checksum-ipv6"), 1, abs=0, unit="drops (UDP_CSUM)"),
        ).because("the datagrams", seen)

    @claim(
        "A datagram with a wrong checksum is dropped without a word: no program hears of it, and "
        "the sender is not told.",
        source="RFC 1122 §4.1.3.4; RFC 768",
    )
    def wrong_checksum_is_dropped_silently(self, tables: Tables) -> Verdict:
        """One byte of the data is inverted after the checksum was computed."""
        seen = self._datagrams(tables, "wrong-checksum")
        return all_of(
            near(_wrong(seen), 1, abs=0, unit="datagrams with a wrong checksum"),
            self._dropped(tables, "wrong-checksum", "InCsumErrors", 1),
        ).because("the datagram", seen)

    @claim(
        "So is every datagram that a wire damages, whichever bit it hits; the others arrive.",
        source="RFC 1122 §4.1.3.4; RFC 1071",
    )
    def damage_is_found(self, tables: Tables) -> Verdict:
        """The wire inverts one bit of half of the packets; those with a sound IP header count."""
        came = self._datagrams(tables, "damaged")
        came = came[came["ip_ok"].astype(bool)]
        bad = _wrong(came)
        answers = pick(tables, "damaged", CAME, ip_proto=ICMP)
        delivered, wanted = len(self._got(tables, "damaged")), len(came) - bad
        return presuming(
            at_least(bad, 5, unit="datagrams damaged"),
            near(delivered, wanted, abs=0, unit=f"delivered of {len(came)}"),
            near(
                self._counter(tables, "damaged", "InErrors"), bad, abs=0, unit="counted (InErrors)"
            ),
            near(
                self._drops(tables, "damaged"),
                bad,
                abs=0,
                unit="drops for their checksum or length",
            ),
            at_most(len(answers), 0, unit="errors sent back"),
        ).because("damaged", came[came["checksum"] != came["computed"]].head(6))

    # ---- what the claims look at

    def _datagrams(self, tables: Tables, step: str, version: int = 4) -> pd.DataFrame:
        """A step's datagrams to the server as it saw them, with fields and computed checksums."""
        tables.of("steps", step=step)
        seen = tables.of("datagrams", capture=CAME)
        target = address(tables, CAME, version)
        return seen[(seen["step"] == step) & (seen["target"] == target)]

    def _got(self, tables: Tables, step: str) -> pd.DataFrame:
        """What the server's sockets returned in a step."""
        tables.of("steps", step=step)
        got = tables.of("received")
        return got[got["step"] == step]

    def _sizes(self, tables: Tables, step: str) -> list[int]:
        return [int(n) for n in self._got(tables, step)["got_bytes"]]

    def _counter(self, tables: Tables, step: str, name: str) -> int:
        """By how much a counter of the server's kernel grew in a step."""
        row = tables.row("counters", step=step, counter=name)
        return int(row["after"]) - int(row["before"])

    def _drops(self, tables: Tables, step: str, *reasons: str) -> int:
        """Packets that the kernel dropped in a step for these reasons; by default, as invalid."""
        drops = tables.of("drops")
        wanted = reasons or INVALID
        return int(((drops["step"] == step) & drops["reason"].isin(wanted)).sum())

    def _dropped(self, tables: Tables, step: str, counter: str, count: int) -> Verdict:
        """Nothing was delivered or answered; the kernel counted and named all drops."""
        answers = pick(tables, step, CAME, ip_proto=ICMP)
        return all_of(
            at_most(len(self._got(tables, step)), 0, unit="delivered"),
            at_most(len(answers), 0, unit="errors sent back"),
            near(self._counter(tables, step, counter), count, abs=0, unit=f"counted ({counter})"),
            near(self._drops(tables, step), count, abs=0, unit="drops named by the kernel"),
        )


def _pairs(table: pd.DataFrame, one: str, other: str) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in zip(table[one], table[other], strict=True)}


def _wrong(seen: pd.DataFrame) -> int:
    """How many have another checksum than their bytes call for."""
    return int((seen["checksum"] != seen["computed"]).sum())
