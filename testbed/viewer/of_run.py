"""A finished run as scenes: its scenarios, with claims, events and what nodes recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from testbed.author.experiment import source_of
from testbed.author.experiment_folder import texts
from testbed.core.claims import MissingDataError
from testbed.core.errors import CaptureError, ConfigError, nearest
from testbed.core.quantities import number
from testbed.core.rundir import VERDICTS, RunDir, read_json
from testbed.results import layout
from testbed.results.data import ScenarioData
from testbed.results.drawing import shape_labels
from testbed.results.replay import complete_scenarios, experiment_of
from testbed.viewer import consequence, movements, sightings, states, words
from testbed.viewer.columns import Pack
from testbed.viewer.graph import Graph
from testbed.viewer.scene import Scene, Where

MOST_EVIDENCE = 2_000
"""Packets of one evidence that light up."""


_WORDS = ["capture", "frame", "text", "mark"]


@dataclass(frozen=True)
class Choice:
    """What of a run the page shows.

    Attributes:
        scenarios: names; empty: all.
        from_s, to_s: only packets sent in between, in seconds from the scenario's start.
    """

    scenarios: Sequence[str] = ()
    from_s: float | None = None
    to_s: float | None = None


@dataclass
class Collected:
    """Scenes and what is said about them.

    Attributes:
        about: what the page's beginning says of the run.
        pack: the blocks.
        notes: what is left out.
    """

    about: dict[str, Any]
    pack: Pack
    notes: list[str] = field(default_factory=list)


def collect(run: RunDir, choice: Choice) -> Collected:
    """Reads a run.

    Raises:
        ConfigError: the run is not finished, or has no such scenario.
    """
    run.require_finished()
    names = complete_scenarios(run)
    for name in choice.scenarios:
        if name not in names:
            raise ConfigError(
                f"--scenario {name}: not in this run{nearest(name, names)}; "
                f"there are: {', '.join(names)}"
            )
    shown = [name for name in names if name in choice.scenarios or not choice.scenarios]
    cls, meta, pack = experiment_of(run), run.meta(), Pack()
    verdicts = read_json(run.path / VERDICTS)
    notes: list[str] = []
    budget = words.Budget()
    scenes = []
    rows: dict[tuple[str, str, int], int] = {}
    for place, name in enumerate(shown):
        data = ScenarioData(name, run.scenario(name), None)
        wanted = _evidence(verdicts, name)
        share = budget.share(len(shown) - place)
        rest = replace(share)
        scene = _scene(data, choice, wanted, notes)
        scene.texts = _texts(data, scene, rest, notes)
        for found in wanted:
            for row in scene.rows_of([found]):
                rows[name, *found] = row
        scenes.append(scene.packed(pack, place, rest))
        budget.spend(share, rest)
    chinese = texts(source_of(cls), "zh")
    about = {
        "kind": "run",
        "title": cls.title().rstrip("."),
        "chinese": {
            cls.title().rstrip("."): chinese(cls.title()).rstrip(".。"),
            **{verdict["sentence"]: chinese(verdict["sentence"]) for verdict in verdicts},
        },
        "experiment": meta["experiment"],
        "folder": run.path.name,
        "seed": meta["seed"],
        "clock": meta["clock"],
        "claims": [_claim(verdict, rows, shown) for verdict in verdicts],
        "scenes": scenes,
    }
    return Collected(about, pack, notes)


def _evidence(verdicts: Iterable[Mapping[str, Any]], scenario: str) -> list[Where]:
    return [
        (found["capture"], frame)
        for verdict in verdicts
        for found in verdict.get("evidence", ())
        if found.get("scenario") == scenario and found.get("capture")
        for frame in found.get("frames", ())[:MOST_EVIDENCE]
    ]


def _claim(
    verdict: Mapping[str, Any], rows: Mapping[tuple[str, str, int], int], shown: Sequence[str]
) -> dict[str, Any]:
    """A verdict with the rows of the movements that show it."""
    kept = ("claim", "sentence", "source", "status", "observed", "expected")
    evidence = []
    for found in verdict.get("evidence", ()):
        scenario, capture = found.get("scenario", ""), found.get("capture", "")
        frames = found.get("frames", ())[:MOST_EVIDENCE]
        places = [rows.get((scenario, capture, frame)) for frame in frames]
        evidence.append(
            {
                "what": found.get("what", ""),
                "scene": shown.index(scenario) if scenario in shown else None,
                "capture": capture,
                "frames": len(found.get("frames", ())),
                "rows": sorted({row for row in places if row is not None}),
            }
        )
    return {name: verdict.get(name, "") for name in kept} | {"evidence": evidence}


def _scene(data: ScenarioData, choice: Choice, wanted: list[Where], notes: list[str]) -> Scene:
    graph = Graph.of(data.topology, data.network)
    seen = _seen(data, graph, notes)
    ends = [int(row["time_ns"]) for row in states.events(data) if row["event"] == "end"]
    last_ns = max((int(one["time_ns"].iloc[-1]) for one in seen.values() if len(one)), default=0)
    end_ns = max([*ends, last_ns])
    found = movements.find(seen, graph, end_ns, _taken(data))
    found = _cut(found, graph, data.name, choice, notes)
    recorded = states.changes(data, notes) | states.saved(data, graph, notes)
    recorded |= {"sockets": states.sockets(data), "windows": list(states.windows(data))}
    return Scene(
        data.name,
        _nodes(data),
        _links(data, graph),
        found,
        end_ns,
        pd.DataFrame(columns=_WORDS),
        lambda capture, frames: _raw(data, capture, frames),
        states.events(data),
        recorded,
        wanted,
    )


def _seen(data: ScenarioData, graph: Graph, notes: list[str]) -> dict[str, pd.DataFrame]:
    """Interface → its packets, with times from the scenario's start."""
    found = {}
    for capture in data.captures():
        if capture not in graph.places:
            notes.append(f"{data.name}: capture {capture} is not of a link")
            continue
        try:
            packets = data.packets(capture, sightings.COLUMNS)
        except (MissingDataError, CaptureError) as error:
            notes.append(f"{data.name}: {error}")
            continue
        one = sightings.of_capture(packets)
        found[capture] = one.assign(time_ns=one["time_ns"] - data.t0_ns)
    return found


