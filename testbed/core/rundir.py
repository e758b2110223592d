"""The run directory: everything one run produced, and all that later steps read.

The layout is documented in ``docs/run-directory.md``; `FORMAT` changes when it does. Files are
written whole or not at all (to a temporary name, then renamed).
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.core.errors import ConfigError, ParseError
from testbed.core.project import PROJECT

FORMAT = 1
"""Version of the layout, in ``run.json``."""

RUN, SCENARIO, OUTCOME, VERDICTS, REPORT, REPETITION = (
    "run.json",
    "scenario.json",
    "outcome.json",
    "verdicts.json",
    "report.html",
    "repetition.json",
)


def write_json(path: Path, data: Any) -> None:
    """Writes `data` as JSON, whole or not at all."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False, default=str) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all."""
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> Any:
    """Data of a JSON file.

    Raises:
        ParseError: not there, or not JSON; names the file and the place.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParseError(str(path), "file", "is missing; is this a complete run?") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ParseError(str(path), f"line {getattr(error, 'lineno', 1)}", str(error)) from None


@dataclass(frozen=True)
class RunDir:
    """One run's folder."""

    path: Path

    @classmethod
    def create(cls, parent: Path, experiment: str) -> RunDir:
        """A new, empty run directory ``<experiment>-<UTC time>[-n]`` under `parent`.

        Raises:
            ConfigError: `parent` cannot be written.
        """
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        for number in range(1, 1000):
            suffix = f"-{number}" if number > 1 else ""
            path = parent / f"{experiment}-{stamp}{suffix}"
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise ConfigError(
                    f"--out {parent}: cannot be written ({error.strerror}); give another folder"
                ) from None
            return cls(path)
        raise ConfigError(f"--out {parent}: too many runs at {stamp}")

    @contextmanager
    def in_use(self) -> Iterator[bool]:
        """Marks the directory as somebody's for the block; says whether it was nobody's before.

        The mark is a lock: it goes with its holder, however that ends.
        """
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(folder)

    @classmethod
    def open(cls, where: str, runs: Path) -> RunDir:
        """An existing run by its path, its name under `runs`, or ``latest``.

        Raises:
            ConfigError: there is none.
        """
        if where == "latest":
            found = [p.parent for p in runs.glob(f"*/{RUN}")]
            if not found:
                raise ConfigError(f"latest: no run in {runs} yet; make one with 'testbed run'")
            return cls(max(found, key=lambda p: ((p / RUN).stat().st_mtime_ns, p.name)))
        for path in (Path(where), runs / where):
            if (path / RUN).is_file():
                return cls(path.resolve())
            if seeds := sorted(p.parent.name for p in path.glob(f"seed-*/{RUN}")):
                raise ConfigError(
                    f"{where}: is a repetition; name one of its runs: {path / seeds[0]}"
                )
        if not any(path.exists() for path in (Path(where), runs / where)):
            raise ConfigError(f"{where}: no such run; see {runs}")
        raise ConfigError(f"{where}: not a run directory (it has no {RUN}); see {runs}")

    def meta(self) -> dict[str, Any]:
        """Contents of ``run.json``.

        Raises:
            ParseError: unreadable, or of a later format than this program knows.
        """
        data = read_json(self.path / RUN)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            found = data.get("format") if isinstance(data, dict) else None
            raise ParseError(
                str(self.path / RUN), "format", f"is {found!r}, this program reads {FORMAT}"
            )
        return data

    def write_meta(self, data: dict[str, Any]) -> None:
        """Replaces ``run.json``."""
        write_json(self.path / RUN, {"format": FORMAT, **data})

    def scenario(self, name: str) -> Path:
        """Folder of one scenario."""
        return self.path / "scenarios" / name

    @property
    def tables(self) -> Path:
        """Folder of the measured tables."""
        return self.path / "tables"

    @property
    def plots(self) -> Path:
        """Folder of the figures."""
        return self.path / "plots"


def default_runs() -> Path:
    """Where runs go if ``--out`` does not say: ``$TESTBED_RUNS``, or ``runs`` in this folder.

    In any folder of the project it is the project's, so that notebooks find them.
    """
    if given := os.environ.get("TESTBED_RUNS"):
        return Path(given).resolve()
    here = Path.cwd()
    return (PROJECT if here.is_relative_to(PROJECT) else here) / "runs"
