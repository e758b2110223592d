"""A teacher's own wrong idea: changed files of a solution become a mutant of ``lab.yaml``.

The difference between the solution and the changed files is written as the manifest's edits. Values
of the student's variant become the expressions of the solution's templates again, so that the
mutant fits every variant.
"""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from testbed.core.errors import ConfigError
from testbed.grading.library import LabFolder
from testbed.grading.manifest import Edit, Mutant
from testbed.grading.result import Mark, Result

_EXPRESSION = re.compile(r"\{\{.*?\}\}")


def mutant_of(
    lab: LabFolder,
    params: Mapping[str, Any],
    student: str,
    changed: Mapping[str, bytes],
    what: str,
) -> Mutant:
    """The mutant that changes the solution of a variant into other files.

    Args:
        lab: the lab.
        params: the variant.
        student: whose it is.
        changed: the changed files, by name.
        what: the idea, in words.

    Raises:
        ConfigError: nothing was changed, or what was changed is not text.
    """
    solution = lab.solution(params, student)
    edits: list[Edit] = []
    for name, before in solution.items():
        after = changed.get(name, before)
        if after != before:
            general = _general(lab, params, name)
            edits += _edits(name, _text(name, before), _text(name, after), general)
    without = sorted(set(solution) - set(changed))
    if not edits and not without:
        raise ConfigError("the files are the solution's: change one of them first")
    checks = dict.fromkeys(lab.manifest.checks, 1.0)
    return Mutant(what=what, loses=checks, edits=edits, without=without)


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: is not UTF-8 text; save it as UTF-8") from None


def _edits(name: str, before: str, after: str, general: Mapping[str, str]) -> list[Edit]:
    """One edit per changed passage, each with as many lines around it as make it unique."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    spans = [(a, b, c, d) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal"]
    found: list[tuple[str, str]] = []
    text = before
    for start, end, first, last in spans:
        find, put = _unique(old, new, (start, end, first, last), before)
        if text.count(find) != 1:  # passages touch each other: one edit for all of them
            find, put = _unique(
                old, new, (spans[0][0], spans[-1][1], spans[0][2], spans[-1][3]), before
            )
            text, found = before, []
        text = text.replace(find, put)
        found.append((find, put))
        if text == after:
            break
    return [Edit(file=name, find=_with(f, general), put=_with(p, general)) for f, p in found]


def _unique(
    old: list[str], new: list[str], span: tuple[int, int, int, int], before: str
) -> tuple[str, str]:
    """A passage of the old lines that occurs once, and what it becomes."""
    start, end, first, last = span
    while True:
        find = "".join(old[start:end])
        if find and before.count(find) == 1:
            return find, "".join(new[first:last])
        if start > 0:
            start, first = start - 1, first - 1
        elif end < len(old):
            end, last = end + 1, last + 1
        else:
            return find, "".join(new[first:last])


def _general(lab: LabFolder, params: Mapping[str, Any], name: str) -> dict[str, str]:
    """Value of this variant → the expression in the solution's template, longest values first."""
    path = lab.path / "solution" / f"{name}.j2"
    if not path.is_file():
        return {}
    found: dict[str, str] = {}
    for expression in dict.fromkeys(_EXPRESSION.findall(path.read_text(encoding="utf-8"))):
        try:
            value = lab.rendered(expression, params)
        except ConfigError:  # it needs a loop's variable
            continue
        if re.search(r"\w", value) and value not in found:
            found[value] = expression
    return dict(sorted(found.items(), key=lambda pair: -len(pair[0])))


def _with(text: str, general: Mapping[str, str]) -> str:
    """A passage with expressions instead of a variant's values."""
    if not general:
        return text
    values = "|".join(re.escape(value) for value in general)
    pattern = re.compile(rf"(?<![\w.])(?:{values})(?![\w]|\.\d)")
    return pattern.sub(lambda match: general[match[0]], text)


def losses(result: Result) -> dict[str, float]:
    """Check → points that a result lost, without those that are open."""
    lost = {c.name: round(c.of - c.points, 2) for c in result.checks}
    open_ = {c.name for c in result.checks if c.mark is Mark.INCONCLUSIVE}
    return {name: points for name, points in lost.items() if points > 0 and name not in open_}


def as_yaml(name: str, mutant: Mutant) -> str:
    """The lines for ``mutants`` of ``lab.yaml``."""
    data = mutant.model_dump(exclude_defaults=True)
    order = {key: data[key] for key in ("what", "without", "edits", "loses") if key in data}
    out = io.StringIO()
    yaml = YAML(typ="rt", pure=True)
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 1000
    yaml.dump({name: order}, out)
    return "".join(f"  {line}" for line in out.getvalue().splitlines(keepends=True))
