"""The `testbed` command. It only shows; the work is done elsewhere."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from testbed.author import experiment as experiments
from testbed.author import scenarios
from testbed.cli.browser import open_page
from testbed.cli.commands import Commands, UnreadOutputError
from testbed.cli.console import err, out, tell_error
from testbed.cli.options import run_options, with_language
from testbed.core.errors import ExitCode, TestbedError
from testbed.core.files import reason
from testbed.core.fingerprint import warn_of_changed_files
from testbed.core.lazy import LazyFinder
from testbed.core.parameters import Parameter, parameters_of
from testbed.core.rundir import RunDir, default_runs
from testbed.core.version import __version__
from testbed.lifetime import guard, start

_MAKE_NOTHING = {
    "clean",
    "controller",
    "describe",
    "doctor",
    "list",
    "mininet",
    "report",
    "topologies",
}
"""Commands without temporary files of their own; a script's files are its own."""


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__)
@click.option("--debug", is_flag=True, help="Show log messages and tracebacks.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Run Mininet topologies on a Linux kernel with a virtual clock."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING)
    if not debug:  # users need not see that Matplotlib lists the fonts, once
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    if ctx.invoked_subcommand not in _MAKE_NOTHING:
        guard.use_own_folder()


# ---- list, describe


@cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the experiments."""
    from rich.table import Table

    rows = [(n, experiments.load(n)) for n in experiments.experiment_files()]
    if as_json:
        _print_json([{"name": n, "title": c.title(), "claims": len(c.claims())} for n, c in rows])
        return
    table = Table("experiment", "claims", "what it shows", box=None, header_style="bold")
    for name, cls in rows:
        table.add_row(name, str(len(cls.claims())), cls.title())
    out.print(table)


@cli.command()
@click.argument("experiment")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def describe(experiment: str, as_json: bool) -> None:
    """Show an experiment's parameters, scenarios and claims."""
    cls = experiments.load(experiment)
    with experiments.own_code(cls, "scenarios"):
        found = scenarios.table(cls)
    experiments.check_claims(cls(cls.Parameters()))
    if as_json:
        _print_json(
            {
                "name": cls.name,
                "title": cls.title(),
                "parameters": [
                    {"name": p.name, "default": p.default, **vars(p.spec)}
                    for p in parameters_of(cls.Parameters)
                ],
                "scenarios": found,
                "claims": [
                    {"name": c.name, "sentence": c.sentence, "source": c.source}
                    for c in cls.claims()
                ],
            }
        )
        return
    _describe(cls, found)


def _describe(cls: type[experiments.Experiment], found: dict[str, str]) -> None:
    import inspect

    from rich.table import Table

    out.print(f"[bold]{cls.name}[/]  {inspect.getdoc(cls)}\n", highlight=False)
    table = Table("parameter", "default", "allowed", "what it is", box=None, header_style="bold")
    for p in parameters_of(cls.Parameters):
        table.add_row(p.option, p.shown(p.default), p.allowed, p.spec.help)
    out.print(table)
    own = Table("scenario", "its own values", box=None, header_style="bold")
    for name, values in found.items():
        own.add_row(name, values)
    out.print("", own, "", sep="\n")
    claims = Table("claim", "source", "sentence", box=None, header_style="bold")
    for c in cls.claims():
        claims.add_row(c.name, c.source, c.sentence)
    out.print(claims)


# ---- run


