"""Runs Mininet's own examples under Mininet's own tests; writes what passes to docs/mininet.md.

    .venv/bin/python bench/mininet_examples.py [--runtime guest] [NAME...]
    .venv/bin/python bench/mininet_examples.py --write

Results are kept in ``build``, so that runs of one runtime or of some tests complete the table,
which ``--write`` writes. The tests are those of Debian's package `mininet`, unchanged. They start
examples with ``python -m mininet.examples.NAME``; a `python` of ours, first in their PATH, starts
``testbed mininet`` instead. A test that finishes in neither way within `LIMIT_S` fails.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from testbed.core.files import write_text  # noqa: E402 (a program outside of the package)
from testbed.lifetime import guard  # noqa: E402

EXAMPLES = Path("/usr/lib/python3/dist-packages/mininet/examples")
TESTS = Path("/usr/share/doc/mininet/examples/test")
PAGE = PROJECT / "docs" / "mininet.md"
LIMIT_S = 600.0
RUNTIMES = ("guest", "host")

REASONS = {
    "baresshd": "needs an SSH server",
    "clusterSanity": "needs SSH between machines",
    "controlnet": "needs the switch `ofdatapath`, which Debian does not have",
    "controllers": "needs a controller program (`openvswitch-testcontroller`)",
    "cpu": "needs processor limits (cgroup 1)",
    "hwintf": "needs a second network card",
    "mobility": "needs a controller program (`openvswitch-testcontroller`)",
    "nat": "needs a way to the Internet, which no network here has",
    "numberedports": "the test itself needs Open vSwitch as a service; the example works",
    "scratchnet": "needs Open vSwitch as the machine's service",
    "sshd": "needs an SSH server",
    "vlanhost": "needs `vconfig` (Debian's package `vlan`)",
    "treeping64": "needs the switch `ofdatapath`, which Debian does not have",
}
"""Test → why it cannot pass here, where that is known; said only where it does not pass."""

_SHIM = """#!/bin/sh
case "$1 $2" in
    "-m mininet.examples."*)
        name=${{2#mininet.examples.}}; shift 2
        exec {testbed} mininet --runtime {runtime} {examples}/$name.py "$@";;
esac
exec {python} "$@"
"""
_PATIENT = (
    "import pexpect, runpy, sys; sys.argv = sys.argv[1:]; init = pexpect.spawn.__init__; "
    "init.__defaults__ = tuple(120 if d == 30 else d for d in init.__defaults__); "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""Runs a test that waits four times as long for what it expects: a busy machine is no failure."""

_LACKS_SHAPING = "run with --runtime guest)"
"""Ends our message about a kernel that cannot shape links; pexpect shows only its end."""

_BEGIN, _END = "<!-- measured: examples -->", "<!-- end of measured -->"


class Result(NamedTuple):
    """How a test ended: passed or not, in which wall time in s, and its last words."""

    passed: bool
    wall_s: float
    words: str


def main() -> None:
    """Runs the tests; prints a line for each, and writes the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("names", nargs="*", help="tests, such as simpleperf; default: all")
    options.add_argument("--runtime", action="append", choices=RUNTIMES, default=[])
    options.add_argument("--write", action="store_true", help="only write the table")
    given = options.parse_args()
    if given.write:
        write(table({runtime: kept(runtime) for runtime in RUNTIMES}))
        return
    names = given.names or all_tests()
    with tempfile.TemporaryDirectory() as folder:
        for runtime in given.runtime or RUNTIMES:
            for name in names:
                result = run(name, runtime, Path(folder))
                keep(runtime, name, result)
                print(f"{runtime:6} {name:16} {in_words(name, result)}", flush=True)


def all_tests() -> list[str]:
    """Names of Mininet's tests of examples."""
    return sorted(p.stem[5:] for p in TESTS.glob("test_*.py"))


def run(name: str, runtime: str, folder: Path) -> Result:
    """Runs one of Mininet's tests in a folder of its own."""
    place = folder / f"{runtime}-{name}"
    shims = place / "shims"
    shims.mkdir(parents=True)
    text = _SHIM.format(
        testbed=PROJECT / ".venv/bin/testbed",
        runtime=runtime,
        examples=EXAMPLES,
        python=sys.executable,
    )
    (shims / "python").write_text(text)
    (shims / "python").chmod(0o755)
    began_s = time.monotonic()
    argv = [sys.executable, "-c", _PATIENT, str(TESTS / f"test_{name}.py")]
    path = f"{shims}:{os.environ['PATH']}"
    with guard.started(
        argv,
        cwd=place,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as test:
        try:
            said = test.communicate(timeout=LIMIT_S)[0]
        except subprocess.TimeoutExpired:
            return Result(False, LIMIT_S, f"not finished after {LIMIT_S:.0f} s")
    (folder / f"{runtime}-{name}.log").write_text(said)
    skipped = re.search(r"^OK \(skipped=", said, re.M)
    passed = test.returncode == 0 and not skipped
    words = [w for w in said.splitlines() if re.match(r"^(\w+\.)*\w*(Error|TIMEOUT|EOF)\b", w)]
    last = "the test skips itself" if skipped else (words or said.splitlines() or [""])[-1]
    if _LACKS_SHAPING in said:
        last = "needs netem, which this machine's kernel lacks"
    return Result(passed, time.monotonic() - began_s, last[:90])


def kept(runtime: str) -> dict[str, Result]:
    """Results of earlier runs: test → how it ended."""
    path = PROJECT / "build" / f"mininet-examples-{runtime}.json"
    if not path.is_file():
        return {}
    return {name: Result(*row) for name, row in json.loads(path.read_text()).items()}


def keep(runtime: str, name: str, result: Result) -> None:
    """Adds a result to those of earlier runs."""
    path = PROJECT / "build" / f"mininet-examples-{runtime}.json"
    path.parent.mkdir(exist_ok=True)
    write_text(path, json.dumps({**kept(runtime), name: result}, indent=1))


def in_words(name: str, result: Result | None) -> str:
    """A cell of the table."""
    if result is None:
        return "not run"
    if result.passed:
        return f"passes ({result.wall_s:.0f} s)"
    return f"no: {REASONS.get(name) or result.words}"


def table(results: dict[str, dict[str, Result]]) -> str:
    """The rows as Markdown.

    Args:
        results: runtime → test → how it ended.
    """
    names = all_tests()
    lines = [f"| test | {' | '.join(results)} |", f"| --- |{' --- |' * len(results)}"]
    for name in names:
        words = " | ".join(in_words(name, cells.get(name)) for cells in results.values())
        lines.append(f"| {name} | {words} |")
    return "\n".join(lines)


def write(rows: str) -> None:
    """Puts the table into its place in the documentation."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    write_text(PAGE, f"{before}{_BEGIN}\n{rows}\n{_END}{after}")


if __name__ == "__main__":
    main()
