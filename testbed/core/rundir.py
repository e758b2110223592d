"""The run directory: everything that a run produced and that later steps read.

The layout is documented in ``docs/run-directory.md``; `FORMAT` changes when it does. Files are
written completely or not at all (`testbed.core.files`).
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from testbed.core import files
from testbed.core.errors import ConfigError, OutputError, ParseError, with_reason
from testbed.core.project import PROJECT

FORMAT = 1
"""Version of the layout, in ``run.json``."""


class State(StrEnum):
    """A run's progress. A lock says which is under way; the last write of all says `finished`."""

    UNDER_WAY = "under way"
    """It is running, or being judged again."""
    FINISHED = "finished"
    """It ran, and was measured and judged."""
    FAILED = "failed"
    """It failed before that; ``reason`` says why."""
    INTERRUPTED = "interrupted"
    """It was stopped by somebody, or by the machine."""


ADDRESSES = "configs/addresses.json"
"""In a scenario's folder: the addresses that handwritten configurations give, if they do."""

RUN, SCENARIO, OUTCOME, VERDICTS, REPORT, REPETITION = (
    "run.json",
    "scenario.json",
    "outcome.json",
    "verdicts.json",
    "report.html",
    "repetition.json",
)


KEYS = "keys"
"""Folder of a scenario with the secrets of its TLS connections, as key logs."""

QLOG = "qlog"
"""Folder of a scenario with what the ends of its QUIC connections logged, one folder per node."""


def key_logs(scenario: Path) -> list[Path]:
    """The key logs of a scenario's folder."""
    return sorted((scenario / KEYS).glob("*.log"))


def write_json(path: Path, data: Any, *, durable: bool = False) -> None:
    """Writes `data` as JSON, whole or not at all; see `testbed.core.files.writing`."""
    text = json.dumps(data, indent=1, ensure_ascii=False, default=str) + "\n"
    files.write_text(path, text, durable=durable)


def read_json(path: Path) -> Any:
    """Data of a JSON file.

    Raises:
        ParseError: the file is missing, or is not JSON; names the file and the place.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParseError(str(path), "file", "is missing; is this a complete run?") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ParseError(str(path), f"line {getattr(error, 'lineno', 1)}", str(error)) from None


SEED = "seed-"
"""Prefix of the names of a repetition's runs."""

_LOOK_S = 0.2
"""How long a run waits for processes that only check whether it is in progress."""


