"""The pictures of a run that its report and the book show: networks and figures."""

from __future__ import annotations

from pathlib import Path

from testbed.core.rundir import RunDir, read_json
from testbed.results.drawing import draw


def drawings(run: RunDir) -> dict[str, list[str]]:
    """Drawings of a run's networks, as SVG → the scenarios that share it."""
    found: dict[str, list[str]] = {}
    for scenario in run.meta()["scenarios"]:
        folder = run.scenario(scenario)
        if (folder / "network.json").is_file():
            addresses = read_json(folder / "network.json")["addresses"]
            svg = draw(read_json(folder / "topology.json"), addresses)
            found.setdefault(svg, []).append(scenario)
    return found


def figure_files(folder: Path) -> list[Path]:
    """The figures in a folder, in order."""
    return sorted([*folder.glob("*.png"), *folder.glob("*.svg")])
