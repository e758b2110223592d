"""`testbed verify`: a run made again with its recorded inputs, and compared with itself.

Where the clock was virtual every artefact must be the same, byte by byte; where it was real the
verdicts must be, and measured numbers lie within `REAL_CLOCK_TOLERANCE`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.errors import ConfigError
from testbed.replay import fingerprinted_files
from testbed.rundir import VERDICTS, RunDir, read_json
from testbed.runner import Request, Watcher, run, tool_versions

REAL_CLOCK_TOLERANCE = 0.10
"""Relative difference of a claim's observed number that two real-clock runs may show."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same.

    Attributes:
        where: file or claim, with the packet or line where it begins.
        recorded, again: what the run had, and what it has now.
    """

    where: str
    recorded: str
    again: str


def versions_that_differ(recorded: RunDir) -> list[Difference]:
    """Programs, libraries and kernel of the run that are others today (or gone)."""
    then, now = recorded.meta()["tools"], tool_versions()
    return [
        Difference(name, then.get(name, "missing"), now.get(name, "missing"))
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]


def request_of(recorded: RunDir, out: Path) -> Request:
    """The inputs of a run, to make it again under `out`.

    Raises:
        ConfigError: the run never came to its end.
    """
    meta = recorded.meta()
    if meta["status"] != "complete":
        raise ConfigError(f"{recorded.path}: is {meta['status']} ({meta['reason']}); run it again")
    return Request(
        experiment=meta["experiment"],
        parameters=meta["parameters"],
        seed=meta["seed"],
        runtime=meta["runtime"],
        clock=meta["clock"],
        out=out,
        only=tuple(meta["scenarios"]),
    )


def verify(recorded: RunDir, out: Path, watcher: Watcher | None = None) -> list[Difference]:
    """Runs again and returns all differences, versions first."""
    request = request_of(recorded, out)
    differences = versions_that_differ(recorded)
    again = run(request, watcher).run
    kernels = [r.meta()["kernel"] for r in (recorded, again)]
    if kernels[0] != kernels[1]:
        differences.append(Difference("kernel", str(kernels[0]), str(kernels[1])))
    compare = _bytes_that_differ if request.clock == "virtual" else _numbers_that_differ
    return [*differences, *compare(recorded, again)]


def _bytes_that_differ(recorded: RunDir, again: RunDir) -> Iterator[Difference]:
    files = [{p.relative_to(r.path): p for p in fingerprinted_files(r)} for r in (recorded, again)]
    for name in sorted({*files[0], *files[1]}):
        one, two = (f.get(name) for f in files)
        if one is None or two is None:
            yield Difference(str(name), _presence(one), _presence(two))
        elif one.read_bytes() != two.read_bytes():
            yield _first_difference(name, one, two)


def _presence(path: Path | None) -> str:
    return "there" if path else "missing"


def _first_difference(name: Path, one: Path, two: Path) -> Difference:
    """The first packet or line in which two files differ."""
    if name.suffix == ".pcap":
        return _first_packet(name, one, two)
    lines = [path.read_text(errors="replace").splitlines() for path in (one, two)]
    for number, (a, b) in enumerate(zip(*lines, strict=False), 1):
        if a != b:
            return Difference(f"{name} line {number}", a.strip(), b.strip())
    return Difference(f"{name} lines", str(len(lines[0])), str(len(lines[1])))


def _first_packet(name: Path, one: Path, two: Path) -> Difference:
    from analysis import packets

    frames = [packets.read(path) for path in (one, two)]
    shared = min(len(f) for f in frames)
    plain = [f.head(shared).astype(str) for f in frames]
    differing = (plain[0] != plain[1]).any(axis=1).to_numpy()
    if not differing.any():
        if len(frames[0]) == len(frames[1]):
            return Difference(f"{name} payload", "some bytes", "others")
        return Difference(f"{name} packets", str(len(frames[0])), str(len(frames[1])))
    row = int(differing.argmax())
    columns = [c for c in plain[0] if plain[0][c].iloc[row] != plain[1][c].iloc[row]]
    shown = [", ".join(f"{c}={f[c].iloc[row]}" for c in columns[:4]) for f in plain]
    return Difference(f"{name} packet {row + 1}", *shown)


def _numbers_that_differ(recorded: RunDir, again: RunDir) -> Iterator[Difference]:
    verdicts: list[dict[str, Any]] = [
        {v["claim"]: v for v in read_json(r.path / VERDICTS)} for r in (recorded, again)
    ]
    for claim in verdicts[0]:
        one, two = verdicts[0][claim], verdicts[1].get(claim, {"status": "missing"})
        if one["status"] != two["status"]:
            yield Difference(f"claim {claim}", one["status"], two["status"])
        elif one.get("value") and two.get("value"):
            if abs(two["value"] / one["value"] - 1) > REAL_CLOCK_TOLERANCE:
                yield Difference(f"claim {claim}", one["observed"], two["observed"])
