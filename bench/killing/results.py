"""What kills showed: lines of JSON in a file, so that an interrupted round goes on; and a table."""

from __future__ import annotations

import json
import os
from collections import Counter
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
        allowed_s: how long that might take, on a machine as busy as this one was.
        gone_s: until nothing was left; or, if something stayed, until it was given up.
        settle_s: how long that might take.
        compared: the command was run again afterwards, undisturbed.
        left: all that should not be.
    """

    command: str
    signal: str
    moment_s: float
    hit: bool
    took_s: float
    code: int
    allowed_s: float
    gone_s: float
    settle_s: float
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


def hits(kills: Iterable[Kill]) -> Counter[tuple[str, str]]:
    """Command and signal → how often it was still running when the signal came."""
    return Counter((kill.command, kill.signal) for kill in kills if kill.hit)


def table(kills: Iterable[Kill]) -> Iterator[str]:
    """One row per command and signal, and under it what was left.

    Both times are those of the kill that came nearest to its limit, with the limit: it is that of a
    quiet machine, times the programs that waited for each processor.
    """
    yield (
        f"{'command':15} {'signal':7} {'kills':>5} {'compared':>8} "
        f"{'slowest end':>17} {'last of it gone':>17}  left"
    )
    rows: dict[tuple[str, str], list[Kill]] = {}
    for kill in kills:
        rows.setdefault((kill.command, kill.signal), []).append(kill)
    for (command, signal), found in rows.items():
        yield _row(command, signal, found)
        for kill, text in list(_left(found))[:20]:
            yield f"    after {kill.moment_s:.2f} s: {text}"


def _row(command: str, signal: str, found: Sequence[Kill]) -> str:
    hit = sum(kill.hit for kill in found)
    compared = sum(kill.compared for kill in found)
    end = _nearest((kill.took_s, kill.allowed_s) for kill in found)
    gone = _nearest((kill.gone_s, kill.settle_s) for kill in found)
    left = len(list(_left(found))) or "nothing"
    return f"{command:15} {signal:7} {hit:5} {compared:8} {end:>17} {gone:>17}  {left}"


def _nearest(times: Iterable[tuple[float, float]]) -> str:
    took_s, limit_s = max(times, key=lambda pair: pair[0] / pair[1])
    return f"{took_s:.2f} of {limit_s:.0f} s"


def _left(found: Iterable[Kill]) -> Iterator[tuple[Kill, str]]:
    return ((kill, text) for kill in found for text in kill.left)
