"""Claims on the fixed part of the header: ports, offset, flags, checksum, urgent pointer."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis import packets
from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    near,
    none_of,
    pick,
    presuming,
    same,
)

from .conversations import ANSWER, OWN_PORTS, PORTS, REQUEST, URGENT

CLIENT_SIDE, SERVER_SIDE = "h1-eth0", "h2-eth0"
LEAST_BYTES, MOST_BYTES = 20, 60
"""Of a header: the data offset has four bits and counts in units of 4 bytes."""

ALL_FLAGS = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"}


class Header(Experiment):
    """The fixed part of the header."""

    @claim(
        "The header begins with the ports of the two programs; together with the two IP addresses "
        "they name the connection.",
        source="RFC 9293 §3.1, §4 (socket, connection)",
    )
    def ports_name_the_connection(self, tables: Tables) -> Verdict:
        """The ends as the server's program was told them, and as its segments have them."""
        seen = self._conversation(tables, "plain")
        said = self._results(tables, "plain", "accept")
        one = f"{address(tables, CLIENT_SIDE)}:{PORTS['plain'] + OWN_PORTS}"
        two = f"{address(tables, SERVER_SIDE)}:{PORTS['plain']}"
        source = seen["ip_src"] + ":" + seen["tcp_sport"].astype(str)
        target = seen["ip_dst"] + ":" + seen["tcp_dport"].astype(str)
        return all_of(
            same(said, [one], "the server's program accepted"),
            same(set(source + " to " + target), {f"{one} to {two}", f"{two} to {one}"}, "segments"),
        ).because("the connection", seen)

    @claim(
        "The data offset says, in units of 4 bytes, where the data begin: 20 bytes without "
        "options and never more than 60; what follows is what the program sent. The reserved bits "
        "are zero.",
        source="RFC 9293 §3.1",
    )
    def offset_says_where_data_begin(self, tables: Tables) -> Verdict:
        """Header lengths of all segments, and the data of the plain connection."""
        every = self._raw(tables)
        plain = self._raw(tables, step="plain")
        letters = plain[plain["data_bytes"] > 0].groupby("sport")["letters"].agg(set)
        wanted = {PORTS["plain"] + OWN_PORTS: {"Q"}, PORTS["plain"]: {"A"}}
        carried = plain.groupby("sport")["data_bytes"].sum().astype(int).to_dict()
        sent = {PORTS["plain"] + OWN_PORTS: len(REQUEST), PORTS["plain"]: len(ANSWER)}
        return all_of(
            between(float(every["header_bytes"].min()), LEAST_BYTES, MOST_BYTES, unit="bytes"),
            between(float(every["header_bytes"].max()), LEAST_BYTES, MOST_BYTES, unit="bytes"),
            same(letters.to_dict(), wanted, "data by source port"),
            same(carried, sent, "bytes by source port"),
            at_most(int((every["reserved"] != 0).sum()), 0, unit="segments with reserved bits"),
        ).because("the connection", plain)

    @claim(
        "The checksum covers header, data and a pseudo-header of 12 bytes with both IP addresses, "
        "the protocol and the length; without the pseudo-header the sum is another.",
        source="RFC 9293 §3.1",
    )
    def checksum_covers_the_pseudo_header(self, tables: Tables) -> Verdict:
        """The sum of every segment that h2 received or sent, computed from its bytes."""
        every = self._raw(tables)
        wrong = every[every["checksum"] != every["computed"]]
        without = int((every["checksum"] == every["computed_without"]).sum())
        return presuming(
            at_least(len(every), 100, unit="segments"),
            none_of(wrong, every, "segments with another sum", "the computed sum in each"),
            at_most(without / max(1, len(every)), 0.01, unit="of the sums right without it"),
        ).because("the first", every.head(6))

    @claim(
        "Each control bit has its occasion: SYN opens, ACK makes the acknowledgement number valid, "
        "PSH ends what a program wrote, FIN ends the stream, RST refuses, URG marks urgent data, "
        "ECE and CWR negotiate ECN.",
        source="RFC 9293 §3.1, §3.9.1.2 (PSH); RFC 3168 §6.1.1",
    )
    def each_flag_has_its_occasion(self, tables: Tables) -> Verdict:
        """Which flags each step's segments have."""
        used = {step: self._flags(tables, step) for step in ("plain", "urgent", "refused", "ecn")}
        wrote = self._conversation(tables, "plain")
        wrote = wrote[wrote["tcp_payload_bytes"] > 0]
        last = wrote.groupby("tcp_sport").tail(1)
        first = self._conversation(tables, "ecn").head(1)
        return all_of(
            same(used["plain"], {"SYN", "ACK", "PSH", "FIN"}, "plain"),
            same(used["urgent"] - used["plain"], {"URG"}, "with urgent data also"),
            same(used["refused"], {"SYN", "RST", "ACK"}, "refused"),
            same(set(_names(first)), {"SYN,ECE,CWR"}, "asks for ECN"),
            same(set().union(*used.values()), ALL_FLAGS, "all seen"),
            same(set(packets.has_flags(last, "PSH")), {True}, "PSH ends each write"),
        ).because("one of each", pd.concat([first, last]))

    @claim(
        "The acknowledgement flag is set on every segment of a connection except its first, the "
        "SYN, and resets that answer a segment with ACK.",
        source="RFC 9293 §3.1 (ACK: once a connection is established this is always sent), §3.5.2",
    )
    def every_segment_but_the_first_acknowledges(self, tables: Tables) -> Verdict:
        """All segments of all steps."""
        every = tables.of("packets", capture=SERVER_SIDE, ip_proto=6)
        first = every.drop_duplicates(["step", "tcp_sport"])
        first = first[(first["tcp_dport"] < OWN_PORTS).fillna(False).astype(bool)]
        first = first[packets.has_flags(first, "SYN", without="ACK")]
        rest = every.drop(first.index)
        without = rest[~packets.has_flags(rest, "ACK")]
        return all_of(
            near(len(first), len(PORTS), abs=0, unit="first segments, without ACK"),
            none_of(without, rest, "others without ACK", "ACK in each"),
        ).because("the first", first)

    @claim(
        "URG marks urgent data, and the urgent pointer, counted from the segment's sequence "
        "number, is the place behind the last urgent byte; the program gets that byte apart from "
        "the others.",
        source="RFC 9293 §3.1, §3.8.5; RFC 6093 §3 (⚠ RFC 793 also had: the last urgent byte)",
    )
    def urgent_pointer_is_behind_the_urgent_byte(self, tables: Tables) -> Verdict:
        """Three bytes sent as urgent: the last one is."""
        seen = self._conversation(tables, "urgent")
        marked = seen[packets.has_flags(seen, "URG")]
        others = seen.drop(marked.index)
        apart = self._results(tables, "urgent", "receive urgent")
        rest = self._results(tables, "urgent", "receive ordinary")
        return all_of(
            same([int(p) for p in marked["tcp_urgent"]], [len(URGENT)], "urgent pointer"),
            same(apart, [URGENT[-1:].decode()], "urgent byte"),
            same(rest, [URGENT[:-1].decode()], "ordinary bytes"),
            at_most(int((others["tcp_urgent"] != 0).sum()), 0, unit="pointers without URG"),
        ).because("the urgent segment", marked)

    # ---- what the claims look at

    def _conversation(
        self, tables: Tables, step: str, capture: str = SERVER_SIDE, *, by: str | None = None
    ) -> pd.DataFrame:
        """A step's segments; `by`: those that one end sent, by its interface."""
        ends: dict[str, Any] = {} if by is None else {"ip_src": address(tables, by)}
        found = pick(tables, step, capture, ip_proto=6, **ends)
        if found.empty:
            raise MissingDataError(f"step '{step}' has no segments at {capture}")
        return found

    def _raw(self, tables: Tables, **equals: object) -> pd.DataFrame:
        return tables.of("raw", capture=SERVER_SIDE, **equals)

    def _results(self, tables: Tables, step: str, call: str) -> list[str]:
        """What a kind of call returned in a step."""
        return [str(r) for r in tables.of("calls", step=step, call=call)["result"]]

    def _flags(self, tables: Tables, step: str) -> set[str]:
        names = _names(self._conversation(tables, step))
        return {flag for name in names for flag in name.split(",")}


def _names(segments: pd.DataFrame) -> list[str]:
    return [packets.flag_names(int(flags)) for flags in segments["tcp_flags"]]
