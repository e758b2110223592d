"""What kills showed: lines of JSON in a file, so that an interrupted round goes on; and a table."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Kill:
    """What one kill showed.

    Attributes:
        command: which was killed.
        signal: by which, without SIG.
        moment_s: after its start.
        hit: the command was still running then; otherwise it was no kill.
        took_s: until the command ended.
        code: with which.
        compared: the command was run again afterwards, undisturbed.
        left: all that should not be.
    """

    command: str
    signal: str
    moment_s: float
    hit: bool
    took_s: float
    code: int
    compared: bool = False
    left: list[str] = field(default_factory=list)


def append(path: Path, kill: Kill) -> None:
    """Adds one in one write: several processes add to the same file."""
    line = json.dumps(asdict(kill)) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read(path: Path) -> list[Kill]:
    """All so far; none if there is no file yet.

    Raises:
        SystemExit: a line is none of ours.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(Kill(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise SystemExit(f"{path}:{number}: not a kill ({error}); remove the line") from None
    return found


def table(kills: Iterable[Kill]) -> Iterator[str]:
    """One row per command and signal, and under it what was left."""
    yield f"{'command':15} {'signal':7} {'kills':>5} {'compared':>8} {'slowest end':>12}  left"
    rows: dict[tuple[str, str], list[Kill]] = {}
    for kill in kills:
        rows.setdefault((kill.command, kill.signal), []).append(kill)
    for (command, signal), found in rows.items():
        yield _row(command, signal, found)
        for kill, text in list(_left(found))[:20]:
            yield f"    after {kill.moment_s:.2f} s: {text}"


def _row(command: str, signal: str, found: Sequence[Kill]) -> str:
    hits = sum(kill.hit for kill in found)
    compared = sum(kill.compared for kill in found)
    slowest_s = max(kill.took_s for kill in found)
    left = len(list(_left(found))) or "nothing"
    return f"{command:15} {signal:7} {hits:5} {compared:8} {slowest_s:10.2f} s  {left}"


def _left(found: Iterable[Kill]) -> Iterator[tuple[Kill, str]]:
    return ((kill, text) for kill in found for text in kill.left)
