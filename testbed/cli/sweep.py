"""`testbed sweep`: one experiment over many parameters and seeds, on one machine or many."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.table import Table

from testbed.author import experiment as experiments
from testbed.cli.console import err, out
from testbed.cli.options import Share, cluster_of, cluster_options, run_options_of_sweeps
from testbed.core.errors import ConfigError, ExitCode
from testbed.core.parameters import Parameter, parameters_of
from testbed.core.quantities import number
from testbed.execution.plan import Request
from testbed.sweep.drive import DIFFERENT, comparisons
from testbed.sweep.inputs import KEPT
from testbed.sweep.jobs import NOT_COMPARED, State
from testbed.sweep.opened import Sweep, open_sweep, verdict_of

if TYPE_CHECKING:
    from testbed.execution.cluster import Cluster
    from testbed.sweep.making import Wish

ASK_ABOVE = 1000
"""More runs than this are made only if the user says so."""


class _Sweeps(click.Group):
    """`testbed sweep EXPERIMENT`: one sub-command per experiment, besides those of sweeps."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Those of sweeps, then the experiments."""
        return [*super().list_commands(ctx), *experiments.experiment_files()]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """A command, or the sweep of an experiment."""
        if (own := super().get_command(ctx, name)) is not None:
            return own
        cls = experiments.load(name)
        known = parameters_of(cls.Parameters)
        options: list[click.Parameter] = [_option(p) for p in known]
        return _Sweep(
            name,
            callback=_command(name, known),
            params=[*options, *sweep_options()],
            help=f"{cls.title()} Over all given values and seeds; values are lists and ranges:"
            " 1,10,100 or 1..20 or 0..1:0.1.",
            short_help=cls.title(),
        )


