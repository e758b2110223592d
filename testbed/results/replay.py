"""Everything after `run`: measure → tables → claims → plots → report, from the run directory.

Pure: reads a run directory and writes back into it. Needs no root, no network and no Linux.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.author import experiment_folder
from testbed.author.experiment import (
    Experiment,
    check_claims,
    experiment_files,
    load_file,
    own_code,
    require_dict,
)
from testbed.core import files, parameters
from testbed.core.claims import (
    Claim,
    Judged,
    MissingDataError,
    Status,
    Verdict,
    inconclusive,
)
from testbed.core.errors import ConfigError, ExitCode, OutputError, TestbedError
from testbed.core.rundir import OUTCOME, SCENARIO, VERDICTS, RunDir, State, read_json, write_json
from testbed.core.tables import Tables, combined
from testbed.lifetime import guard
from testbed.lifetime.start import Interrupted
from testbed.results import defended, gate
from testbed.results.data import ScenarioData

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def experiment_of(run: RunDir) -> type[Experiment]:
    """The experiment that made a run: its current file, or the run's own copy."""
    return load_file(_file_of(run))


def _file_of(run: RunDir) -> Path:
    meta = run.meta()
    name, given = meta["experiment"], meta.get("file")
    if name in experiment_files():
        return experiment_files()[name]
    if given and Path(given).exists():
        return Path(given)
    if not (copies := experiment_folder.copies(run)):
        raise ConfigError(
            f"{run.path}: experiment '{name}' is neither in experiments/ nor in the run"
        )
    return copies[0]


class DrawingError(TestbedError):
    """A figure could not be drawn; everything else of the run exists.

    Attributes:
        run: the run directory.
        judged: its verdicts.
    """

    def __init__(self, error: TestbedError, run: RunDir, judged: list[Judged]) -> None:
        super().__init__(str(error))
        self.exit_code, self.run, self.judged = error.exit_code, run, judged


@dataclass(frozen=True)
class Parsed:
    """A run's experiment and parameters.

    Attributes:
        cls: the experiment.
        params: of the run.
        scenarios: name → parameters.
    """

    cls: type[Experiment]
    params: Any
    scenarios: Mapping[str, Any]

    @classmethod
    def read(cls, run: RunDir, experiment: type[Experiment]) -> Parsed:
        """From a run directory."""

        def parse(data: dict[str, Any]) -> Any:
            return parameters.build(experiment.Parameters, data["parameters"])

        names = complete_scenarios(run)
        scenarios: dict[str, Any] = {
            name: parse(read_json(run.scenario(name) / SCENARIO)) for name in names
        }
        return cls(experiment, parse(run.meta()), scenarios)


def replay(
    run: RunDir,
    on_stage: Callable[[str], None] = lambda _: None,
    known: Parsed | None = None,
    *,
    draw: bool = True,
) -> list[Judged]:
    """Measures, judges, plots and reports a run again; returns the verdicts.

    The run is `finished` only once all of that exists. The caller must hold `RunDir.in_use`.

    Raises:
        DrawingError: a figure could not be drawn; raised when all else is done.

    Args:
        run: the run directory.
        on_stage: is called with the name of each stage.
        known: what would otherwise be parsed from the run directory.
        draw: make figures and the report, too.
    """
    before = run.meta()
    run.set_state(State.UNDER_WAY)
    try:
        return _replay(run, on_stage, before, known, draw)
    except BaseException as error:
        if run.meta()["state"] == State.UNDER_WAY:  # a figure's error is raised at the end
            by_hand = isinstance(error, (KeyboardInterrupt, Interrupted))
            state = State.INTERRUPTED if by_hand else State.FAILED
            with suppress(OutputError):  # `error` already reports a full disk
                run.set_state(state, str(error) or "interrupted")
        raise


