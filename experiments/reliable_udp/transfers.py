"""Transfers by the three protocols: how they are started, and what the captures say of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.dissect import ipv4, udp
from testbed import programs, steps

from . import wire

if TYPE_CHECKING:
    from collections.abc import Set

    import pandas as pd

    from testbed import RunningNetwork, ScenarioData

_FOLDER = Path(__file__).resolve().parent
_PEER = ("/usr/bin/python3", "-S", "-m", f"{_FOLDER.name}.peer")
PORT = 7000
ENDS = ("tx1", "rx1")
HEADERS_BYTES = 14 + 20 + 8
"""Ethernet, IPv4, UDP: what links count besides the protocol's own bytes."""

PIECE_BYTES = 1500 - 20 - 8 - wire.HEADER_BYTES
"""Data of a datagram that fills an Ethernet frame."""

HOPS, ACCESS_MS = 3, 1.0
"""Links from tx1 to rx1; the delay of each but the bottleneck."""

SWEEP = (0.25, 0.5, 1.0, 2.0, 8.0)
"""Windows tried, as multiples of what the path holds."""

LONGEST_S = 120.0
"""A transfer that takes longer is given up."""


_KINDS = {wire.DATA: "data", wire.LAST: "last data", wire.ACK: "ACK"}
_COLUMNS = (
    "frame",
    "ip_id",
    "ip_checksum_ok",
    "udp_sport",
    "udp_dport",
    "wire_bytes",
    "captured_bytes",
    "payload",
)


@dataclass(frozen=True)
class Link:
    """Times of the path, from its parameters.

    Attributes:
        rate_mbps: of every link.
        delay_ms: of the bottleneck, one way.
        timeout_ms: the protocols' retransmission timer.
    """

    rate_mbps: float
    delay_ms: float
    timeout_ms: float

    @property
    def timeout_s(self) -> float:
        """R."""
        return self.timeout_ms / 1e3

    @property
    def frame_s(self) -> float:
        """T: transmission time of a full frame."""
        return self._transmission_s(wire.HEADER_BYTES + PIECE_BYTES)

    @property
    def cycle_s(self) -> float:
        """D: from the beginning of a frame's transmission to the end of its acknowledgement's."""
        ways_s = 2 * (self.delay_ms + (HOPS - 1) * ACCESS_MS) / 1e3
        return ways_s + HOPS * (self.frame_s + self._transmission_s(wire.HEADER_BYTES))

    @property
    def pipe_frames(self) -> int:
        """The smallest window that fills the link: D / T."""
        return math.ceil(self.cycle_s / self.frame_s)

    @property
    def windows(self) -> tuple[int, ...]:
        """The windows tried, in frames."""
        return tuple(max(1, math.ceil(share * self.pipe_frames)) for share in SWEEP)

    def _transmission_s(self, payload_bytes: int) -> float:
        return (HEADERS_BYTES + payload_bytes) * 8 / self.rate_mbps / 1e6


@dataclass(frozen=True)
class Transfer:
    """One transfer from tx1 to rx1.

    Attributes:
        protocol: name of its module.
        window, pieces: of the sender, in pieces of data.
        timeout_s: the retransmission timer.
        room: the receiver's window.
        swap_every: in one piece of this many, two words are exchanged when it is first sent; 0:
            never.
        seconds: after which the sender gives up.
        faults: ``no-crc``, ``trusting``, ``forgetful``.
    """

    protocol: str
    window: int
    pieces: int
    timeout_s: float
    room: int
    swap_every: int = 0
    seconds: float = LONGEST_S
    faults: Set[str] = frozenset()

    def __call__(self, net: RunningNetwork) -> None:
        """Runs it to its end."""
        limit = ("--seconds", str(self.seconds))
        wrong = [f"--{fault}" for fault in sorted(self.faults - {"none"})]
        room = ("--window", str(self.room))
        receiver = _peer(net, "rx1", "receive", self.protocol, str(PORT), *room, *limit, *wrong)
        net.wait_until("receiver ready", lambda: "ready" in receiver.output(), 10, every_s=0.01)
        window = ("--window", str(self.window), "--timeout-s", str(self.timeout_s))
        data = ("--pieces", str(self.pieces), "--size-bytes", str(PIECE_BYTES))
        target = (net.address("rx1"), str(PORT), "--swap", str(self.swap_every))
        sender = _peer(net, "tx1", "send", self.protocol, *target, *window, *data, *limit, *wrong)
        sender.wait(600)
        receiver.wait(600)


