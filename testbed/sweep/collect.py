"""The joint tables of a sweep: parameters, claims' values and verdicts of all its runs.

``claims/`` is a Parquet dataset with one folder per claim; pandas, Polars, DuckDB and R read it as
one table. ``tables/NAME/`` holds the same of a table that the experiment measures, one folder per
seed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.author.experiment import Experiment
from testbed.core import files
from testbed.core.errors import ConfigError, nearest
from testbed.core.parameters import parameters_of
from testbed.core.rundir import VERDICTS, read_json
from testbed.lifetime import guard
from testbed.sweep.jobs import Row
from testbed.sweep.work import RUNS

if TYPE_CHECKING:
    import pandas as pd

CLAIMS, TABLES = "claims", "tables"
"""Folders of the joint tables."""

_VERDICT = ("claim", "verdict", "value", "unit", "observed", "expected")
_ABOUT = ("run", "seed")
_MADE = ("fingerprint", "wall_s")
_JOB = ("state", "reason", "worker", "size_bytes", "verified", "deaths", "failures")


def refuse_reserved(cls: type[Experiment]) -> None:
    """Refuses an experiment with parameters that a sweep's tables could not tell from their own.

    Raises:
        ConfigError: names the parameter.
    """
    for p in parameters_of(cls.Parameters):
        if p.name in (*_ABOUT, *_VERDICT, *_MADE, *_JOB):
            raise ConfigError(
                f"{cls.name}: parameter '{p.name}': a sweep's tables have a column of that name;"
                " rename the parameter"
            )


def plain(value: Any) -> Any:
    """A parameter's value in a table: lists as text."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


def claims_of(home: Path, rows: Iterable[Row]) -> pd.DataFrame:
    """One row per run and claim.

    Returns:
        columns ``run`` (its folder in ``runs/``), ``seed``, one for each parameter, ``claim``,
        ``verdict`` (PASS, FAIL or INCONCLUSIVE), ``value`` (the number observed, or NaN), ``unit``,
        ``observed`` and ``expected`` (texts), ``fingerprint``, ``wall_s``.
    """
    import pandas as pd

    found = [verdict for row in rows for verdict in _verdicts(home, row)]
    names = [n for n in (found[0] if found else {}) if n not in (*_ABOUT, *_VERDICT)]
    ordered = [*_ABOUT, *(n for n in names if n not in _MADE), *_VERDICT]
    table = pd.DataFrame(found, columns=[*ordered, *_MADE])
    return table.astype({"value": float, "wall_s": float})


def _verdicts(home: Path, row: Row) -> Iterator[dict[str, Any]]:
    about = {"run": row.key, "seed": row.seed}
    about |= {name: plain(value) for name, value in row.parameters.items()}
    about |= {"fingerprint": row.fingerprint, "wall_s": row.wall_s}
    for verdict in read_json(home / RUNS / row.key / VERDICTS):
        yield about | {
            "claim": verdict["claim"],
            "verdict": verdict["status"],
            "value": verdict.get("value"),
            "unit": verdict["unit"],
            "observed": verdict["observed"],
            "expected": f"{verdict['expected']} {verdict['tolerance']}".strip(),
        }


def table_of(home: Path, rows: Iterable[Row], name: str) -> pd.DataFrame:
    """A table that the experiment measures, of all runs: with ``run``, ``seed`` and parameters.

    A parameter of the name of one of the table's columns is left out.

    Raises:
        ConfigError: no run has such a table.
    """
    import pandas as pd

    pieces, others = [], set()
    for row in rows:
        folder = home / RUNS / row.key / "tables"
        if not (path := folder / f"{name}.parquet").is_file():
            others |= {p.stem for p in folder.glob("*.parquet")}
            continue
        piece = pd.read_parquet(path)
        about: Mapping[str, Any] = {"run": row.key, "seed": row.seed} | {
            n: plain(value) for n, value in row.parameters.items() if n not in piece
        }
        pieces.append(pd.concat([pd.DataFrame(about, index=piece.index), piece], axis=1))
    if not pieces:
        known = f"{nearest(name, others)}; there are: {', '.join(sorted(others)) or 'none yet'}"
        raise ConfigError(f"table '{name}': no run of this sweep has it{known}")
    return pd.concat(pieces, ignore_index=True)


def write(home: Path, claims: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> list[Path]:
    """Writes the joint tables, each whole or not at all; returns their folders."""
    wanted = {home / CLAIMS: (claims, "claim")}
    wanted |= {home / TABLES / name: (table, "seed") for name, table in tables.items()}
    for target, (table, by) in wanted.items():
        _write(table, by, target)
    return list(wanted)


def _write(table: pd.DataFrame, by: str, target: Path) -> None:
    import pyarrow as pa
    import pyarrow.dataset as ds

    files.make_folder(target.parent)
    with guard.folder("joint", within=target.parent) as scratch, files.refused(target):
        made = scratch / target.name
        made.mkdir()
        ds.write_dataset(
            pa.Table.from_pandas(table, preserve_index=False),
            made,
            format="parquet",
            partitioning=ds.partitioning(pa.schema([(by, _kind(by))]), flavor="hive"),
            max_partitions=max(1024, table[by].nunique()),
            existing_data_behavior="overwrite_or_ignore",
        )
        guard.put_in_place(made, target)
        shutil.rmtree(made, ignore_errors=True)


def _kind(by: str) -> Any:
    import pyarrow as pa

    return pa.int64() if by == "seed" else pa.string()
