"""`testbed fidelity`: the experiments that check the emulation itself, one after the other."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from testbed.cli.console import err, out
from testbed.cli.options import run_options_of_many
from testbed.core.errors import ExitCode
from testbed.core.rundir import default_runs


def suite() -> list[str]:
    """Experiments that claim what links must do, on this kernel and clock."""
    from testbed.author.experiment import experiment_files
    from testbed.author.experiment_folder import about

    return [name for name, root in experiment_files().items() if about(root).fidelity]


def _fidelity(
    seed: int,
    runtime: str,
    clock: str,
    image: str | None,
    out_folder: Path | None,
    wall_limit_s: float,
    as_json: bool,
) -> None:
    """Check the emulation: rate, delay, random loss, queues and TCP against their formulae.

    Runs the experiments on link fidelity one after the other; the exit code is the worst of theirs.
    """
    from testbed.cli.show import RunView, print_result, result_data
    from testbed.execution.runner import Request, run
    from testbed.results.replay import exit_code

    codes, results = [], []
    for name in suite():
        request = Request(
            experiment=name,
            seed=seed,
            runtime=runtime,
            clock=clock,
            out=(out_folder or default_runs()).resolve(),
            wall_limit_s=wall_limit_s,
            image=image or "",
        )
        with RunView(err) as view:
            result = run(request, view)
        if as_json:
            results.append(result_data(result.run, result.judged))
        else:
            print_result(out, result.run, result.judged)
        codes.append(exit_code(result.judged))
    if as_json:
        click.echo(json.dumps(results, indent=1, ensure_ascii=False, default=str))
    worst = (ExitCode.CLAIM_FAILED, ExitCode.INCONCLUSIVE, ExitCode.PASS)
    sys.exit(next(code for code in worst if code in codes))


fidelity = click.Command(
    "fidelity",
    callback=lambda out, **given: _fidelity(out_folder=out, **given),
    params=run_options_of_many(),
    help=_fidelity.__doc__,
)
