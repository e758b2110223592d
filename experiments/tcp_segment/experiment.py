"""TCP's header: every field and option on real segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import packets, segment_words, tcp
from analysis.dissect import ipv4
from analysis.dissect import tcp as headers
from analysis.plots import headers as plots
from analysis.plots import transfers as flights
from testbed import (
    Action,
    LinkShape,
    Tables,
    compute_checksums,
    filter_packets,
    in_order,
    nothing,
    packet_scripts,
    param,
    program,
    sockets,
    steps,
    sysctl,
)
from topologies.line import Line

from .conversations import (
    OLD_PEERS,
    WRAP_BEFORE_BYTES,
    ecn,
    mss,
    old_peer,
    one_way,
    plain,
    refused,
    sack,
    unscaled,
    urgent,
    wrap,
)
from .header import CLIENT_SIDE, SERVER_SIDE
from .numbers import NUMBERS
from .options import Options

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData

QUIET_S = 1.0
ENDS = ("h1", "h2")
COLUMNS = (*sockets.SEGMENT_COLUMNS, "tcp_urgent", "tcp_header_bytes")


ONCE = "limit rate 1/day burst 1 packets"

BREAKS: dict[str, Action] = {
    "none": nothing,
    "translated": program(
        "r1",
        "nft",
        "add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; "
        "add rule ip nat post oifname r1-eth1 tcp dport 8001 masquerade to :50001",
    ),
    "meddling": in_order(
        *(
            filter_packets("r1", "forward", rule, table="fault")
            for rule in (
                "tcp dport 8001 tcp reserved set 8",
                "tcp dport 8002 tcp urgptr set 9",
                f"tcp dport 8004 tcp flags ack {ONCE} tcp flags set 0x0",
            )
        )
    ),
    "silent": filter_packets("h2", "input", "tcp dport 8003 drop", table="silent"),
    "lossy": filter_packets(
        "r1", "forward", f"tcp sport 8001 tcp flags & psh == psh {ONCE} drop", table="lossy"
    ),
    "no-options": in_order(
        *(
            sysctl("h1", f"net.ipv4.tcp_{name}", 0)
            for name in ("timestamps", "sack", "window_scaling")
        )
    ),
    "flipped-bits": nothing,  # see `_steps`
    "narrow": program("h1", "ip", "link", "set", "h1-eth0", "mtu", "1000"),
    "lossless": nothing,  # see `_steps`
    "no-wrap": nothing,  # see `_steps`
    "modern-peer": nothing,  # see `_steps`
}
"""Faults: what is broken on purpose."""


class TcpSegment(Options):
    """TCP's header: every field, flag and option on real segments.

    h1 and h2 hold short connections, one for each part of the header: a plain one, one with urgent
    data, one that is refused, one that asks for ECN, one with a small MSS, two transfers with and
    without window scaling, one with a lost segment, and one whose sequence numbers wrap. In the
    last one h2 is a TCP of 1981 that knows no options. Both ends are Linux, except the last.

    `faults` break things on purpose: see which claims fall with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(20.0, "one-way delay between h1 and h2", unit="ms", low=5, high=500)
        bulk_bytes: int = param(
            400_000, "size of the two transfers", unit="bytes", low=300_000, high=10_000_000
        )
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=BREAKS
        )

    params: Parameters
    programs = ("nft", "ip")

    # ---- in the network

    def topology(self) -> Line:
        """h1 and h2 behind a router each."""
        return Line(shape=LinkShape(delay_ms=self.params.delay_ms))

    def inputs(self) -> Mapping[str, str]:
        """The segments of the old peer."""
        return packet_scripts.inputs(OLD_PEERS)

    def run(self, net: RunningNetwork) -> None:
        """All connections, one after another."""
        for fault in self.params.faults:
            BREAKS[fault](net)
        compute_checksums(CLIENT_SIDE, SERVER_SIDE)(net)
        net.capture(CLIENT_SIDE, SERVER_SIDE)
        steps.play(net, self._steps(), quiet_s=QUIET_S)
        net.sleep(QUIET_S)

    def _steps(self) -> dict[str, Action]:
        faults, size = self.params.faults, self.params.bulk_bytes
        flip = _flip_bits(2.0) if "flipped-bits" in faults else nothing
        unflip = _flip_bits(0.0) if "flipped-bits" in faults else nothing
        isn = 1_000_000 if "no-wrap" in faults else NUMBERS - WRAP_BEFORE_BYTES
        return {
            "plain": plain,
            "urgent": urgent,
            "refused": refused,
            "ecn": ecn(),
            "mss": mss,
            "scaled": in_order(flip, one_way("scaled", size), unflip),
            "unscaled": unscaled(size),
            "sack": sack("lossless" in faults),
            "wrap": wrap(isn),
            "old-peer": old_peer("modern-peer" if "modern-peer" in faults else "old-peer"),
        }

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets by step, the bytes of their headers, results of calls, bytes in flight."""
        tables = steps.measure(data, COLUMNS)
        seen = tables["packets"] = segment_words.described(tables["packets"])
        raw = [_raw(data, str(capture), found) for capture, found in seen.groupby("capture")]
        calls = sockets.calls(data)
        calls.insert(1, "step", steps.step_at(tables["steps"], calls["time_s"]))
        flows = tcp.analyse(seen[seen["capture"] == CLIENT_SIDE])
        flows["time_s"] = (flows["time_ns"] - data.t0_ns) / 1e9
        flows["step"] = steps.step_at(tables["steps"], flows["time_s"])
        kept = ["frame", "time_s", "step", "payload_bytes", "window_bytes", "bytes_in_flight"]
        return tables | {
            "raw": pd.concat(raw, ignore_index=True),
            "calls": calls,
            "flows": flows[kept],
            "fields": _fields(data, seen),
        }

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Any]:
        """Headers as the RFC draws them, two exchanges as ladders, and the size of headers.

        Figures:
            1_headers: The first SYN and the first segment with data, field by field. The SYN has
                options that no later segment has; fields that differ from it are coloured.
            2_plain: A whole connection: SYN, SYN+ACK, ACK; a request and its answer; then each end
                says FIN. Every segment but the first has ACK.
            3_lost_segment: One of ten segments is lost. The acknowledgements stay at its number,
                and SACK blocks tell what came behind it; only the missing one is sent again.
            4_old_peer: A peer without any option: 536 bytes at a time, in bare headers of 20 bytes.
            5_in_flight: Bytes on their way in the two transfers: without window scaling they never
                exceed the 65535 that the field can say.
        """
        fields = tables.of("fields")
        headers_ = {
            str(name): [_field(row) for row in rows.to_dict("records")]
            for name, rows in fields.groupby("segment", sort=False)
        }
        flows = tables.of("flows")
        return {
            "1_headers": plots.rows_of_bits(headers_),
            "2_plain": steps.ladder(tables, "plain", SERVER_SIDE, hosts=ENDS, ip_proto=6),
            "3_lost_segment": steps.ladder(tables, "sack", CLIENT_SIDE, hosts=ENDS, ip_proto=6),
            "4_old_peer": steps.ladder(tables, "old-peer", SERVER_SIDE, hosts=ENDS, ip_proto=6),
            "5_in_flight": flights.in_flight(
                {name: flows[flows["step"] == name] for name in ("scaled", "unscaled")}
            ),
        }


def _flip_bits(percent: float) -> Action:
    """The wire from r1 to r2 inverts a bit in this share of packets."""
    return lambda net: net.reshape(
        "r1-eth1", replace(net.shape("r1-eth1"), corrupt_percent=percent)
    )


def _raw(data: ScenarioData, capture: str, seen: pd.DataFrame) -> pd.DataFrame:
    """The header of each whole segment of a capture, from its bytes."""
    found = ipv4.frames(data.path / "captures" / f"{capture}.pcap", seen["frame"])
    steps_of = dict(zip(seen["frame"], seen["step"], strict=True))
    rows = []
    for number, octets in sorted(found.items()):
        segment = headers.segment(octets)
        if segment:
            place = {"capture": capture, "frame": number, "step": steps_of[number]}
            rows.append(place | _row(segment))
    return pd.DataFrame(rows)


def _fields(data: ScenarioData, seen: pd.DataFrame) -> pd.DataFrame:
    """The first SYN and the first segment with data, field by field."""
    plain = seen[(seen["capture"] == SERVER_SIDE) & (seen["step"] == "plain")]
    shown = {
        "SYN": plain[packets.has_flags(plain, "SYN")],
        "the first segment with data": plain[(plain["tcp_payload_bytes"] > 0).fillna(False)],
    }
    rows = []
    for name, found in shown.items():
        for number in found["frame"].head(1):
            segment = headers.segment(data.frame(SERVER_SIDE, number))
            rows += [
                {"segment": name, "name": f.name, "bits": f.bits, "value": f.value}
                for f in (segment.fields() if segment else [])
            ]
    return pd.DataFrame(rows)


def _field(row: Mapping[Any, Any]) -> ipv4.Field:
    return ipv4.Field(str(row["name"]), int(row["bits"]), str(row["value"]), "")


def _row(segment: headers.Segment) -> dict[str, Any]:
    options = list(segment.options())
    carried = segment.octets[segment.header_bytes :]
    return {
        "sport": int.from_bytes(segment.octets[:2], "big"),
        "syn": segment.is_syn,
        "header_bytes": segment.header_bytes,
        "data_bytes": len(carried),
        "letters": "".join(sorted(set(carried[:2000].decode("latin-1")))),
        "reserved": segment.reserved,
        "options": " ".join(option.name for option in options),
        "option_bytes": sum(option.length_bytes for option in options),
        "timestamps_bytes": next((o.length_bytes for o in options if o.kind == 8), 0),
        "checksum": segment.checksum,
        "computed": segment.computed(),
        "computed_without": segment.computed(with_pseudo_header=False),
    }
