"""The steps' packets and frames, and what claims ask of them."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from analysis import messages, tls
from analysis.dissect import http, http2, http3, quic
from testbed import MissingDataError, Tables, pick

CLIENT, SERVER = "h1-eth0", "h2-eth0"
"""Where packets are captured; at the server only the last two steps."""

_ID = re.compile(r"\b([0-9a-f]{4})[0-9a-f]{12}\b")
_KEPT = (
    *("frame", "time_ns", "time_s", "capture", "step"),
    *("ip_src", "ip_dst", "udp_dport", "udp_bytes"),
)


def columns() -> tuple[str, ...]:
    """Of packets, for all dissectors; a function, because the guest does not load these."""
    return (*quic.COLUMNS, *http2.COLUMNS)


def read(packets: pd.DataFrame) -> pd.DataFrame:
    """Frames as `analysis.dissect.quic.read` gives them, and what each packet says as `info`."""
    found = quic.read(packets)
    protocols = frozenset({"quic", "http3"})
    said = messages.by_frame(messages.find(packets, protocols))
    away = [own for _, one in found.groupby("connection") for own in one[elsewhere(one, one)].index]
    notes = pd.Series("", found.index)
    notes[away] = " (h1 has moved)"
    texts = [_short(said[frame][1]) if frame in said else "" for frame in found["frame"]]
    found["info"] = [f"QUIC {text}{note}" for text, note in zip(texts, notes, strict=True)]
    return _thin(found)


def _short(text: str) -> str:
    """For ladders: without the version that all have, and with the beginnings of ids."""
    return _ID.sub(r"\1…", text.replace(", version 1,", ","))


def read_on_path(packets: pd.DataFrame) -> pd.DataFrame:
    """The same as everybody on the path can read it."""
    closed = packets.copy(deep=False)
    tls.set_keys(closed, [])
    return _thin(quic.read(closed).assign(info=None))


def read_http3(packets: pd.DataFrame) -> pd.DataFrame:
    """Frames of HTTP/3 as `analysis.dissect.http3.read` gives them."""
    return _thin(http3.read(packets).assign(info=None))


def read_http2(packets: pd.DataFrame) -> pd.DataFrame:
    """Frames of HTTP/2, inside TLS, as `analysis.dissect.http2.read` gives them."""
    return _thin(http2.read(packets).assign(info=None))


def read_http(packets: pd.DataFrame) -> pd.DataFrame:
    """Messages of HTTP/1.1, inside TLS, as `analysis.dissect.http.read` gives them."""
    return _thin(http.read(packets).assign(info=None))


def _thin(found: pd.DataFrame) -> pd.DataFrame:
    """Without columns of the packets that no claim needs; there are thousands of frames."""
    left_out = {*columns(), "body"} - {*_KEPT}
    return found[[name for name in found if name not in left_out]]


# ---- what claims ask


def frames(tables: Tables, step: str, *, capture: str = CLIENT, **equals: Any) -> pd.DataFrame:
    """A step's frames of QUIC, in their order.

    Raises:
        MissingDataError: the step has none at all.
    """
    if pick(tables, step, capture, table="quic").empty:
        raise MissingDataError(f"step '{step}': no QUIC at {capture}")
    return pick(tables, step, capture, table="quic", **equals)


def packets(found: pd.DataFrame) -> pd.DataFrame:
    """One row per packet."""
    return found.drop_duplicates(["frame", "packet", "number"]).reset_index(drop=True)


def datagrams(found: pd.DataFrame) -> pd.DataFrame:
    """One row per datagram."""
    return found.drop_duplicates("frame").reset_index(drop=True)


def answer_ms(tables: Tables, step: str) -> float:
    """From the step's first packet of QUIC to the first header of a response.

    Raises:
        MissingDataError: there was no response, or its keys are missing.
    """
    begin_s = float(frames(tables, step)["time_s"].min())
    said = pick(tables, step, CLIENT, table="http3", from_client=False, type="HEADERS")
    if said.empty:
        raise MissingDataError(f"step '{step}': no response of HTTP/3 can be read")
    return 1e3 * (float(said["time_s"].min()) - begin_s)


def moved_s(tables: Tables, step: str, to: str = "away") -> float:
    """When the client's address changed in a step.

    Raises:
        MissingDataError: the run does not say.
    """
    found = pick(tables, step, None, table="moves", to=to)
    if found.empty:
        raise MissingDataError(f"step '{step}': the run does not say when the address changed")
    return float(found["time_s"].iloc[0])


def elsewhere(rows: pd.DataFrame, found: pd.DataFrame) -> pd.Series[bool]:
    """Which rows come from or go to another address of the client than its first.

    Args:
        rows: to look at.
        found: the connection's, from its beginning.
    """
    home = found.loc[found["from_client"], "ip_src"].iloc[:1].tolist()
    ours = rows["ip_src"].where(rows["from_client"], rows["ip_dst"])
    return ~ours.isin(home)


def around_moves(tables: Tables, step: str, count: int = 4) -> list[int]:
    """Frames at a step's beginning, its end, the change of address, and its proof."""
    found = datagrams(frames(tables, step))
    proofs = frames(tables, step, type=["PATH_CHALLENGE", "PATH_RESPONSE"])["frame"].tolist()
    first = found.loc[elsewhere(found, found), "frame"].head(1).tolist()
    every = found["frame"].tolist()
    places = [0, len(every) - 1, *(every.index(frame) for frame in (*first, *proofs))]
    chosen = {near for place in places for near in range(place - count, place + count)}
    return [frame for place, frame in enumerate(every) if place in chosen]


def whole(found: pd.DataFrame) -> tuple[int, bool]:
    """Bytes from the beginning of a stream without a gap, and whether its end has come.

    Args:
        found: STREAM frames of one stream from one side.
    """
    reached, ended = 0, False
    for begin, size, fin in sorted(
        zip(found["offset"], found["data_bytes"], found["fin"], strict=True)
    ):
        if begin <= reached:
            reached = max(reached, int(begin) + int(size))
            ended = ended or bool(fin)
    return reached, ended