class _Experiments(click.Group):
    """`testbed run <experiment>`: one sub-command per experiment, created on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(experiments.experiment_files())

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        cls = experiments.load(name)
        parameters = parameters_of(cls.Parameters)
        options: list[click.Parameter] = [_option(p) for p in parameters]
        return click.Command(
            name,
            callback=_run_command(name, parameters),
            params=options + run_options(),
            help=cls.__doc__,
            short_help=cls.title(),
        )


def _option(p: Parameter) -> click.Option:
    default = p.shown(p.default)
    declared = [p.option]
    kind: dict[str, Any] = {"metavar": p.element_type.__name__.upper() + ",…" * p.is_tuple}
    if p.element_type is bool:
        declared, kind = [f"{p.option}/--no-{p.option[2:]}"], {}
    help_text = f"{p.spec.help} ({p.allowed})" if p.element_type is not bool else p.spec.help
    return click.Option(declared, default=None, help=f"{help_text} [default: {default}]", **kind)


def _run_command(name: str, parameters: list[Parameter]) -> Callable[..., None]:
    def command(**given: Any) -> None:
        from testbed.cli.show import RunView, print_result, result_data, verdicts_first
        from testbed.execution.runner import Request, run

        values = {p.name: given[p.name] for p in parameters if given.get(p.name) is not None}
        request = Request(
            experiment=name,
            parameters=values,
            seed=given["seed"],
            runtime=given["runtime"],
            clock=given["clock"],
            out=(given["out"] or default_runs()).resolve(),
            wall_limit_s=given["wall_limit_s"],
            only=given["scenario"],
            image=given["image"] or "",
            perturb_percent=given["perturb"],
        )
        if given["repeat"] > 1:
            from testbed.cli.repeat import repeat_command

            sys.exit(repeat_command(request, given["repeat"], given["as_json"]))
        with verdicts_first(out), RunView(err) as view:
            result = run(request, view)
        if given["as_json"]:
            _print_json(result_data(result.run, result.judged))
        else:
            print_result(out, result.run, result.judged)
        from testbed.results.replay import exit_code

        sys.exit(exit_code(result.judged))

    return command


@cli.group("run", cls=_Experiments, subcommand_metavar="EXPERIMENT [OPTIONS]")
def run_() -> None:
    """Run an experiment: network, captures, measurements, claims, plots, report.

    EXPERIMENT is a name from 'testbed list', or the path of an experiment's file or folder.
    """


# ---- replay, report


@with_language
@cli.command()
@click.argument("run", default="latest")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay(run: str, as_json: bool) -> None:
    """Measure RUN again from its directory, with new verdicts, plots and report.

    The default, 'latest', is the latest run that is not a repetition ('--repeat').
    """
    from testbed.cli.show import RunView, print_result, result_data, verdicts_first
    from testbed.results.replay import exit_code
    from testbed.results.replay import replay as replay_run

    rundir = RunDir.open(run, default_runs())
    with verdicts_first(out), rundir.in_use(), RunView(err) as view:
        warn_of_changed_files(rundir)
        judged = replay_run(rundir, view.stage)
    if as_json:
        _print_json(result_data(rundir, judged))
    else:
        print_result(out, rundir, judged)
    sys.exit(exit_code(judged))


@cli.command()
@click.argument("run", default="latest")
@click.option("--open", "open_it", is_flag=True, help="Open the report in the browser.")
def report(run: str, open_it: bool) -> None:
    """Print the path of RUN's report, creating the report if it is missing.

    RUN may also be a repetition; 'latest' is the latest run that is not one.
    """
    from testbed.core.rundir import REPETITION, REPORT
    from testbed.results.replay import replay as replay_run

    repetitions = [p for p in (Path(run), default_runs() / run) if (p / REPETITION).is_file()]
    folder = repetitions[0].resolve() if repetitions else RunDir.open(run, default_runs()).path
    path = folder / REPORT
    if not path.is_file():
        run_dir = RunDir.open(str(folder), default_runs())
        with run_dir.in_use():
            replay_run(run_dir)
    out.print(str(path), soft_wrap=True, highlight=False)
    if open_it:
        open_page(path)


def _print_json(data: Any) -> None:
    click.echo(json.dumps(data, indent=1, ensure_ascii=False, default=str))


def main() -> None:
    """Entry point: turns each of our errors into one line and its exit code."""
    sys.meta_path.insert(0, LazyFinder("analysis.plots"))  # Matplotlib waits until it is needed
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # a group without a command: its help
        else:
            tell_error(_usage_text(error))
        sys.exit(ExitCode.USAGE)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort as error:  # click's word for Ctrl-C
        raise KeyboardInterrupt from error
    except TestbedError as error:
        tell_error(str(error))
        sys.exit(error.exit_code)
    except UnreadOutputError:
        os._exit(128 + signal.SIGPIPE)  # not 0: nobody saw the verdicts
    except OSError as error:  # one that none of our readers or writers expected
        logging.getLogger(__name__).debug("the error came from", exc_info=error)
        tell_error(": ".join(str(p) for p in (error.filename, reason(error)) if p is not None))
        sys.exit(ExitCode.ENVIRONMENT)


def _usage_text(error: click.ClickException) -> str:
    """What is wrong with the command line, in one line, and where its usage is described."""
    text = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{text}; see '{context.command_path} --help'" if context else text


if __name__ == "__main__":
    start.command("testbed", main)