def _peer(net: RunningNetwork, node: str, what: str, *words: str) -> Any:
    path = {"PYTHONPATH": f"{_FOLDER.parent}:{programs.PROJECT}"}
    return net.start(node, *_PEER, what, *words, log=f"peer-{what}", environment=path)


def messages(packets: pd.DataFrame) -> pd.DataFrame:
    """What the frames of the protocols say, for ladder diagrams: `frame`, `info`."""
    import pandas as pd

    ours = packets[packets["udp_sport"].eq(PORT) | packets["udp_dport"].eq(PORT)]
    rows = []
    whole = ours["wire_bytes"] == ours["captured_bytes"]
    for number, payload, all_of_it in zip(ours["frame"], ours["payload"], whole, strict=True):
        if isinstance(payload, bytes) and len(payload) >= wire.HEADER_BYTES:
            kind, piece, _ = wire.HEADER.unpack_from(payload)
            wrong = ", CRC wrong" if all_of_it and wire.unpack(payload) is None else ""
            rows.append({"frame": number, "info": f"{_KINDS.get(kind, '?')} {piece}{wrong}"})
    return pd.DataFrame(rows, columns=["frame", "info"])


def frames(data: ScenarioData, announced: pd.DataFrame) -> pd.DataFrame:
    """All frames of the protocols at both ends.

    Args:
        data: the scenario's artefacts.
        announced: the steps (`time_s`, `step`).

    Returns:
        `capture`, `step`, `time_s`, `frame`, `ip_id`, `ack`, `number` (as on the wire), `sound`
        (its CRC is right) and `checksum_ok` (UDP's is), both True where the capture has only the
        beginning.
    """
    import pandas as pd

    parts = []
    for capture in (f"{end}-eth0" for end in ENDS):
        seen = data.packets(capture, _COLUMNS)
        ours = seen["udp_sport"].eq(PORT) | seen["udp_dport"].eq(PORT)
        seen = seen[(ours & seen["ip_checksum_ok"]).fillna(False).astype(bool)]
        seen = seen[seen["payload"].notna()]  # has none where UDP's length was damaged
        seen = seen[[len(p) >= wire.HEADER_BYTES for p in seen["payload"]]]
        heads = [wire.HEADER.unpack_from(payload) for payload in seen["payload"]]
        table = seen[["time_s", "frame", "ip_id"]].astype({"ip_id": int}).reset_index(drop=True)
        table.insert(0, "capture", capture)
        table.insert(1, "step", steps.step_at(announced, table["time_s"]))
        table["ack"] = [kind == wire.ACK for kind, _, _ in heads]
        table["number"] = [number for _, number, _ in heads]
        whole = seen["captured_bytes"] == seen["wire_bytes"]
        table["sound"] = [
            not all_of_it or wire.unpack(payload) is not None
            for payload, all_of_it in zip(seen["payload"], whole, strict=True)
        ]
        bad = table[~table["sound"]]["frame"]
        held = ipv4.frames(data.path / "captures" / f"{capture}.pcap", bad)
        wrong = {number for number, frame in held.items() if not _checksum_ok(frame)}
        table["checksum_ok"] = ~table["frame"].isin(wrong)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _checksum_ok(frame: bytes) -> bool:
    found = udp.datagram(frame)
    return found is not None and found.checksum == found.computed


