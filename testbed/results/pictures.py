"""Pictures of a run: networks and figures, as shown in its report, the book and notebooks."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.author.experiment import Experiment
from testbed.core import files
from testbed.core.errors import ConfigError, nearest
from testbed.core.rundir import RunDir, read_json
from testbed.results.drawing import draw
from testbed.results.html import cell


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


@dataclass(frozen=True)
class Picture:
    """A drawing; Jupyter shows it.

    Attributes:
        data: PNG or SVG.
        caption: what to look for, or an empty string.
    """

    data: bytes
    caption: str = ""

    @property
    def kind(self) -> str:
        """Its MIME type: ``image/png`` or ``image/svg+xml``."""
        return "image/png" if self.data.startswith(b"\x89PNG") else "image/svg+xml"

    @property
    def src(self) -> str:
        """The picture as a ``data:`` address, for an ``<img>`` of HTML."""
        return f"data:{self.kind};base64,{base64.b64encode(self.data).decode()}"

    def save(self, path: Path | str) -> None:
        """Writes the picture to a file.

        Raises:
            OutputError: it cannot be written.
        """
        files.write_bytes(Path(path), self.data)

    def __repr__(self) -> str:
        return f"<Picture {self.kind}, {len(self.data)} bytes: {self.caption or 'no caption'}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        svg = self.kind == "image/svg+xml"
        return {self.kind: self.data.decode() if svg else self.data}


class Figures(Mapping[str, Picture]):
    """The figures of a finished run by name, as its report shows them. Jupyter shows all.

    Raises:
        ConfigError: there is no figure of this name.
    """

    def __init__(self, folder: Path, cls: type[Experiment]) -> None:
        self._files = {path.stem: path for path in figure_files(folder)}
        self._cls = cls

    def __getitem__(self, name: str) -> Picture:
        if name not in self._files:
            raise ConfigError(
                f"figure '{name}': not in this run{nearest(name, self)}; "
                f"there are: {', '.join(self) or 'none'}"
            )
        path = self._files[name]
        return Picture(path.read_bytes(), ": ".join(filter(None, self._cls.caption(path.stem))))

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __repr__(self) -> str:
        return f"<Figures: {', '.join(self) or 'none'}>"

    def _repr_html_(self) -> str:
        return cell(pictures=self)
