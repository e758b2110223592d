"""Answers of students: a YAML file, read as plain data and compared with what was expected.

Every method returns a verdict; an answer that is missing or of the wrong kind FAILs. Nothing in the
file can do harm: no tags, no aliases, limited size, shown in limited length.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from testbed.core.claims import Status, Verdict, holds, near
from testbed.grading.partial_credit import share_of

_SHOWN = 200
_LONGEST_TEXT = 4000
_NUMBER = re.compile(r"\s*([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\.?\s*([^\d\s,.].*)?")
"""A number and a unit. A comma is neither: `1,5` would be one, and `1,500` as well."""
_NO_ANSWER = "no answer"


def shown(value: Any, most: int = _SHOWN) -> str:
    """A student's value as text of limited length, without control characters."""
    if isinstance(value, Mapping):
        return f"a map with {len(value)} keys"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    text = "".join(c if c.isprintable() else "�" for c in str(value)[: most + 1])
    return text[:most] + "…" * (len(text) > most)


class Answers:
    """The answers of one submission, by key; ``a.b`` is key ``b`` of the map at ``a``."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def get(self, key: str) -> Any:
        """The raw answer, or None."""
        found: Any = self._data
        for part in key.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    def _judge(
        self, key: str, expected: str, read: Callable[[str], Any], right: Callable[[Any], bool]
    ) -> Verdict:
        """A scalar answer: `read` raises ValueError if it is of the wrong kind."""
        value = self.get(key)
        if value is None or (isinstance(value, str) and not value.strip()):
            return holds(False, observed=_NO_ANSWER, expected=expected)
        if not isinstance(value, str | int | float):
            return holds(False, observed=shown(value), expected=expected)
        try:
            condition = right(read(str(value).strip()))
        except ValueError:
            condition = False
        return holds(condition, observed=shown(value), expected=expected)

    def number(
        self,
        key: str,
        expected: float,
        *,
        rel: float | None = None,
        abs: float | None = None,
        unit: str = "",
    ) -> Verdict:
        """A number within `rel` (a fraction) or `abs` of the right one; a unit is ignored."""
        value = self.get(key)
        found = _as_number(value)
        verdict = near(
            found if found is not None else expected, expected, rel=rel, abs=abs, unit=unit
        )
        if found is None:
            said = _NO_ANSWER if value is None else f"{shown(value)} (not a number)"
            verdict = Verdict(Status.FAIL, said, verdict.expected, verdict.tolerance)
        return verdict if rel or abs else replace(verdict, tolerance="")

    def numbers_given(self, *keys: str) -> Verdict:
        """Whether each answer is a number, right or wrong: for public checks."""
        given = {key: self.get(key) for key in keys}
        wrong = [
            f"{key}: {_NO_ANSWER if value is None else f'{shown(value)} (not a number)'}"
            for key, value in given.items()
            if _as_number(value) is None
        ]
        expected = "a number each for " + ", ".join(keys)
        observed = "; ".join(wrong) or "all are numbers"
        return holds(not wrong, observed=observed, expected=expected)

    def address(self, key: str, expected: str) -> Verdict:
        """An IPv4 or IPv6 address, in any notation."""
        right = ipaddress.ip_address(expected)
        return self._judge(key, expected, ipaddress.ip_address, lambda found: found == right)

    def prefix(self, key: str, expected: str) -> Verdict:
        """A network such as ``10.0.0.0/8``; host bits must be 0."""
        right = ipaddress.ip_network(expected)
        return self._judge(key, expected, ipaddress.ip_network, lambda found: found == right)

    def choice(self, key: str, expected: str) -> Verdict:
        """One of several words, in upper or lower case."""
        return self._judge(key, expected, str.casefold, lambda w: w == expected.casefold())

    def text(self, key: str, pattern: str, *, expected: str) -> Verdict:
        """Short text in which a pattern (a regular expression, case ignored) is found.

        Args:
            key: of the answer.
            pattern: what must occur; several, in any order, by ``(?=.*one)(?=.*two)``.
            expected: the same in words, for the student.
        """
        wanted = re.compile(pattern, re.IGNORECASE | re.DOTALL)
        return self._judge(
            key, expected, str, lambda said: bool(wanted.search(said[:_LONGEST_TEXT]))
        )

    def table(
        self, key: str, rows: Sequence[Mapping[str, Any]], *, by: str, rel: float = 0.0
    ) -> Verdict:
        """A list of maps, in any order; each expected row that is present earns its share.

        Args:
            key: of the answer.
            rows: expected rows, column → value.
            by: the column that identifies rows.
            rel: tolerance of numbers, as a fraction.
        """
        given = self.get(key)
        found: dict[str, Mapping[str, Any]] = {}
        for row in given if isinstance(given, list) else []:
            if isinstance(row, Mapping) and row.get(by) is not None:
                found.setdefault(_normal(row[by]), row)
        verdicts = [_row(found.get(_normal(row[by])), row, by, rel) for row in rows]
        extra = len(found) - len(rows)
        if extra > 0:  # listing every possibility is not an answer
            verdicts += [
                holds(False, observed="a row too many", expected=f"{len(rows)} rows")
            ] * extra
        return share_of(verdicts)


def _row(found: Mapping[str, Any] | None, right: Mapping[str, Any], by: str, rel: float) -> Verdict:
    words = ", ".join(f"{k} {v}" for k, v in right.items())
    if found is None:
        return holds(False, observed=f"no row with {by} {right[by]}", expected=words)
    said = ", ".join(f"{k} {shown(found.get(k, '-'))}" for k in right)
    same = all(_same(found.get(k), v, rel) for k, v in right.items())
    return holds(same, observed=said, expected=words)


def _same(found: Any, right: Any, rel: float) -> bool:
    if isinstance(right, int | float) and not isinstance(right, bool):
        number = _as_number(found)
        return number is not None and math.isclose(number, right, rel_tol=rel, abs_tol=1e-12)
    return isinstance(found, str | int | float) and _normal(found) == _normal(right)


def _normal(value: Any) -> str:
    """Normalises words for comparison: addresses in their usual form, stripped, one case."""
    text = shown(value).strip().casefold()
    for read in (ipaddress.ip_address, ipaddress.ip_network):
        try:
            return str(read(text))
        except ValueError:
            continue
    return text


def number_in(text: str) -> tuple[float | None, str]:
    """The number that a text begins with, and the unit behind it; (None, "") if it is none."""
    match = _NUMBER.fullmatch(text[:_SHOWN])
    return (float(match[1]), match[2] or "") if match else (None, "")


def _as_number(value: Any) -> float | None:
    if isinstance(value, str):
        value, _ = number_in(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
