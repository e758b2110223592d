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
    python bench/kills.py --jobs 3 --compare-every 5 --folder F --results F/kills.jsonl

The last form kills three commands at once and compares after each fifth kill, which goes on from
what the four before it left; called again, it continues where it was. Of each signal and command
it makes the first few kills before more of any. A file of results belongs to one version of the
project. As root each command has a PID, mount, network and IPC namespace of its own here.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from killing import alone, kill, results
from killing.commands import COMMANDS
from killing.kill import Round

from testbed.lifetime import guard

SIGNALS = ("INT", "TERM", "HUP", "KILL")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commands", default=",".join(COMMANDS), help="which, by commas")
    parser.add_argument("--quick", action="store_true", help="the quick commands alone")
    parser.add_argument("--signals", default=",".join(SIGNALS), help="which, by commas")
    parser.add_argument("--times", type=int, default=50, metavar="N", help="kills by each signal")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="commands at a time")
    parser.add_argument(
        "--compare-every",
        type=int,
        default=1,
        metavar="N",
        help="run again, undisturbed, after each Nth kill [default: 1]",
    )
    parser.add_argument("--folder", type=Path, help="for everything [default: a temporary one]")
    parser.add_argument("--results", type=Path, help="file to continue and to add to (JSON lines)")
    parser.add_argument("--show", action="store_true", help="only the table of --results")
    given = parser.parse_args()
    given.commands, given.signals = given.commands.split(","), given.signals.split(",")
    for word, known in [
        *((name, COMMANDS) for name in given.commands),
        *((name, SIGNALS) for name in given.signals),
    ]:
        if word not in known:
            parser.error(f"{word}: unknown; there are {', '.join(known)}")
    for name in ("times", "jobs", "compare_every"):
        if getattr(given, name) < 1:
            parser.error(f"--{name.replace('_', '-')}: at least 1")
    if given.show and given.results is None:
        parser.error("--show: name the file with --results")
    return given


def main() -> int:
    """Kills, prints a table; returns 1 if anything was left, failed, or was killed too seldom."""
    given = _parse()
    failed = False
    with contextlib.ExitStack() as stack:
        if not given.show:
            folder = given.folder or stack.enter_context(guard.folder("kills"))
            folder.mkdir(parents=True, exist_ok=True)
            given.folder = folder.resolve()
            given.results = (given.results or given.folder / "kills.jsonl").resolve()
            failed = _kill_all(given)
        found = results.read(given.results)
    missing = list(_missing(given, found))
    print("\n".join([*results.table(found), *missing]))
    return 1 if failed or missing or any(one.left for one in found) else 0


def _missing(given: argparse.Namespace, found: Sequence[results.Kill]) -> Iterator[str]:
    """A line for each command and signal that was not killed as often as asked for."""
    hits = results.hits(found)
    for name in _chosen(given):
        for which in given.signals:
            if (hit := hits[name, which]) < given.times:
                yield f"{name} {which}: killed {hit} of {given.times} times while it ran"


def _chosen(given: argparse.Namespace) -> list[str]:
    names = [n for n in given.commands if COMMANDS[n].quick or not given.quick]
    return [name for name in names if not _needs_root(name)]


def _needs_root(name: str) -> bool:
    return COMMANDS[name].root and os.geteuid() != 0


def _plan(given: argparse.Namespace, names: Sequence[str]) -> Iterator[Round]:
    """The rounds that the results lack: some of each command and signal before more of any."""
    found = results.read(given.results)
    done = results.hits(found)
    tried = Counter((one.command, one.signal) for one in found)
    while any(done[name, which] < given.times for name in names for which in given.signals):
        for which in given.signals:
            for name in names:
                kills = min(given.compare_every, given.times - done[name, which])
                if kills > 0:
                    seed = f"{given.seed} {name} {which} {tried[name, which]} {done[name, which]}"
                    yield Round(name, which, kills, seed)
                    done[name, which] += kills


def _kill_all(given: argparse.Namespace) -> bool:
    """Kills until nothing is missing or nothing is hit any more; returns whether a round failed."""
    for name in filter(_needs_root, given.commands):
        print(f"{name}: skipped, needs root")
    names, failed, before = _chosen(given), False, -1
    while not failed and before < (now := results.hits(results.read(given.results)).total()):
        before = now
        failed = _do(given, list(_plan(given, names)))
    return failed


def _do(given: argparse.Namespace, waiting: list[Round]) -> bool:
    """Does rounds, a few at a time but one of a command; returns whether one failed."""
    running, failed = dict[int, Round](), False
    while waiting or running:
        busy = {planned.command for planned in running.values()}
        planned = next((one for one in waiting if one.command not in busy), None)
        if planned is None or len(running) == given.jobs:
            pid, status = os.wait()
            ended = running.pop(pid)
            if status != 0:
                failed = True
                print(f"{ended.command} {ended.signal}: a round of kills did not succeed")
            continue
        waiting.remove(planned)
        keep = partial(results.append, given.results)
        work = partial(kill.run, planned, given.folder, keep)
        running[alone.start(work, online=COMMANDS[planned.command].online)] = planned
    return failed


if __name__ == "__main__":
    sys.exit(main())