def _taken(data: ScenarioData) -> dict[str, movements.Taken]:
    """How each interface was captured; times from the scenario's start."""
    path = data.path / "captures" / "captures.json"
    return {
        name: movements.Taken(
            stats["start_ns"] - data.t0_ns, stats["end_ns"] - data.t0_ns, stats["filter"]
        )
        for name, stats in (read_json(path) if path.is_file() else {}).items()
        if {"start_ns", "end_ns", "filter"} <= set(stats)
    }


def _cut(
    found: pd.DataFrame, graph: Graph, scenario: str, choice: Choice, notes: list[str]
) -> pd.DataFrame:
    """The movements in the chosen time."""
    times = found["sent_ns"].to_numpy() / 1e9
    kept = np.ones(len(found), bool)
    if choice.from_s is not None:
        kept &= times >= choice.from_s
    if choice.to_s is not None:
        kept &= times <= choice.to_s
    if not kept.all():
        packets = consequence.packets(found, [link.nodes for link in graph.links])
        away = len(np.unique(packets)) - len(np.unique(packets[kept]))
        notes.append(f"{scenario}: {number(away, 'packets')} outside the chosen time")
    return found[kept].reset_index(drop=True)


def _texts(
    data: ScenarioData, scene: Scene, budget: words.Budget, notes: list[str]
) -> pd.DataFrame:
    """Packets in words, of as many captures as fit into the budget, small ones first."""
    captures, frames = scene.places()
    shown = pd.DataFrame({"capture": captures, "frame": frames, "packet": scene.packets})
    parts, silent = [pd.DataFrame(columns=_WORDS)], []
    said = np.array([], np.int64)
    for capture, of in sorted(shown.groupby("capture"), key=lambda one: len(one[1])):
        also = np.union1d(said, of["packet"])
        if len(also) - len(said) > budget.described:
            silent.append(str(capture))
            continue
        budget.described -= len(also) - len(said)
        said = also
        from analysis import packets

        whole = data.packets(str(capture), list(packets.COLUMNS))
        parts.append(words.describe(whole, of["frame"]).assign(capture=capture)[_WORDS])
    if silent:
        notes.append(
            f"{data.name}: packets of {', '.join(silent)} have protocol, ports and length, no words"
        )
    return pd.concat(parts)


def _raw(data: ScenarioData, capture: str, frames: Iterable[int]) -> Mapping[int, Any]:
    from analysis import packets

    path: Path = data.path / "captures" / f"{capture}.pcap"
    return packets.read_raw_many(path, frames)


def _nodes(data: ScenarioData) -> list[dict[str, Any]]:
    nodes, links = data.topology["nodes"], data.topology["links"]
    at = layout.positions(nodes, links)
    addresses = data.network["addresses"]
    return [
        {
            "name": node["name"],
            "kind": node.get("kind", "host"),
            "x": round(at[node["name"]][0], 1),
            "y": round(at[node["name"]][1], 1),
            "addresses": [
                {name: row.get(name) for name in ("interface", "peer", "ipv4", "ipv6", "mac")}
                for row in addresses
                if row["node"] == node["name"]
            ],
        }
        for node in nodes
    ]


def _links(data: ScenarioData, graph: Graph) -> list[dict[str, Any]]:
    rows = data.topology["links"]
    queues = states.queues(data)
    bent = layout.bends(rows, layout.positions(data.topology["nodes"], rows))
    return [
        {
            "nodes": link.nodes,
            "interfaces": link.interfaces,
            "bend": bend,
            "shapes": shape_labels(row),
            "captured": [
                (data.path / "captures" / f"{name}.pcap").is_file() for name in link.interfaces
            ],
            "queues": [queues.get(name, []) for name in link.interfaces],
        }
        for link, row, bend in zip(graph.links, rows, bent, strict=True)
    ]
