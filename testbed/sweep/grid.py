"""Which runs a sweep has: from options of the command line, from a file, or from both.

A grid's file is TOML; each part is optional, and every combination of what the parts give is a
point. A parameter is named once::

    seeds = "1..20"

    [grid]                    # every combination of these
    rate_mbps = [1, 10, 100]
    rtt_ms = { from = 10, to = 200, count = 5, scale = "log" }

    [zip]                     # lists of one length, taken together
    queue_pkts = [10, 100]
    duration_s = [10, 20]

    [random]                  # independent samples
    count = 100
    seed = 7
    loss_percent = { from = 0, to = 5 }

    [latin_hypercube]         # samples that cover each range evenly
    count = 100
    rtt_ms = { from = 10, to = 200 }
"""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.core.errors import ConfigError, nearest
from testbed.core.files import read_input
from testbed.core.parameters import Parameter, parameters_of
from testbed.core.quantities import number
from testbed.execution.plan import DEFAULT_SEED
from testbed.sweep import values

MOST_SEED = 2**31 - 1
_PARTS = ("grid", "zip", "random", "latin_hypercube")
_SAMPLES: dict[str, Callable[[int, Iterable[str], int], dict[str, list[float]]]] = {
    "random": values.random_shares,
    "latin_hypercube": values.latin_shares,
}

Column = dict[str, list[Any]]
"""Parameters that vary together: name → values, all of one length."""


@dataclass(frozen=True)
class Grid:
    """The points of a sweep.

    Attributes:
        points: parameters by name, of each point; those that are not named have their defaults.
        seeds: each point is run with all of them.
        varied: names of the parameters that have more than one value, in the order given.
    """

    points: list[dict[str, Any]]
    seeds: list[int]
    varied: tuple[str, ...]

    @property
    def runs(self) -> int:
        """Number of runs."""
        return len(self.points) * len(self.seeds)


def read(
    cls: type, options: Mapping[str, Iterable[str]], seeds: str = "", path: Path | None = None
) -> Grid:
    """The grid of an experiment's parameters.

    Args:
        cls: the parameters' dataclass.
        options: name → texts, as given on the command line.
        seeds: list or range of seeds; empty: as the file says, or `DEFAULT_SEED`.
        path: a grid's file.

    Raises:
        ConfigError: an unknown parameter or a value that is not allowed, with its name and the
            number of runs that the grid would have.
    """
    known = {p.name: p for p in parameters_of(cls)}
    data = _file(path) if path else {}
    columns: list[Column] = []
    for part in _PARTS:
        with values.placed(f"{path}: {part}"):
            columns += _columns(part, data.get(part, {}), known)
    columns += [{name: values.of_option(known[name], texts)} for name, texts in options.items()]
    found = _seeds(
        seeds or data.get("seeds", DEFAULT_SEED), "--seeds" if seeds else f"{path}: seeds"
    )
    runs = len(found) * math.prod(_length(column) for column in columns)
    try:
        points = _points(columns, known, runs)
    except ConfigError as error:
        raise ConfigError(f"{error} (no run was made of {number(runs, 'runs')})") from None
    varied = (name for column in columns for name in column if len(set(map(str, column[name]))) > 1)
    return Grid(points, found, tuple(varied))


def _file(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(read_input(path, what="--grid").decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"--grid {path}: {error}") from None
    for name, part in data.items():
        allowed = ("seeds", *_PARTS)
        if name not in allowed:
            known = f"{nearest(name, allowed)}; known: {', '.join(allowed)}"
            raise ConfigError(f"--grid {path}: {name}: unknown{known}")
        if name != "seeds" and not isinstance(part, dict):
            raise ConfigError(f"--grid {path}: {name}: must be a table")
    return data


def _seeds(given: Any, where: str) -> list[int]:
    found = given if isinstance(given, list) else values.listed(str(given), where)
    if not found:
        raise ConfigError(f"{where}: is empty; give at least one seed")
    for seed in found:
        whole = str(seed).isdecimal() and not isinstance(seed, bool)
        if not whole or int(seed) > MOST_SEED:
            raise ConfigError(f"{where}: {seed!r}; allowed: whole numbers from 0 to {MOST_SEED}")
    return list(dict.fromkeys(int(seed) for seed in found))


def _columns(part: str, data: Mapping[str, Any], known: Mapping[str, Parameter]) -> list[Column]:
    """What a part of the file says, not checked yet."""
    names = [name for name in data if part not in _SAMPLES or name not in ("count", "seed")]
    listed = {n: data[n] if isinstance(data[n], list) else [data[n]] for n in names}
    if any(name not in known for name in names):  # `_points` says so, with the number of runs
        return [{name: found} for name, found in listed.items()]
    if part in _SAMPLES:
        return _sampled(part, data, {name: known[name] for name in names})
    found = {name: values.of_file(known[name], data[name], name) for name in names}
    if part == "zip":
        lengths = {name: len(each) for name, each in found.items()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} has {count}" for name, count in lengths.items())
            raise ConfigError(f"lists of one length are taken together, but {said}")
        return [found] if found else []
    return [{name: each} for name, each in found.items()]


def _sampled(part: str, data: Mapping[str, Any], known: Mapping[str, Parameter]) -> list[Column]:
    if not data:
        return []
    count, seed = data.get("count"), data.get("seed", 1)
    for name, value, low in (("count", count, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= values.MOST:
            raise ConfigError(f"{name}: {value!r}; allowed: {low} to {values.MOST:,}")
    assert isinstance(count, int)
    shares = _SAMPLES[part](count, known, seed)
    return [{n: values.sampled(p, data[n], shares[n], n) for n, p in known.items()}]


def _length(column: Column) -> int:
    return max((len(found) for found in column.values()), default=1)


def _points(
    columns: list[Column], known: Mapping[str, Parameter], runs: int
) -> list[dict[str, Any]]:
    """Every combination of the columns, each value checked."""
    if runs > values.MOST:
        raise ConfigError(f"the grid is too large; at most {values.MOST:,} runs")
    seen: set[str] = set()
    for name in (name for column in columns for name in column):
        if name not in known:
            options = [p.name for p in known.values()]
            said = f"{nearest(name, options)}; known: {', '.join(options)}"
            raise ConfigError(f"{name}: no such parameter{said}")
        if name in seen:
            raise ConfigError(f"{name}: is given twice; a parameter has one list of values")
        seen.add(name)
    rows = [
        [
            dict(zip(column, each, strict=True))
            for each in zip(
                *([known[name].parse(v) for v in found] for name, found in column.items()),
                strict=True,
            )
        ]
        for column in columns
    ]
    points = (
        dict(itertools.chain(*(row.items() for row in each))) for each in itertools.product(*rows)
    )
    return list({str(sorted(point.items())): point for point in points}.values())
