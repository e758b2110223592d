"""`testbed fidelity`: the experiments that check the emulation itself, one after the other."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from testbed.cli.console import err, out
from testbed.core.errors import ExitCode
from testbed.core.rundir import default_runs


def suite() -> list[str]:
    """Experiments that claim what links must do, on this kernel and clock."""
    from testbed.author.experiment import experiment_files
    from testbed.author.experiment_folder import about

    return [name for name, root in experiment_files().items() if about(root).fidelity]


@click.command()
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True)
@click.option("--runtime", type=click.Choice(["auto", "guest", "host"]), default="auto")
@click.option("--clock", type=click.Choice(["virtual", "real"]), default="virtual")
@click.option(
    "--out", "target", type=click.Path(path_type=Path), help="Folder for run directories."
)
@click.option("--wall-limit-s", type=click.FloatRange(1, 86400), default=600.0, show_default=True)
def fidelity(seed: int, runtime: str, clock: str, target: Path | None, wall_limit_s: float) -> None:
    """Check the emulation: rate, delay, random loss, queues and TCP against their formulae.

    Runs the experiments on link fidelity one after the other; the exit code is the worst of theirs.
    """
    from testbed.cli.show import RunView, print_result
    from testbed.execution.runner import Request, run
    from testbed.results.replay import exit_code

    codes = []
    for name in suite():
        request = Request(
            experiment=name,
            seed=seed,
            runtime=runtime,
            clock=clock,
            out=(target or default_runs()).resolve(),
            wall_limit_s=wall_limit_s,
        )
        with RunView(err) as view:
            result = run(request, view)
        print_result(out, result.run, result.judged)
        codes.append(exit_code(result.judged))
    worst = (ExitCode.CLAIM_FAILED, ExitCode.INCONCLUSIVE, ExitCode.PASS)
    sys.exit(next(code for code in worst if code in codes))
