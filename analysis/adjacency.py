"""How OSPF's neighbours come up, whom they elect, and why they do not: from their packets."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, cast

import pandas as pd

from analysis import ladder

NONE = "0.0.0.0"
"""Of a designated router: there is none."""

_MUST_AGREE = ("area", "hello_interval_s", "dead_interval_s", "mask")


def disagreements(hellos: pd.DataFrame) -> pd.DataFrame:
    """Which neighbours' hellos contradict each other, and in what (RFC 2328 §10.5).

    Args:
        hellos: ``capture``, ``sender`` and the fields of hellos.

    Returns:
        ``capture``, ``field``, ``routers``, ``values`` (both joined by `` and ``).
    """
    rows = []
    for capture, there in hellos.groupby("capture", observed=True):
        for field in _MUST_AGREE:
            values = there.groupby("sender", observed=True)[field].first().dropna()
            if values.nunique() > 1:
                rows.append(
                    {
                        "capture": capture,
                        "field": field,
                        "routers": " and ".join(values.index),
                        "values": " and ".join(str(v) for v in values),
                    }
                )
    return pd.DataFrame(rows, columns=["capture", "field", "routers", "values"])


def elected(candidates: Iterable[tuple[int, str]]) -> tuple[str, str]:
    """Designated router and backup of routers that start together (RFC 2328 §9.4).

    Args:
        candidates: (priority, router id); priority 0 never stands.

    Returns:
        The router ids of DR and BDR; `NONE` where nobody is left.
    """
    standing = sorted(((p, ipaddress.IPv4Address(i)) for p, i in candidates if p > 0), reverse=True)
    first, second = [*(str(i) for _, i in standing), NONE, NONE][:2]
    return first, second


STEPS = ("Init", "2-Way", "ExStart", "Exchange", "Loading", "Full")
"""States of a neighbour on the way up, each with what is on the wire when it is reached."""


def adjacency(sent: pd.DataFrame) -> pd.DataFrame:
    """The packets by which two routers on one link come up, in the order they passed.

    Init: a first hello; 2-Way: one that lists the other; ExStart: a description that opens
    (flag I); Exchange: one that carries headers; Loading: a request; Full: the first update
    behind the last request.

    Args:
        sent: packets of one link, with ``time_s``.

    Returns:
        ``step`` in front of each packet's columns, one row a step, as they passed.
    """
    hello, described = sent["type"] == "hello", sent["type"] == "description"
    opening = sent["dd_flags"].fillna("").str.contains("I")
    last_request = sent[sent["type"] == "request"]["time_s"].max()
    marks = {
        "Init": hello,
        "2-Way": hello & (sent["neighbours"].fillna("") != ""),
        "ExStart": described & opening,
        "Exchange": described & ~opening & (sent["lsa_count"] > 0),
        "Loading": sent["type"] == "request",
        "Full": (sent["type"] == "update") & (sent["time_s"] >= last_request),
    }
    firsts = [sent[mask].head(1).assign(step=step) for step, mask in marks.items()]
    steps: pd.DataFrame = pd.concat(firsts).sort_values("time_s", kind="stable")
    return steps


def words(sent: pd.DataFrame, names: Mapping[str, str]) -> list[str]:
    """What each packet says, in a few words.

    Args:
        sent: packets.
        names: router id → router.
    """
    return [_words(row, names) for row in cast("list[dict[str, Any]]", sent.to_dict("records"))]


def _words(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    kind, count = str(row["type"]), int(row["lsa_count"])
    if kind == "hello":
        heard = [names.get(i, i) for i in str(row["neighbours"] or "").split()]
        return f"hello, heard {', '.join(heard)}" if heard else "hello, heard nobody"
    if kind == "description":
        parts = [row["dd_flags"] or "", f"{count} header{'s' * (count != 1)}" if count else ""]
        return ", ".join(["description", *filter(None, parts)])
    verb = {"request": "asks for", "update": "tells", "acknowledgement": "got"}[kind]
    return f"{kind}: {verb} {count} LSA{'s' * (count != 1)}"


def drawn(sent: pd.DataFrame) -> str:
    """Two routers come up, until both have acknowledged what they received, as SVG.

    Args:
        sent: their packets.
    """
    names = dict(zip(sent["router_id"], sent["sender"], strict=True))
    reached = dict(zip(*(adjacency(sent)[name] for name in ("frame", "step")), strict=True))
    got = sent[sent["type"] == "acknowledgement"].groupby("sender")["time_s"].min()
    shown = sent[sent["time_s"] <= got.max()]
    pair = sorted(set(names.values()))
    arrows = [
        ladder.Message(
            int(time_ns),
            sender,
            pair[1 - pair.index(sender)],
            f"{text} → {reached[frame]}" if frame in reached else text,
        )
        for time_ns, sender, frame, text in zip(
            shown["time_ns"], shown["sender"], shown["frame"], words(shown, names), strict=True
        )
    ]
    return ladder.svg(arrows, hosts=pair, title="An adjacency comes up")