def _replay(
    run: RunDir,
    on_stage: Callable[[str], None],
    before: dict[str, Any],
    known: Parsed | None,
    draw: bool,
) -> list[Judged]:
    file, meta = _file_of(run), run.meta()
    if run.path in file.parents:
        gone = meta.get("file") or f"experiments/{meta['experiment']}"
        logging.getLogger(__name__).warning(
            "%s does not exist; replay uses the copy %s", gone, file
        )
    cls = load_file(file)
    if known is None or known.cls is not cls:
        known = Parsed.read(run, cls)
    experiment = cls(known.params)
    check_claims(experiment)
    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        on_stage(stage)
        began = time.perf_counter()
        result = work()
        seconds[stage] = round(time.perf_counter() - began, 3)
        return result

    tables = timed("measure", lambda: measure(run, known))
    judged: list[Judged] = timed("judge", lambda: judge(run, experiment, tables))
    wrong = None
    if draw:
        try:
            timed("plot", lambda: save_plots(run, experiment, tables))
        except TestbedError as error:  # the verdicts and the report exist all the same
            wrong = error
        from testbed.results.report import write_report

        timed("report", lambda: write_report(run, cls, judged))
    meta["wall_s"] = {**meta.get("wall_s", {}), **seconds}
    done = {"state": State.FINISHED, "reason": ""}
    run.write_meta(meta | (done if run.ran else {"state": before.get("state", State.FAILED)}))
    if wrong:
        raise DrawingError(wrong, run, judged) from wrong
    return judged


def measure(run: RunDir, parsed: Parsed) -> Tables:
    """Measures every complete scenario, side by side, and writes ``tables/*.parquet``."""
    names = complete_scenarios(run)
    data = [ScenarioData(name, run.scenario(name), parsed.scenarios[name]) for name in names]
    parts = _side_by_side(partial(_measure_one, parsed.cls), data, meanwhile=import_what_follows)
    tables = parsed.cls.tables_type(combined(dict(zip(names, parts, strict=True))))
    tables |= defended.tables(parsed.cls(parsed.params), tables)
    files.make_folder(run.tables)
    with ThreadPoolExecutor() as pool:  # Arrow compresses without holding Python's lock
        list(pool.map(partial(_save_table, run), tables, tables.values()))
    return tables


def import_what_follows() -> None:
    """Loads what measuring, judging, drawing and reporting need, while others run or measure."""
    import pandas as pd  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import testbed.results.report  # noqa: F401
    from analysis.plots import style

    _ = style.COLOURS  # the module is loaded on first use


def _save_table(run: RunDir, name: str, table: pd.DataFrame) -> None:
    texts = [column for column in table if table[column].dtype == "str"]
    table.attrs = {}  # what dissectors were told, such as keys
    # a dictionary of numbers that rarely repeat takes half the time and saves next to nothing
    with files.writing(run.tables / f"{name}.parquet") as file:
        table.to_parquet(file, index=False, use_dictionary=texts)


def _measure_one(cls: type[Experiment], data: ScenarioData) -> dict[str, pd.DataFrame]:
    import pandas as pd

    try:
        if data.heard_nothing:
            raise MissingDataError("no capture has a packet")
        with own_code(cls, f"measure, scenario '{data.name}'"):
            found = cls(data.params).measure(data)
    except MissingDataError as missing:
        return {"missing": pd.DataFrame([{"reason": str(missing)}])}
    must = "a dict of DataFrames"
    tables: dict[str, pd.DataFrame] = require_dict(cls, "measure", found, pd.DataFrame, must)
    return tables


def _side_by_side(
    work: Callable[[Any], Any], items: list[Any], meanwhile: Callable[[], None] = lambda: None
) -> list[Any]:
    """Maps `work` over the items on all cores, results in order; `meanwhile` runs here.

    The forked workers inherit `work` and the items, so these need not be picklable.

    Raises:
        TestbedError: a worker died.
    """
    workers = min(len(items), guard.processors())
    if workers < 2 or multiprocessing.parent_process():  # repetitions already use all cores
        meanwhile()
        return [work(item) for item in items]
    import pandas as pd  # noqa: F401  (loaded once, before the fork)
    import pyarrow.parquet  # noqa: F401

    gc.freeze()  # existing objects need not be traversed, and so copied, in each worker
    _INHERITED[:] = [partial(work, item) for item in items]
    try:
        with guard.forked(workers) as pool:
            results = pool.map(_do_inherited, range(len(items)))
            meanwhile()
            return list(results)
    except BrokenProcessPool as error:
        raise TestbedError("a worker process was killed (is there enough memory?)") from error
    finally:
        _INHERITED.clear()
        gc.unfreeze()


_INHERITED: list[Callable[[], Any]] = []


def _do_inherited(index: int) -> Any:
    return _INHERITED[index]()


def complete_scenarios(run: RunDir) -> list[str]:
    """Names of the scenarios that finished, in the run's order."""
    names = run.meta()["scenarios"]
    return [
        name
        for name in names
        if (run.scenario(name) / OUTCOME).is_file()
        and read_json(run.scenario(name) / OUTCOME)["status"] == "complete"
    ]


