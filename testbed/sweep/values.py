"""Values of one parameter in a sweep, as given on the command line or in a grid's file.

1,10,100      a list
1..20         whole numbers, both ends included
0..1:0.25     from, to, step
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any

from testbed.core.errors import ConfigError, nearest
from testbed.core.parameters import Parameter

MOST = 1_000_000
"""The longest list of values, and the largest number of runs."""

_RANGE = re.compile(r"([^.:]+(?:\.\d+)?)\.\.([^:]+?)(?::(.+))?")
_SPAN = ("from", "to", "step", "count", "scale")
_SCALES = ("linear", "log")


def listed(text: str, what: str) -> list[Any]:
    """Numbers and words of a text such as ``1,5..8``.

    Raises:
        ConfigError: not a range; names `what`.
    """
    found: list[Any] = []
    for piece in (part.strip() for part in text.split(",")):
        if not piece:
            raise ConfigError(f"{what}: {text!r} has an empty value")
        match = _RANGE.fullmatch(piece)
        found += _range(*match.groups(), what=f"{what} {piece}") if match else [piece]
    return found


def _range(first: Any, last: Any, step: Any, *, what: str) -> list[int | float]:
    """Numbers from first to last, both included; exact, whatever the step."""
    try:
        low, high = Decimal(str(first)), Decimal(str(last))
        by = Decimal(str(step)) if step is not None else Decimal(1)
        count = int((high - low) / by) + 1 if by else 0
    except (InvalidOperation, ArithmeticError, ValueError):
        raise ConfigError(f"{what}: is not a range; write it like 1..20 or 0..1:0.25") from None
    if step is None and (low % 1 or high % 1):
        raise ConfigError(f"{what}: needs a step, as in {first}..{last}:0.1")
    if by <= 0 or high < low:
        raise ConfigError(f"{what}: is empty; give the smaller number first and a step above 0")
    if count > MOST:
        raise ConfigError(f"{what}: has {count:,} values; at most {MOST:,}")
    return [_plain(low + by * n) for n in range(count)]


def _plain(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def of_option(p: Parameter, given: Iterable[str]) -> list[Any]:
    """Values of a parameter from its option, which may be repeated; not checked yet.

    For a parameter that is a list itself, each occurrence of the option is one value.

    Raises:
        ConfigError: not a range; names the option.
    """
    if p.is_tuple:
        return list(given)
    if p.element_type is str:
        return [word.strip() for text in given for word in text.split(",")]
    return [value for text in given for value in listed(text, p.option)]


def of_file(p: Parameter, given: Any, where: str) -> list[Any]:
    """Values of a parameter from a grid's file: a list, one value, a range's text or its table.

    Raises:
        ConfigError: not a range; names its place.
    """
    if isinstance(given, Mapping):
        with placed(where):
            return _span(given)
    if isinstance(given, str) and not p.is_tuple and p.element_type is not str:
        return listed(given, where)
    if given == []:
        raise ConfigError(f"{where}: is empty; give at least one value")
    return given if isinstance(given, list) else [given]


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Errors of the block begin with a place."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _span(table: Mapping[str, Any]) -> list[int | float]:
    _check_span(table, ("from", "to"))
    if ("step" in table) == ("count" in table):
        raise ConfigError("a range needs either step or count")
    if "step" in table:
        return _range(table["from"], table["to"], table["step"], what="range")
    count = table["count"]
    if not isinstance(count, int) or not 2 <= count <= MOST:
        raise ConfigError(f"count: {count!r}; allowed: 2 to {MOST:,}")
    return [_between(table, n / (count - 1)) for n in range(count)]


def _check_span(table: Mapping[str, Any], needed: Iterable[str]) -> None:
    for name in table:
        if name not in _SPAN:
            raise ConfigError(f"{name}: unknown{nearest(name, _SPAN)}; known: {', '.join(_SPAN)}")
    for name in needed:
        number = table.get(name)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ConfigError(f"{name}: {number!r} is not a number")
    if table["to"] <= table["from"]:
        raise ConfigError("a range's from must be less than its to")
    if (scale := table.get("scale", "linear")) not in _SCALES:
        raise ConfigError(f"scale: {scale!r} is unknown; known: {', '.join(_SCALES)}")
    if scale == "log" and table["from"] <= 0:
        raise ConfigError('a range with scale = "log" begins above 0')


def _between(table: Mapping[str, Any], share: float) -> float:
    """The number at a share (0 to 1) of a range; seven digits, as text and numbers agree then."""
    low, high = float(table["from"]), float(table["to"])
    if table.get("scale") == "log":
        return float(f"{low * (high / low) ** share:.7g}")
    return float(f"{low + (high - low) * share:.7g}")


def sampled(p: Parameter, given: Any, shares: Iterable[float], where: str) -> list[Any]:
    """One value for each share (0 to 1) of a range's table, or of a list.

    Raises:
        ConfigError: neither a table with from and to, nor a list.
    """
    with placed(where):
        if isinstance(given, list) and given:
            return [given[min(int(s * len(given)), len(given) - 1)] for s in shares]
        if not isinstance(given, Mapping) or {"step", "count"} & set(given):
            raise ConfigError("give a list, or a range such as { from = 1, to = 10 }")
        _check_span(given, ("from", "to"))
        whole = p.element_type is int
        return [_whole(given, s) if whole else _between(given, s) for s in shares]


def _whole(table: Mapping[str, Any], share: float) -> int:
    """A whole number of a range, each with the same chance (on a linear scale)."""
    if table.get("scale") == "log":
        return round(_between(table, share))
    low, high = int(table["from"]), int(table["to"])
    return min(low + int(share * (high - low + 1)), high)


def random_shares(count: int, names: Iterable[str], seed: int) -> dict[str, list[float]]:
    """Independent shares for each name; a larger count begins with those of a smaller one.

    Python promises the same numbers from `random.random` in every version; those of NumPy and
    SciPy may change, and a sweep's runs with them.
    """
    found = {}
    for name in names:
        chance = random.Random(f"{seed} {name}")
        found[name] = [chance.random() for _ in range(count)]
    return found


def latin_shares(count: int, names: Iterable[str], seed: int) -> dict[str, list[float]]:
    """A Latin hypercube: each of `count` equal parts of each range is met once.

    McKay, Beckman and Conover, Technometrics 21 (1979).
    """
    found = {}
    for name in names:
        chance = random.Random(f"{seed} {name}")
        order = sorted(range(count), key=[chance.random() for _ in range(count)].__getitem__)
        found[name] = [(cell + chance.random()) / count for cell in order]
    return found
