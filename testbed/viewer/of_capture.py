"""Any capture as a scene: its addresses are nodes, and a link joins two that talk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from testbed.core.quantities import number
from testbed.results import layout
from testbed.viewer import movements, sightings, words
from testbed.viewer.columns import Pack
from testbed.viewer.of_run import Collected
from testbed.viewer.scene import Scene

MOST_NODES = 60
"""Addresses with a node of their own: those with the most packets; the others share one."""

OTHERS = "others"
CAPTURE = "capture"
"""Name of the capture in the scene, which has one."""

Read = Callable[[Iterable[int]], Mapping[int, Any]]


def collect(name: str, packets: pd.DataFrame, said: pd.DataFrame, read: Read) -> Collected:
    """Reads a capture.

    Args:
        name: of the file.
        packets: all of its packets, as `analysis.packets.read` gives them.
        said: of `words.describe`, of the first packets.
        read: numbers → packets, undecoded.
    """
    notes: list[str] = []
    seen = sightings.of_capture(packets)
    first_ns = int(seen["time_ns"].min()) if len(seen) else 0
    seen = seen.assign(time_ns=seen["time_ns"] - first_ns).sort_values("time_ns", kind="stable")
    seen = _with_nodes(seen, notes)
    names = sorted({*seen["one"].unique(), *seen["two"].unique()}) if len(seen) else []
    pairs = sorted({tuple(sorted(pair)) for pair in zip(seen["one"], seen["two"], strict=True)})
    links = [{"node1": one, "node2": two} for one, two in pairs]
    at = layout.positions([{"name": one} for one in names], links) if names else {}
    if len(said) < len(packets):
        notes.append(f"words are those of the first {number(len(said), 'packets')}")
    scene = Scene(
        name,
        [_node(one, at[one]) for one in names],
        [_link(one, two) for one, two in pairs],
        _movements(seen, {pair: place for place, pair in enumerate(pairs)}),
        int(seen["time_ns"].max()) if len(seen) else 0,
        said.assign(capture=CAPTURE),
        lambda _, frames: read(frames),
    )
    pack, budget = Pack(), words.Budget()
    about = {
        "kind": "capture",
        "title": name,
        "claims": [],
        "scenes": [scene.packed(pack, 0, budget)],
    }
    return Collected(about, pack, notes)


def _with_nodes(seen: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """With the nodes of the two ends of each packet."""
    both = pd.concat([seen["src"].astype(object), seen["dst"].astype(object)])
    counted = both.value_counts()
    own = set(counted.index[:MOST_NODES])
    if len(counted) > MOST_NODES:
        rest = number(len(counted) - MOST_NODES, "addresses")
        notes.append(f"{rest} with few packets share the node “{OTHERS}”")
    ends = {
        name: seen[column].astype(object).map(lambda one: one if one in own else OTHERS)
        for name, column in (("one", "src"), ("two", "dst"))
    }
    return seen.assign(**{name: column.replace("", "?") for name, column in ends.items()})


def _node(name: str, at: tuple[float, float]) -> dict[str, Any]:
    from analysis.ladder import to_all

    kind = "switch" if to_all(name) else "host"
    return {"name": name, "kind": kind, "x": round(at[0], 1), "y": round(at[1], 1), "addresses": []}


def _link(one: str, two: str) -> dict[str, Any]:
    return {
        "nodes": (one, two),
        "interfaces": (CAPTURE, CAPTURE),
        "bend": 0,
        "shapes": [],
        "captured": [True, True],
        "queues": [[], []],
    }


def _movements(seen: pd.DataFrame, links: Mapping[tuple[str, str], int]) -> pd.DataFrame:
    """Each packet goes from its source to its target at the moment of its capture."""
    ends = list(zip(seen["one"], seen["two"], strict=True))
    found = seen[list(movements.COPIED)].reset_index(drop=True)
    return found.assign(
        link=np.array([links[min(pair), max(pair)] for pair in ends], np.int64),
        end=np.array([one > two for one, two in ends], np.int64),
        sent_ns=seen["time_ns"].to_numpy(),
        took_ns=0,
        out=seen["frame"].to_numpy(),
        into=0,
        status=movements.ARRIVAL_GUESSED,
        stop=movements.GOES_ON,
    )
