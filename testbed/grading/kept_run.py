"""A submission's run, kept for judging it again: if only checks changed, no network runs.

What a run depends on is hashed without the lab's checks: without the methods that are claims, and
without `measure`, which is repeated. Whatever else changes in a lab's code, in the submission or in
what grades makes another run. A run whose secrets were removed cannot be measured again.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testbed.core.errors import TestbedError
from testbed.core.fingerprint import hash_of
from testbed.core.rundir import read_json, write_json
from testbed.grading.accept import Accepted
from testbed.grading.checks import End
from testbed.grading.library import LabFolder

FORMAT = 1
FILE = "run.json"
"""In a student's folder, next to the run."""

_JUDGING = ("measure", "plot")
"""Methods of a lab that are used after a run."""


@dataclass(frozen=True)
class KeptRun:
    """How a submission's run ended.

    Attributes:
        ends: scenario → how it ended, before it was measured.
        said: lines for the student on what programs and daemons said.
        fingerprint: of its captures.
    """

    ends: Mapping[str, End]
    said: tuple[str, ...]
    fingerprint: str


def key(lab: LabFolder, params: Mapping[str, Any], accepted: Accepted, versions: str) -> str:
    """SHA-256 over all that a submission's run depends on.

    Args:
        lab: the lab.
        params: the student's variant.
        accepted: what was handed in and accepted.
        versions: of all that grades.
    """
    about = {
        "format": FORMAT,
        "lab": lab.name,
        "code": {n: _code(d) for n, d in lab.sources.items() if n.endswith(".py")},
        "limits": lab.manifest.limits.model_dump(),
        "variant": dict(params),
        "files": {n: hashlib.sha256(d).hexdigest() for n, d in sorted(accepted.files.items())},
        "kinds": accepted.kinds,
        "answers": accepted.answers,
        "versions": versions,
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _code(source: bytes) -> str:
    """A module without comments, layout, checks and measuring."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            node.body = [part for part in node.body if not _judges(part)] or [ast.Pass()]
    return ast.dump(tree)


def _judges(part: ast.stmt) -> bool:
    if not isinstance(part, ast.FunctionDef):
        return False
    marks = (d.func if isinstance(d, ast.Call) else d for d in part.decorator_list)
    return part.name in _JUDGING or any(isinstance(m, ast.Name) and m.id == "claim" for m in marks)


def write(folder: Path, run: Path, used: str, ends: Mapping[str, End], said: list[str]) -> None:
    """Notes that a run can be judged again, unless the grader is to blame for its end.

    Args:
        folder: the student's.
        run: the run in it.
        used: its `key`.
        ends: scenario → how it ended.
        said: see `KeptRun`.
    """
    if any(end.fault == "grader" for end in ends.values()):
        return
    about = {
        "key": used,
        "ends": {name: asdict(end) for name, end in ends.items()},
        "said": said,
        "fingerprint": fingerprint(run),
    }
    write_json(folder / FILE, about)


def read(folder: Path, run: Path, wanted: str) -> KeptRun | None:
    """The run in a student's folder; None if there is none with this key, or it was changed."""
    try:
        data = read_json(folder / FILE)
        if data["key"] != wanted or data["fingerprint"] != fingerprint(run):
            return None
        ends = {str(name): End(**end) for name, end in data["ends"].items()}
        return KeptRun(ends, tuple(map(str, data["said"])), data["fingerprint"])
    except (TestbedError, OSError, KeyError, TypeError, AttributeError):
        return None


def fingerprint(run: Path) -> str:
    """SHA-256 over the captures of a submission's run."""
    return hash_of(run, sorted(run.glob("scenarios/*")))