class _Sweep(click.Command):
    """The sweep of one experiment."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Says of an unknown option how many runs there would have been."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            said = f"{error.format_message().rstrip('.')} (no run was made of {_runs_in(words)})"
            raise click.UsageError(said, ctx) from None


def _runs_in(words: list[str]) -> str:
    """How many runs the lists and ranges of a command line make."""
    from testbed.sweep.values import listed

    count = 1
    words = [part for word in words for part in word.split("=", 1 if word[:2] == "--" else 0)]
    for option, value in itertools.pairwise(words):
        if option.startswith("--") and not value.startswith("--"):
            with suppress(ConfigError):
                count *= len(listed(value, option))
    return number(count, "runs")


@click.group("sweep", cls=_Sweeps, subcommand_metavar="EXPERIMENT [OPTIONS] | COMMAND")
def sweep_group() -> None:
    """Run an experiment over many parameters and seeds, and show where its claims hold.

    Runs that are there already are not made again: repeat the command to go on after an
    interruption, or with more values to add only their runs.
    """


def _option(p: Parameter) -> click.Option:
    words = "give the option once for each list" if p.is_tuple else "list or range"
    return click.Option(
        [p.option],
        multiple=True,
        metavar="VALUES",
        help=f"{p.spec.help} ({p.allowed}; {words}) [default: {p.shown(p.default)}]",
    )


def sweep_options() -> list[click.Parameter]:
    """Options of every sweep, besides the experiment's parameters."""
    return [
        click.Option(["--seeds"], default="", metavar="SEEDS", help="Random seeds [default: 1]."),
        click.Option(
            ["--grid"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="TOML file with ranges, zipped lists and samples.",
        ),
        click.Option(
            ["--keep"],
            type=click.Choice(KEPT),
            default="tables",
            show_default=True,
            help="What to keep of each run: tables and verdicts; captures, too; or all.",
        ),
        click.Option(
            ["--verify"],
            type=Share(100),
            default=0.0,
            metavar="P%",
            help="Make this share of the runs twice, by different workers, and compare.",
        ),
        click.Option(["--again"], is_flag=True, help="Try again what was set aside."),
        click.Option(["--yes"], is_flag=True, help=f"Do not ask about more than {ASK_ABOVE} runs."),
        click.Option(["--dry-run"], is_flag=True, help="Only say what would be done."),
        click.Option(["--detach"], is_flag=True, help="Go on in the background; see 'status'."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
        *run_options_of_sweeps(),
        click.Option(
            ["--out"],
            type=click.Path(path_type=Path),
            help="Folder of the sweep [default: runs/sweeps/EXPERIMENT].",
        ),
        *cluster_options(),
    ]


def _command(name: str, known: list[Parameter]) -> Callable[..., None]:
    def command(**given: Any) -> None:
        from testbed.cli.sweep_view import SweepView
        from testbed.sweep import grid
        from testbed.sweep.making import Wish, make, prepared
        from testbed.sweep.opened import folder_of

        cls = experiments.load(name)
        options = {p.name: given[p.name] for p in known if given[p.name]}
        request = Request(
            experiment=name,
            runtime=given["runtime"],
            clock=given["clock"],
            image=given["image"] or "",
            out=folder_of(name, given["out"]),
            wall_limit_s=given["wall_limit_s"],
            only=given["scenario"],
            perturb_percent=given["perturb"],
        )
        wish = Wish(
            request,
            grid.read(cls.Parameters, options, given["seeds"], given["grid"]),
            keep=given["keep"],
            again=given["again"],
            verify_percent=given["verify"],
            command=shlex.join(["testbed", *sys.argv[1:]]),
        )
        cluster = cluster_of(given, request.out / "logs")
        if given["dry_run"]:
            _say_plan(wish, cluster)
            return
        ask = partial(_ask, request.out, cluster.workers, given["yes"])
        with prepared(wish, ask) as sweep:
            if not given["detach"]:
                with SweepView(err) as view:
                    made = make(sweep, cluster.start, view)
        if given["detach"]:
            _go_on_in_background(request.out)
            return
        _report(made, as_json=given["as_json"])
        sys.exit(_exit_code(made))

    return command


def _say_plan(wish: Wish, cluster: Cluster) -> None:
    """What would be done: the number of runs, and a batch system's script."""
    from testbed.execution.shared import Shared
    from testbed.sweep import inputs, work

    home = wish.request.out
    shared = Shared(home, "")
    keys = {task.key for task in inputs.tasks(wish.request, wish.grid, wish.keep, shared)}
    there = sum(work.has(home, key) for key in keys)
    out.print(f"{number(len(keys), 'runs')} in {home}, of which {there} are there", soft_wrap=True)
    if script := cluster.script():
        out.print(escape(script), highlight=False, soft_wrap=True)


def _ask(home: Path, workers: int, yes: bool, runs: int, cost: tuple[float, float] | None) -> None:
    """Says how much a large sweep takes, and asks.

    Raises:
        ConfigError: nobody can be asked here, or the answer is no.
    """
    from testbed.sweep.making import free_bytes

    if runs <= ASK_ABOVE:
        return
    said = f"{number(runs, 'runs')} are to be made, {_estimate(runs, cost, max(1, workers))}"
    free = f"{free_bytes(home) / 1e9:.0f} GB are free in {home}"
    err.print(f"{said}; {free}", highlight=False, soft_wrap=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(f"sweep: {said}; cannot ask for confirmation here; add --yes")
    if not click.confirm("Make them?"):
        raise ConfigError("sweep: nothing was made")


def _estimate(runs: int, cost: tuple[float, float] | None, workers: int) -> str:
    """Time and disk, from the runs made so far."""
    if cost is None:
        return "time and disk are not known: make a few runs of this sweep first"
    wall_s, size_bytes = (each * runs for each in cost)
    return (
        f"about {_duration(wall_s / workers)} with {number(workers, 'workers')}"
        f" and {size_bytes / 1e9:.2g} GB"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _go_on_in_background(home: Path) -> None:
    """Starts this command again, as a process that outlives this one."""
    log = home / "sweep.log"
    argv = [word for word in sys.argv[1:] if word != "--detach"]
    ours = {"TMPDIR", "MAKELEVEL"}  # of this command, and of the make that may have started it
    environment = {name: text for name, text in os.environ.items() if name not in ours}
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)) as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "testbed", *argv, "--yes"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environment,
            start_new_session=True,
        )
    process.returncode = 0  # it outlives us: nobody waits for it
    out.print(f"goes on as process {process.pid}; log {log}", highlight=False, soft_wrap=True)
    out.print(f"testbed sweep status {home}", highlight=False, soft_wrap=True)


def _exit_code(sweep: Sweep) -> ExitCode:
    """As of a run: 3 if runs are missing, 1 if a claim fails, 4 if one is inconclusive.

    A comparison of runs made twice counts as a claim.
    """
    if any(row.state is not State.DONE for row in sweep.rows()):
        return ExitCode.ENVIRONMENT
    verdicts = set(sweep.claims["verdict"])
    compared = comparisons(sweep.rows())
    if "FAIL" in verdicts or DIFFERENT in compared:
        return ExitCode.CLAIM_FAILED
    open_ = "INCONCLUSIVE" in verdicts or NOT_COMPARED in compared
    return ExitCode.INCONCLUSIVE if open_ else ExitCode.PASS


_COLOURS = {"PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow"}


def _report(sweep: Sweep, *, as_json: bool) -> None:
    held = sweep.held()
    if as_json:
        data = {
            "path": str(sweep.path),
            "report": str(sweep.report),
            "runs": {str(state): count for state, count in sweep.counts().items()},
            "claims": held.to_dict("records"),
        }
        click.echo(json.dumps(data, indent=1, ensure_ascii=False))
        return
    table = Table(box=None, header_style="bold", pad_edge=False, expand=True)
    table.add_column("held", no_wrap=True)
    for column, share in (("claim", 3), ("fails at", 3)):
        table.add_column(column, overflow="fold", ratio=share)
    for row in held.to_dict("records"):
        open_ = f" ({row['inconclusive']} inconclusive)" * bool(row["inconclusive"])
        colour, judged = _COLOURS[verdict_of(row)], row["held"] + row["failed"]
        table.add_row(
            f"[{colour}]{row['held']} of {judged}[/]{open_}",
            escape(row["sentence"]),
            escape(row["fails_at"]),
        )
    out.print(table)
    _print_counts(sweep)
    out.print(f"report {sweep.report}", soft_wrap=True, highlight=False)


def _print_counts(sweep: Sweep) -> None:
    counts = sweep.counts()
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    out.print(f"\n[bold]{number(sum(counts.values()), 'runs')}[/]: {', '.join(parts)}")
    if compared := comparisons(sweep.rows()):
        said = ", ".join(f"{count} {what}" for what, count in compared.items())
        out.print(f"second runs by other workers: {said}", highlight=False)
    for why, rows in Counter(
        row.verified for row in sweep.rows() if row.verified.startswith(NOT_COMPARED)
    ).items():
        out.print(f"[yellow]{escape(why)}[/] ({number(rows, 'runs')})", highlight=False)
    for row in sweep.rows():
        if row.state in (State.FAILED, State.SET_ASIDE):
            text = f"[red]{row.state}[/] {row.key[:12]} seed {row.seed}: {escape(row.reason)}"
            out.print(text, highlight=False, soft_wrap=True)


# ---- status, collect, plot

_WHERE = click.argument("sweep", metavar="SWEEP")


@sweep_group.command()
@_WHERE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(sweep: str, as_json: bool) -> None:
    """Show how far SWEEP is: a folder, or an experiment's name."""
    found = open_sweep(sweep)
    if as_json:
        runs = json.loads(found.runs.to_json(orient="records"))
        click.echo(json.dumps({"path": str(found.path), "runs": runs}, indent=1))
        return
    out.print(f"{found.path}: {escape(str(found.about['command']))}", soft_wrap=True)
    _print_counts(found)
    costs = [row.wall_s for row in found.rows() if row.wall_s]
    if costs:
        mean_s = sum(costs) / len(costs)
        left = sum(row.state is State.TO_DO for row in found.rows())
        out.print(f"{mean_s:.1f} s per run; {_duration(mean_s * left)} of work are left")


@sweep_group.command("collect")
@_WHERE
@click.option("--table", "tables", multiple=True, help="Also join this table (repeatable).")
def collect_command(sweep: str, tables: tuple[str, ...]) -> None:
    """Join parameters, values and verdicts of SWEEP's runs in one table (Parquet)."""
    from testbed.sweep.making import gather

    for folder in gather(open_sweep(sweep), tables):
        out.print(str(folder), soft_wrap=True, highlight=False)


@sweep_group.command()
@_WHERE
def plot(sweep: str) -> None:
    """Draw SWEEP's figures and write its report: lines, heat maps, where claims hold."""
    from testbed.sweep import page

    out.print(f"report {page.write(open_sweep(sweep))}", soft_wrap=True, highlight=False)