def summary(
    announced: pd.DataFrame, seen: pd.DataFrame, sent: pd.DataFrame, received: pd.DataFrame
) -> pd.DataFrame:
    """One row per transfer.

    Args:
        announced: the steps.
        seen: of `frames`.
        sent, received: what the programs told at their end, with `step`.

    Returns:
        `step`, `kind` and `window` (from the step's name); `reported`: both programs told about it,
        and it was seen at both ends (without that the row has nothing else); as they told: `done`,
        `pieces`, `delivered`, `in_order`, `intact`, `refused`; of data at tx1: `transmissions`,
        `repeats`, `timeouts` (times at which it went back before the last piece was through),
        `first_s`, `sent_s` (first transmissions of the first and the last piece), `through_s`
        (the last piece's transmission that arrived in turn; NaN where the receiver keeps what
        comes early), `rate_pps` (transmissions per second from `first_s` to `sent_s`); on the way
        to rx1:
        `data_lost`, `in_turn_lost` (of these, the piece that the receiver waited for), `doubled`,
        `overtaken`, `damaged`; on the way back: `acks_lost`.
    """
    import pandas as pd

    rows = []
    for name in announced["step"]:
        told, got = sent[sent["step"] == name], received[received["step"] == name]
        mine = seen[seen["step"] == name]
        kind, _, window = str(name).partition("-")
        row = {"step": name, "kind": kind, "window": int(window or 0)}
        if told.empty or got.empty or mine.groupby(["capture", "ack"]).ngroups < len(ENDS) * 2:
            rows.append(row | {"reported": False})
            continue
        numbers = list(got["numbers"].iloc[0])
        rows.append(
            row
            | {
                "reported": True,
                "done": bool(told["done"].iloc[0]),
                "pieces": int(told["pieces"].iloc[0]),
                "delivered": len(numbers),
                "in_order": numbers == list(range(len(numbers))),
                "intact": told["digest"].iloc[0] == got["digest"].iloc[0],
                "refused": int(got["refused"].iloc[0]),
                **_on_the_wire(mine),
            }
        )
    return pd.DataFrame(rows)


def _on_the_wire(mine: pd.DataFrame) -> dict[str, Any]:
    """Counts and times of one transfer's frames at both ends."""
    at = {
        (end, ack): mine[(mine["capture"] == f"{end}-eth0") & (mine["ack"] == ack)]
        for end in ENDS
        for ack in (False, True)
    }
    left, came, acks = at["tx1", False], at["rx1", False], at["tx1", True]
    first = left.drop_duplicates("number")
    # a socket that is connected numbers its datagrams one after another
    order = (came["ip_id"] - left["ip_id"].iloc[0]) % 65_536
    first_s, sent_s = float(first["time_s"].min()), float(first["time_s"].max())
    while_sending = left[left["time_s"] < sent_s]
    in_turn_lost, through_s = _in_turn(left, came)
    went_back = (left["number"].diff() <= 0) & (left["time_s"] <= through_s)
    return {
        "transmissions": len(left),
        "repeats": len(left) - len(first),
        "timeouts": int(went_back.sum()),
        "first_s": first_s,
        "sent_s": sent_s,
        "through_s": through_s,
        "rate_pps": len(while_sending) / (sent_s - first_s) if sent_s > first_s else 0.0,
        "data_lost": len(set(left["ip_id"]) - set(came["ip_id"])),
        "in_turn_lost": in_turn_lost,
        "doubled": len(came) - came["ip_id"].nunique(),
        "overtaken": int((order < order.cummax()).sum()),
        "damaged": int((~came["checksum_ok"]).sum()),
        "acks_lost": max(0, len(at["rx1", True]) - len(acks)),
    }


def _in_turn(left: pd.DataFrame, came: pd.DataFrame) -> tuple[int, float]:
    """What a receiver without a buffer makes of a transfer on a way that keeps the order.

    Args:
        left: data in the order in which they left.
        came: what of it arrived.

    Returns:
        Losses of the piece for which the receiver waited; when the last piece left with which it
        was done (NaN: it never was).
    """
    arrived, expected, lost = set(came["ip_id"]), 0, 0
    pieces = int(left["number"].max()) + 1
    for number, ip_id, time_s in zip(left["number"], left["ip_id"], left["time_s"], strict=True):
        if number == expected:
            expected += ip_id in arrived
            lost += ip_id not in arrived
            if expected == pieces:
                return lost, float(time_s)
    return lost, math.nan
