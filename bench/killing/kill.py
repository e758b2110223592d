"""Kills one command at random moments, and looks at what is left and whether it goes on."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from killing.commands import COMMANDS, Command, lend_cache
from killing.left import SETTLE_S, before, busy, left
from killing.place import Place
from killing.results import Kill

PROMPT_S = 8.0
"""A command that got a signal must have ended within this time, on a quiet machine."""

_GIVEN_UP_S, _READY_S, _ENDS_S = 60.0, 120.0, 900.0
"""A command is killed if it has not ended after a signal; has no server; is not finished: each on a
quiet machine."""

_TRIES = 4
"""Moments per wanted kill: at some of them the command has ended by itself."""

_HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Round:
    """Some kills of one command by one signal, and a comparison.

    Attributes:
        command: which.
        signal: by which, without SIG.
        kills: how many.
        seed: of the moments.
    """

    command: str
    signal: str
    kills: int
    seed: str


@dataclass
class _Reference:
    """An undisturbed run: what it gave, and the seconds that the last one took."""

    results: str
    took_s: float


def run(planned: Round, folder: Path, keep: Callable[[Kill], None]) -> None:
    """Kills, runs the command again, undisturbed, in the same folders, and compares.

    Args:
        planned: what.
        folder: for the command's own folders, which stay for the next round.
        keep: called with each kill once all about it is known.
    """
    command = COMMANDS[planned.command]
    place = Place(folder / planned.command, folder / "images", own_project=command.own_project)
    reference = _reference(command, place)
    chance = random.Random(planned.seed)
    hits = 0
    command.again(place)
    for number in range(1, _TRIES * planned.kills + 1):
        began_s = time.monotonic()
        one = _killed(command, place, planned, chance.uniform(0, reference.took_s))
        hits += one.hit
        if hits == planned.kills or number == _TRIES * planned.kills:
            _compare(command, place, reference, one)
        keep(one)
        if one.compared:
            return
        if not one.hit:  # it is finished; what is half done stays as it is
            reference.took_s = min(reference.took_s, time.monotonic() - began_s)
            command.again(place)


def _compare(command: Command, place: Place, reference: _Reference, last: Kill) -> None:
    """Runs it again, undisturbed; what it does wrong goes to the account of the last kill."""
    last.compared = True
    try:
        again = _undisturbed(command, place)
    except SystemExit as error:
        last.left.append(f"did not go on: {error}")
        return
    if again.results != reference.results:
        text = f"other results: {reference.results!r} before, {again.results!r} after"
        last.left.append(text)
    _note(place, _Reference(reference.results, again.took_s))


def _reference(command: Command, place: Place) -> _Reference:
    """Of an earlier round in this place; the first one prepares it."""
    file = _file(place)
    if not file.is_file():
        shutil.rmtree(place.root, ignore_errors=True)  # half prepared
        lend_cache(place)
        command.prepare(place)
        command.again(place)
        _note(place, _undisturbed(command, place))
    return _Reference(**json.loads(file.read_text(encoding="utf-8")))


def _note(place: Place, reference: _Reference) -> None:
    _file(place).write_text(json.dumps(vars(reference)), encoding="utf-8")


def _file(place: Place) -> Path:
    return place.root / "reference.json"


def _start(command: Command, place: Place) -> subprocess.Popen[bytes]:
    given = place.root / "stdin"
    given.write_text(command.stdin)
    with (
        given.open("rb") as reads,
        (place.root / "stdout").open("wb") as out,
        (place.root / "stderr").open("wb") as err,
    ):
        return subprocess.Popen(
            command.argv,
            cwd=place.start,
            env=place.environment(),
            stdin=reads,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=_hear_signals,  # noqa: PLW1509
        )


def _hear_signals() -> None:
    """What a shell starts with `&`, or nohup, ignores some; neither would what it starts hear."""
    for number in _HEARD:
        signal.signal(number, signal.SIG_DFL)


def _text(place: Place, name: str) -> str:
    return (place.root / name).read_text(encoding="utf-8", errors="replace")


def _undisturbed(command: Command, place: Place) -> _Reference:
    began_s = time.monotonic()
    process = _start(command, place)
    if command.until:
        patience_s = _READY_S * busy()
        while command.until not in _text(place, "stdout") + _text(place, "stderr"):
            if process.poll() is not None or time.monotonic() - began_s > patience_s:
                raise SystemExit(f"{command.argv}: {_text(place, 'stderr')[-2000:]}")
            time.sleep(0.05)
        took_s = time.monotonic() - began_s
        process.terminate()
        process.wait()
        text = _text(place, "stdout") + _text(place, "stderr")
        return _Reference(command.results(place, text), took_s)
    code = _wait(process, _ENDS_S * busy())
    if code not in (0, 1, 4) or "Traceback" in _text(place, "stderr"):
        raise SystemExit(f"{command.argv}: {code} {_text(place, 'stderr')[-2000:]}")
    took_s = time.monotonic() - began_s
    return _Reference(command.results(place, _text(place, "stdout")), took_s)


def _killed(command: Command, place: Place, planned: Round, moment_s: float) -> Kill:
    """Kills it at a moment, and looks at what is left."""
    number = signal.Signals[f"SIG{planned.signal}"]
    was = before(place)
    process = _start(command, place)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(moment_s)
    sent_s = time.monotonic()
    hit = process.poll() is None
    if hit and number == signal.SIGKILL:
        process.kill()
    elif hit:
        os.killpg(process.pid, number)
    code = _wait(process, _GIVEN_UP_S * busy())
    ended_s = time.monotonic()
    took_s, allowed_s, settle_s = ended_s - sent_s, PROMPT_S * busy(), SETTLE_S * busy()
    found = left(place, was, settle_s)
    gone_s = time.monotonic() - ended_s
    if took_s > allowed_s:
        found.append(f"{took_s:.1f} s until it ended")
    if hit:
        found += _wrong_end(number, code, place)
    return Kill(
        planned.command,
        planned.signal,
        moment_s,
        hit,
        took_s,
        code,
        allowed_s,
        gone_s,
        settle_s,
        left=found,
    )


def _wait(process: subprocess.Popen[bytes], patience_s: float) -> int:
    try:
        return process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _is_ours(said: str, place: Place) -> bool:
    """Whether a list of calls has a line of ours: others are Python's, before it hears signals."""
    files = re.findall(r'^ *File "([^"]+)"', said, re.MULTILINE)
    return any(f.startswith(f"{place.project}/") and not f.startswith(sys.prefix) for f in files)


def _wrong_end(number: signal.Signals, code: int, place: Place) -> Iterator[str]:
    """What an end by a signal must not be: another exit code, or more than a line about it."""
    said = _text(place, "stderr")
    if "Traceback" in said and _is_ours(said, place):
        yield "\n    ".join(["a traceback:", *said.strip().splitlines()[-30:]])
    # it may have come to its own end, or not even to its beginning
    if code not in (128 + number, -number, 0, 1, 4):
        yield f"exit code {code}"
    if code == 128 + number and said.count("interrupted (SIG") != 1:
        yield f"{said.count('interrupted (SIG')} lines about the signal"
