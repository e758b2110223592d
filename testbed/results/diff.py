"""Two runs side by side: what made them, their parameters, claims, tables and figures. Only reads.

`testbed.results.compare` says whether two runs are the same to the byte; this says what another
parameter, seed, kernel or version did to the results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.core.rundir import VERDICTS, RunDir, read_json

if TYPE_CHECKING:
    import pandas as pd

NONE = "-"
"""What the other run does not have."""

_MADE_BY = ("experiment", "seed", "runtime", "clock", "testbed", "sources", "fingerprint")
_SHOWN_CHARS, _SHOWN_COLUMNS = 16, 4


@dataclass(frozen=True)
class Row:
    """One thing of both runs.

    Attributes:
        what: its name.
        one, two: what each run has.
        same: whether that is the same.
        note: what differs, where `one` and `two` do not show it.
    """

    what: str
    one: str
    two: str
    same: bool
    note: str = ""


@dataclass(frozen=True)
class Diff:
    """Two runs side by side, each section with a row for each thing of either."""

    made_by: list[Row]
    parameters: list[Row]
    claims: list[Row]
    tables: list[Row]
    figures: list[Row]

    @property
    def sections(self) -> dict[str, list[Row]]:
        """Title → rows."""
        return {
            "Made by": self.made_by,
            "Parameters": self.parameters,
            "Claims": self.claims,
            "Tables": self.tables,
            "Figures": self.figures,
        }

    @property
    def same(self) -> bool:
        """True if nothing differs."""
        return all(row.same for rows in self.sections.values() for row in rows)


def diff(one: RunDir, two: RunDir) -> Diff:
    """Compares two finished runs.

    Raises:
        ConfigError: one of them is not finished.
    """
    for run in (one, two):
        run.require_finished()
    metas = one.meta(), two.meta()
    return Diff(
        list(_rows(*(_made_by(meta) for meta in metas))),
        list(_rows(*(_texts(meta["parameters"]) for meta in metas))),
        list(_rows(*(_claims(run) for run in (one, two)))),
        list(_tables(one.tables, two.tables)),
        list(_figures(one.plots, two.plots)),
    )


def _rows(one: Mapping[str, str], two: Mapping[str, str]) -> Iterator[Row]:
    for name in dict.fromkeys([*one, *two]):
        a, b = one.get(name, NONE), two.get(name, NONE)
        yield Row(name, a, b, a == b)


def _texts(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in data.items()
    }


def _made_by(meta: Mapping[str, Any]) -> dict[str, str]:
    found = {n: str(meta[n])[:_SHOWN_CHARS] for n in _MADE_BY if meta.get(n) is not None}
    kernel = meta.get("kernel") or {}
    found["kernel"] = f"{kernel.get('version', '')} {kernel.get('sha256', '')[:12]}".strip()
    found["image"] = str((meta.get("image") or {"id": "none"})["id"])
    return found | _texts(meta.get("tools") or {})


def _claims(run: RunDir) -> dict[str, str]:
    rows = read_json(run.path / VERDICTS)
    return {row["sentence"]: f"{row['status']}: {row['observed']}" for row in rows}


def _tables(one: Path, two: Path) -> Iterator[Row]:
    import pandas as pd

    for name in sorted({p.stem for folder in (one, two) for p in folder.glob("*.parquet")}):
        paths = [folder / f"{name}.parquet" for folder in (one, two)]
        frames = [pd.read_parquet(path) if path.is_file() else None for path in paths]
        shapes = [NONE if f is None else f"{len(f)} × {len(f.columns)}" for f in frames]
        if frames[0] is None or frames[1] is None:
            yield Row(name, shapes[0], shapes[1], same=False)
            continue
        note = _changed(frames[0], frames[1])
        yield Row(name, shapes[0], shapes[1], same=not note, note=note)


def _changed(one: pd.DataFrame, two: pd.DataFrame) -> str:
    """What differs in two tables, in words; empty if nothing does."""
    parts = []
    for sign, columns in (("without", one.columns), ("with", two.columns)):
        other = two.columns if sign == "without" else one.columns
        if more := [str(c) for c in columns if c not in other]:
            parts.append(f"{sign} {', '.join(more)}")
    shared, rows = [c for c in one.columns if c in two.columns], min(len(one), len(two))
    by_column = {str(c): n for c in shared if (n := _cells(one[c].head(rows), two[c].head(rows)))}
    if by_column:
        most = sorted(by_column, key=by_column.__getitem__, reverse=True)
        names = ", ".join(most[:_SHOWN_COLUMNS]) + " …" * (len(most) > _SHOWN_COLUMNS)
        total, of = sum(by_column.values()), rows * len(shared)
        parts.append(f"{total} of {of} cells differ, in {names}")
    if len(one) != len(two):
        parts.append(
            f"{abs(len(one) - len(two))} rows {'more' if len(two) > len(one) else 'fewer'}"
        )
    return "; ".join(parts)


def _cells(one: pd.Series[Any], two: pd.Series[Any]) -> int:
    """How many cells of two columns differ; both empty is the same."""
    a, b = (column.astype(object).reset_index(drop=True) for column in (one, two))
    both_empty = a.isna() & b.isna()
    differ = a.map(str) != b.map(str)
    return int((differ & ~both_empty).sum())


def _figures(one: Path, two: Path) -> Iterator[Row]:
    names = {
        p.name for folder in (one, two) for p in (*folder.glob("*.png"), *folder.glob("*.svg"))
    }
    for name in sorted(names):
        data = [p.read_bytes() if (p := f / name).is_file() else None for f in (one, two)]
        same = data[0] == data[1]
        shown = ["there" if d is not None else NONE for d in data]
        note = "" if same or NONE in shown else "different"
        yield Row(name, shown[0], shown[1], same=same, note=note)
