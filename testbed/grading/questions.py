"""What a lab asks in its file of answers, and keys in a submission that were not asked for.

Questions are the keys of the answers' file in ``starter/``, which every student has: what students
are told about a wrong key cannot give away what hidden checks look for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any

from testbed.core.errors import ConfigError, nearest
from testbed.grading.accept import read_answers
from testbed.grading.answers import shown
from testbed.grading.library import LabFolder
from testbed.grading.manifest import Manifest

_MOST = 8
"""Number of wrong keys reported."""


def answers_file(manifest: Manifest) -> str | None:
    """Name of the file of kind ``answers``, or None."""
    return next((n for n, file in manifest.files.items() if file.kind == "answers"), None)


def asked(lab: LabFolder, params: Mapping[str, Any]) -> tuple[str, ...]:
    """The questions' keys, ``a.b`` for key ``b`` of the map at ``a``; empty if they are not known.

    A bundle has them in its manifest, as ``starter/`` next to it would look like a hand-in.
    """
    name = answers_file(lab.manifest)
    if name is None:
        return ()
    if listed := lab.manifest.files[name].asks:
        return tuple(listed)
    try:
        return tuple(_leaves(read_answers(lab.starter(params).get(name, b"").decode())))
    except (ConfigError, ValueError):  # 'lab test' reports it; no submission is judged by it
        return ()


def _leaves(answers: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in answers.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def strange(manifest: Manifest, answers: Mapping[str, Any], asked: Collection[str]) -> list[str]:
    """Lines for the student on keys that answer no question; they do not affect points."""
    name = answers_file(manifest)
    keys = _strange(answers, asked) if asked else iter(())
    return [
        f"{name}: {shown(key)}: is not a question of this lab{nearest(shown(key), asked)}"
        for key in islice(keys, _MOST)
    ]


def _strange(answers: Mapping[str, Any], asked: Collection[str], above: str = "") -> Iterator[str]:
    for key, value in answers.items():
        path = f"{above}{key}"
        inner = any(question.startswith(f"{path}.") for question in asked)
        if "." in key or not (inner or path in asked):
            yield path
        elif inner and isinstance(value, Mapping):
            yield from _strange(value, asked, f"{path}.")
