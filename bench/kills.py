"""Kills every long command at random moments, by each signal: is anything left, and does it go on?

For each kill the command starts in folders of its own (home, cache, temporary files, results). A
moment later, drawn evenly from the time that it takes undisturbed, it gets the signal: SIGKILL the
command alone, the others its whole process group, as a terminal sends them. Then nothing of it may
be there: no process (orphans become children of this program), no mount, no namespace that a mount
holds, no network interface, no shared memory, no temporary or half-made file, no second line of
complaint, and no delay. At last the command runs again, undisturbed, in the very same folders: its
results must be those of the first run.

    python bench/kills.py                                       # everything, 50 times: hours
    python bench/kills.py --commands run,grade --signals KILL --times 5

As root it looks at /dev/shm and /var/tmp of its own; other users are not in its way then.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from killing.commands import COMMANDS, Command, lend_kernel
from killing.left import before, left, take_in_orphans
from killing.place import Place

from testbed.lifetime import guard

SIGNALS = ("INT", "TERM", "HUP", "KILL")
PROMPT_S = 8.0
"""A command that got a signal must have ended within this time, on a busy machine, too."""


@dataclass
class Found:
    """What one kill showed."""

    moment_s: float
    took_s: float
    code: int
    left: list[str] = field(default_factory=list)


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
            cwd=place.work,
            env=place.environment(),
            stdin=reads,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=_hear_ctrl_c,  # noqa: PLW1509
        )


def _hear_ctrl_c() -> None:
    """A program that runs in the background would not; neither do those it starts."""
    for name in SIGNALS[:-1]:
        signal.signal(signal.Signals[f"SIG{name}"], signal.SIG_DFL)


def _text(place: Place, name: str) -> str:
    return (place.root / name).read_text(encoding="utf-8", errors="replace")


def _undisturbed(command: Command, place: Place) -> tuple[str, float]:
    """Its results, and how long it took in s."""
    began_s = time.monotonic()
    process = _start(command, place)
    if command.until:
        while command.until not in _text(place, "stdout") + _text(place, "stderr"):
            if process.poll() is not None or time.monotonic() - began_s > 120:
                raise SystemExit(f"{command.argv}: {_text(place, 'stderr')[-2000:]}")
            time.sleep(0.05)
        took_s = time.monotonic() - began_s
        process.terminate()
        process.wait()
        return command.results(place, _text(place, "stdout") + _text(place, "stderr")), took_s
    if process.wait() not in (0, 1, 4) or "Traceback" in _text(place, "stderr"):
        raise SystemExit(f"{command.argv}: {process.returncode} {_text(place, 'stderr')[-2000:]}")
    return command.results(place, _text(place, "stdout")), time.monotonic() - began_s


def _killed(command: Command, place: Place, name: str, moment_s: float) -> Found:
    """Kills it at a moment, and looks what is left."""
    number = signal.Signals[f"SIG{name}"]
    was = before(place)
    process = _start(command, place)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(moment_s)
    sent_s = time.monotonic()
    running = process.poll() is None
    if running and name == "KILL":
        process.kill()
    elif running:
        os.killpg(process.pid, number)
    found = Found(moment_s, 0.0, _wait(process))
    found.took_s = time.monotonic() - sent_s
    found.left += left(place, was)
    if found.took_s > PROMPT_S:
        found.left.append(f"{found.took_s:.1f} s until it ended")
    if running:
        found.left += _wrong_end(name, number, found.code, place)
    return found


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _wrong_end(name: str, number: int, code: int, place: Place) -> Iterator[str]:
    """What an end by a signal must not be: another exit code, or more than a line about it."""
    said = _text(place, "stderr")
    if "Traceback" in said:
        yield f"a traceback: {said.strip().splitlines()[-1]}"
    # it may have come to its own end, or not even to its beginning
    if code not in (128 + number, -number, 0, 1, 4):
        yield f"exit code {code}"
    if code == 128 + number and said.count("interrupted (SIG") != 1:
        yield f"{said.count('interrupted (SIG')} lines about the signal"


def kill(
    name: str,
    signals: Sequence[str],
    times: int,
    seed: int,
    folder: Path,
    compare_each: bool,
) -> dict[str, list[Found]]:
    """Kills one command several times by each signal; returns what is found, by signal."""
    command, place = COMMANDS[name], Place(folder / name, folder / "images")
    lend_kernel(place)
    command.prepare(place)
    command.again(place)
    first, took_s = _undisturbed(command, place)
    found: dict[str, list[Found]] = {}
    for which in signals:
        chance = random.Random(f"{seed} {name} {which}")
        found[which] = []
        for number in range(times):
            command.again(place)
            one = _killed(command, place, which, chance.uniform(0, took_s))
            found[which].append(one)
            # without undoing anything: what was interrupted goes on
            if compare_each or number == times - 1:
                again, _ = _undisturbed(command, place)
                if again != first:
                    one.left.append(f"other results: {first!r} before, {again!r} after")
    return found


def main() -> int:
    """Kills, prints a table, and returns 1 if anything was left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commands", default=",".join(COMMANDS), help="which, by commas")
    parser.add_argument("--quick", action="store_true", help="the quick commands alone")
    parser.add_argument("--signals", default=",".join(SIGNALS), help="which, by commas")
    parser.add_argument("--times", type=int, default=50, metavar="N", help="kills by each signal")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument(
        "--compare-last",
        action="store_true",
        help="run again after the last kill by a signal alone, not after each",
    )
    parser.add_argument("--folder", type=Path, help="for everything [default: a temporary one]")
    given = parser.parse_args()
    names, signals = given.commands.split(","), given.signals.split(",")
    for word, known in [*((n, COMMANDS) for n in names), *((s, SIGNALS) for s in signals)]:
        if word not in known:
            parser.error(f"{word}: unknown; there are {', '.join(known)}")
    if given.times < 1:
        parser.error("--times: at least 1")
    take_in_orphans()
    with contextlib.ExitStack() as stack:
        folder = given.folder or stack.enter_context(guard.folder("kills"))
        folder.mkdir(parents=True, exist_ok=True)
        return _kill_all(names, signals, given, folder.resolve())


def _kill_all(
    names: Sequence[str], signals: Sequence[str], given: argparse.Namespace, folder: Path
) -> int:
    print(f"{'command':13} {'signal':7} {'kills':>5} {'slowest end':>12}  left")
    bad = 0
    for name in names:
        command = COMMANDS[name]
        if given.quick and not command.quick:
            continue
        if command.root and os.geteuid() != 0:
            print(f"{name:13} skipped: needs root")
            continue
        each = not given.compare_last
        for which, found in kill(name, signals, given.times, given.seed, folder, each).items():
            shown = [(one, text) for one in found for text in one.left]
            bad += len(shown)
            slowest_s = max(one.took_s for one in found)
            print(
                f"{name:13} {which:7} {len(found):5} {slowest_s:10.2f} s  {len(shown) or 'nothing'}"
            )
            for one, text in shown[:20]:
                print(f"    after {one.moment_s:.2f} s: {text}")
            sys.stdout.flush()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