def judge(run: RunDir, experiment: Experiment, tables: Tables) -> list[Judged]:
    """Judges each claim that has all its scenarios in the run; writes ``verdicts.json``."""
    meta, cls = run.meta(), type(experiment)
    judged = []
    for claim in cls.claims():
        if (judged_in := _judged_in(claim, meta["scenarios"])) is None:
            continue
        try:
            _require_measured(judged_in, tables)
            with own_code(cls, f"claim {claim.name}"):
                verdict = claim.check(experiment, tables)
                if not isinstance(verdict, Verdict):
                    raise TypeError(f"returned {verdict!r}, not a Verdict")
        except MissingDataError as missing:
            verdict = inconclusive(str(missing))
        except ConfigError as error:
            verdict = inconclusive(str(error))
        if meta.get("clock") == "real":
            verdict = _gated(verdict, run, claim, judged_in)
        judged.append((claim, verdict))
    rows = [
        {"claim": c.name, "sentence": c.sentence, "source": c.source, **v.as_dict()}
        for c, v in judged
    ]
    write_json(run.path / VERDICTS, rows, durable=True)
    return judged


def _judged_in(claim: Claim, ran: Iterable[str]) -> tuple[str, ...] | None:
    """Those of the scenarios run that a claim is about; None: it is not judged."""
    own = tuple(name for name in claim.own if name in ran)
    if set(claim.scenarios) <= set(ran):
        return (*claim.scenarios, *own) if claim.scenarios else tuple(ran)
    return own or None


def _gated(verdict: Verdict, run: RunDir, claim: Claim, scenarios: tuple[str, ...]) -> Verdict:
    """The verdict, or INCONCLUSIVE if the observation may be due to a busy host."""
    if busy := gate.reasons(run, scenarios):
        return inconclusive(f"the host disturbed the run: {busy}", verdict.expected)
    if verdict.status == Status.FAIL and (why := gate.stalled(run, scenarios, claim.bears_stall_s)):
        observed = f"{verdict.observed}, but the host disturbed the run: {why}"
        return inconclusive(observed, verdict.expected)
    return verdict


def _require_measured(scenarios: Iterable[str], tables: Tables) -> None:
    """Raises MissingDataError if one of a claim's scenarios could not be measured."""
    if "missing" in tables:
        for row in tables["missing"].to_dict("records"):
            if row["scenario"] in scenarios:
                raise MissingDataError(f"scenario '{row['scenario']}': {row['reason']}")


def save_plots(run: RunDir, experiment: Experiment, tables: Tables) -> list[Path]:
    """Draws the experiment's figures into ``plots/*``, always with the same bytes.

    A figure becomes a PNG; a string already is an SVG drawing, such as a ladder diagram.
    """
    from analysis.plots import style

    cls = type(experiment)
    files.make_folder(run.plots)
    for old in [*run.plots.glob("*.png"), *run.plots.glob("*.svg")]:
        with files.refused(old):
            old.unlink()
    with style.applied():
        figures = _figures(experiment, tables)
        paths = [
            run.plots / f"{name}.{'svg' if isinstance(figure, str) else 'png'}"
            for name, figure in figures.items()
        ]
        _side_by_side(partial(_save_figure, cls), list(zip(figures.values(), paths, strict=True)))
    return paths


def _figures(experiment: Experiment, tables: Tables) -> Mapping[str, Figure | str]:
    """The experiment's figures; a run without their data still has verdicts, but no figures."""
    from matplotlib.figure import Figure

    try:
        with own_code(type(experiment), "plot"):
            found = experiment.plot(tables) if tables else {}
    except MissingDataError as missing:
        logging.getLogger(__name__).warning("no figures: %s", missing)
        return {}
    must = "a dict of name → Figure (or SVG text)"
    figures: Mapping[str, Figure | str] = require_dict(
        type(experiment), "plot", found, (Figure, str), must
    )
    return figures


def _save_figure(cls: type[Experiment], drawn: tuple[Figure | str, Path]) -> None:
    from analysis.plots import style

    figure, path = drawn
    if isinstance(figure, str):
        files.write_text(path, figure)
        return
    with own_code(cls, f"figure {path.stem}"):
        style.save(figure, path)


def exit_code(judged: list[Judged]) -> ExitCode:
    """0 if all claims hold, 1 if any fails, else 4 if any is inconclusive."""
    statuses = {verdict.status for _, verdict in judged}
    if Status.FAIL in statuses:
        return ExitCode.CLAIM_FAILED
    return ExitCode.INCONCLUSIVE if Status.INCONCLUSIVE in statuses else ExitCode.PASS