@dataclass(frozen=True)
class RunDir:
    """One run's folder."""

    path: Path

    @classmethod
    def create(cls, parent: Path, experiment: str) -> RunDir:
        """A new, empty run directory ``<experiment>-<UTC time>[-n]`` under `parent`.

        Raises:
            OutputError: `parent` cannot be written.
        """
        files.make_folder(parent, what="--out")
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        for number in range(1, 1000):
            suffix = f"-{number}" if number > 1 else ""
            path = parent / f"{experiment}-{stamp}{suffix}"
            try:
                path.mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                why = files.reason(error)
                raise OutputError(f"--out {parent}: cannot be written: {why}") from None
            return cls(path)
        raise OutputError(f"--out {parent}: too many runs at {stamp}")

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Marks the directory as in progress for the block; no other command may use it meanwhile.

        The mark is a lock that vanishes with its holder, however that ends.

        Raises:
            ConfigError: it is already in progress.
        """
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if not _locked(folder, fcntl.LOCK_EX):
                raise ConfigError(f"{self.path}: is still running; wait until it ends")
            yield
        finally:
            os.close(folder)

    @property
    def under_way(self) -> bool:
        """Whether it is running now, alone or as part of a repetition."""
        folders = [self.path, *([self.path.parent] if self.path.name.startswith(SEED) else [])]
        return any(_is_locked(folder) for folder in folders)

    @property
    def state(self) -> State:
        """Its state; see `State`.

        Raises:
            ParseError: ``run.json`` cannot be read.
        """
        if self.under_way:
            return State.UNDER_WAY
        meta = self.meta()
        if "state" not in meta:  # written before runs had states
            return _old_state(meta)
        try:
            state = State(meta["state"])
        except ValueError:
            known = ", ".join(State)
            reason = f"is {meta['state']!r}; known: {known}"
            raise ParseError(str(self.path / RUN), "state", reason) from None
        return State.INTERRUPTED if state is State.UNDER_WAY else state

    @property
    def is_of_later_version(self) -> bool:
        """Whether a later version of this program made it, in a format unknown to this one."""
        with suppress(ParseError):
            data = read_json(self.path / RUN)
            return (
                isinstance(data, dict) and isinstance(f := data.get("format"), int) and f > FORMAT
            )
        return False

    @property
    def ran(self) -> bool:
        """Whether its networks finished, so that it can be measured and judged."""
        return bool(self.meta().get("status") == "complete")

    @classmethod
    def open(cls, where: str, runs: Path) -> RunDir:
        """An existing run by its path, its name under `runs`, or ``latest``.

        ``latest`` is the run that started last, of those with finished networks that are not in
        progress.

        Raises:
            ConfigError: there is none, or it is in progress.
        """
        run = cls._latest(runs) if where == "latest" else cls._named(where, runs)
        if run.under_way:
            raise ConfigError(f"{run.path}: is still running; wait until it ends")
        return run

    @classmethod
    def _latest(cls, runs: Path) -> RunDir:
        found = [cls(p.parent) for p in runs.glob(f"*/{RUN}")]
        for run in sorted(found, key=cls.when, reverse=True):
            with suppress(ParseError):
                if not run.under_way and run.ran:
                    return run
        others = f" ({len(found)} running, interrupted or failed: testbed runs)" if found else ""
        raise ConfigError(
            f"latest: no finished run in {runs} yet{others}; make one with 'testbed run'"
        )

    def when(self) -> tuple[str, int, str]:
        """A key that sorts runs by their start; judging a run again does not make it newer."""
        started = ""
        with suppress(ParseError):
            started = str(self.meta().get("started", ""))
        stem, _, number = self.path.name.rpartition("-")
        nth = int(number) if number.isdigit() and len(number) < len("235959") else 1
        return started, nth, stem

    @classmethod
    def _named(cls, where: str, runs: Path) -> RunDir:
        for path in (Path(where), runs / where):
            if (path / RUN).is_file():
                return cls(path.resolve())
            if seeds := sorted(p.parent.name for p in path.glob(f"seed-*/{RUN}")):
                raise ConfigError(
                    f"{where}: is a repetition; choose one of its runs: {path / seeds[0]}"
                )
        if not any(path.exists() for path in (Path(where), runs / where)):
            raise ConfigError(f"{where}: no such run; see {runs}")
        raise ConfigError(f"{where}: not a run directory (it has no {RUN}); see {runs}")

    def meta(self) -> dict[str, Any]:
        """Contents of ``run.json``.

        Raises:
            ParseError: unreadable, or in a later format than this program knows.
        """
        data = read_json(self.path / RUN)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            found = data.get("format") if isinstance(data, dict) else None
            raise ParseError(
                str(self.path / RUN), "format", f"is {found!r}, but this program reads {FORMAT}"
            )
        return data

    def write_meta(self, data: dict[str, Any]) -> None:
        """Replaces ``run.json``."""
        write_json(self.path / RUN, {**data, "format": FORMAT}, durable=True)

    def set_state(self, state: State, reason: str | None = None) -> None:
        """Records the run's state in ``run.json``; the rest of the file stays."""
        more = {} if reason is None else {"reason": reason}
        self.write_meta(self.meta() | {"state": str(state), **more})

    def require_finished(self) -> None:
        """Refuses a run that is not finished.

        Raises:
            ConfigError: it is not; says what to do.
        """
        state, why = self.state, self.meta().get("reason")
        if state is State.FINISHED:
            return
        mend = f"judge it with 'testbed replay {self.path}'" if self.ran else "run it again"
        raise ConfigError(f"{self.path}: is {with_reason(state, why or '')}; {mend}")

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


def _locked(folder: int, kind: int) -> bool:
    """Locks an open folder; others hold the lock briefly to check whether it is free."""
    deadline_s = time.monotonic() + _LOOK_S
    while True:
        try:
            fcntl.flock(folder, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_LOOK_S / 20)
        except OSError:  # a file system without locks
            return True
        else:
            return True


def _is_locked(path: Path) -> bool:
    """Whether a run is in progress in a folder."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    else:
        return False
    finally:
        os.close(folder)


def _old_state(meta: dict[str, Any]) -> State:
    """State of a run made before ``run.json`` recorded it."""
    if meta.get("status") == "complete":
        return State.FINISHED
    by_hand = meta.get("status") == "running" or str(meta.get("reason")).endswith("interrupted")
    return State.INTERRUPTED if by_hand else State.FAILED


def default_runs() -> Path:
    """Where runs go without ``--out``: ``$TESTBED_RUNS``, or ``runs`` in this folder.

    Inside the project it is always the project's, so that notebooks find them.
    """
    if given := os.environ.get("TESTBED_RUNS"):
        return Path(given).resolve()
    here = Path.cwd()
    return (PROJECT if here.is_relative_to(PROJECT) else here) / "runs"
