"""A finished run as scenes: its scenarios, with claims, events and what nodes recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from testbed.core.claims import MissingDataError
from testbed.core.errors import CaptureError, ConfigError, nearest
from testbed.core.quantities import number
from testbed.core.rundir import VERDICTS, RunDir, read_json
from testbed.results import layout
from testbed.results.data import ScenarioData
from testbed.results.drawing import shape_labels
from testbed.results.replay import complete_scenarios, experiment_of
from testbed.viewer import movements, sightings, states, words
from testbed.viewer.columns import Pack
from testbed.viewer.graph import Graph
from testbed.viewer.scene import Scene, Where

MOST_EVIDENCE = 2_000
"""Packets of one evidence that light up."""


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
    budget = words.MOST_DESCRIBED
    scenes = []
    rows: dict[tuple[str, str, int], int] = {}
    for place, name in enumerate(shown):
        data = ScenarioData(name, run.scenario(name), None)
        wanted = _evidence(verdicts, name)
        scene = _scene(data, choice, wanted, budget, notes)
        budget -= len(scene.texts)
        for found in wanted:
            for row in scene.rows_of([found]):
                rows[name, *found] = row
        scenes.append(scene.packed(pack, place))
    about = {
        "kind": "run",
        "title": cls.title().rstrip("."),
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


def _scene(
    data: ScenarioData, choice: Choice, wanted: list[Where], budget: int, notes: list[str]
) -> Scene:
    graph = Graph.of(data.topology, data.network)
    seen = _seen(data, graph, notes)
    ends = [int(row["time_ns"]) for row in states.events(data) if row["event"] == "end"]
    last_ns = max((int(one["time_ns"].iloc[-1]) for one in seen.values() if len(one)), default=0)
    end_ns = max([*ends, last_ns])
    found = _cut(movements.find(seen, graph, end_ns), data.name, choice, notes)
    recorded = states.changes(data, notes) | states.saved(data, graph, notes)
    recorded |= {"sockets": states.sockets(data), "windows": list(states.windows(data))}
    return Scene(
        data.name,
        _nodes(data),
        _links(data, graph),
        found,
        end_ns,
        _texts(data, seen, budget, notes),
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


def _cut(found: pd.DataFrame, scenario: str, choice: Choice, notes: list[str]) -> pd.DataFrame:
    """The movements in the chosen time."""
    times = found["sent_ns"].to_numpy() / 1e9
    kept = np.ones(len(found), bool)
    if choice.from_s is not None:
        kept &= times >= choice.from_s
    if choice.to_s is not None:
        kept &= times <= choice.to_s
    if not kept.all():
        away = number(int((~kept).sum()), "packets")
        notes.append(f"{scenario}: {away} outside the chosen time")
    return found[kept].reset_index(drop=True)


def _texts(
    data: ScenarioData, seen: Mapping[str, pd.DataFrame], budget: int, notes: list[str]
) -> pd.DataFrame:
    """Packets in words, of as many captures as fit into the budget, small ones first."""
    parts, silent = [], []
    for capture in sorted(seen, key=lambda name: len(seen[name])):
        frames = seen[capture]["frame"].tolist()
        if len(frames) > budget:
            silent.append(capture)
            continue
        budget -= len(frames)
        from analysis import packets

        said = words.describe(data.packets(capture, list(packets.COLUMNS)), frames)
        parts.append(said.assign(capture=capture))
    if silent:
        notes.append(
            f"{data.name}: packets of {', '.join(silent)} have protocol, ports and length, no words"
        )
    columns = ["capture", "frame", "text", "mark"]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)


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
