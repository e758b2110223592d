"""What a lab asks in its file of answers, and keys in a submission that were not asked for.

Questions are the keys of the answers' file in ``starter/``, which every student has: what students
are told about a wrong key cannot give away what hidden checks look for.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any

from testbed.core.errors import ConfigError, nearest
from testbed.grading.accept import read_answers
from testbed.grading.answers import Answers, number_in, shown
from testbed.grading.library import LabFolder
from testbed.grading.manifest import Format, Manifest

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


def malformed(manifest: Manifest, answers: Mapping[str, Any]) -> list[str]:
    """Lines for the student on answers that are not written as a question wants them.

    They say nothing about the right answer: everybody has the formats, in the bundle's manifest.
    """
    name = answers_file(manifest)
    if name is None:
        return []
    given = Answers(answers)
    formats = manifest.files[name].formats
    values = {key: given.get(key) for key in formats}
    empty = [key for key, value in values.items() if value is None or value == ""]
    lines = [
        f"{name}: {key}: {why}"
        for key, value in values.items()
        if key not in empty and (why := _why_not(value, formats[key]))
    ]
    return lines + [f"{name}: no answer yet to {', '.join(empty)}"] * bool(empty)


def _why_not(value: Any, format_: Format) -> str:
    """Why a value is not written in a format; empty if it is."""
    if isinstance(value, bool | list | Mapping):
        said = "yes or no" if isinstance(value, bool) else shown(value)
        return f"is {said}; one {format_} is expected"
    text = str(value).strip()
    return {
        "number": _no_number,
        "address": _no_address,
        "prefix": _no_prefix,
    }.get(format_, lambda _: "")(text)


def _no_number(text: str) -> str:
    found, unit = number_in(text)
    if found is not None:
        counts = f"{found:g} is what counts; write it alone, in the unit of the question"
        return f"'{shown(text)}' has a unit: {counts}" if unit else ""
    if number_in(text.replace(",", "", 1))[0] is not None:
        return f"'{shown(text)}' has a comma; write 1.5 for one and a half, and 1500 for 1,500"
    return f"'{shown(text)}' is not a number; write digits, such as 1.5"


def _no_address(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        length = "; an address has no length" if "/" in text else ""
        return f"'{shown(text)}' is not an address, such as 192.0.2.1{length}"
    return ""


def _no_prefix(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        if "has host bits set" in str(error):
            return f"'{shown(text)}' is an address in a network; write the network's first address"
        return f"'{shown(text)}' is not a prefix, such as 192.0.2.0/24"
    return "" if "/" in text else f"'{shown(text)}' has no length; write such as 192.0.2.0/24"
