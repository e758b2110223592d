"""``python -m testbed.cli.jupyter``: opens the latest run's notebook, until Ctrl-C.

Signals are heard from the beginning, so everything else is imported later.
"""

from __future__ import annotations

import testbed.lifetime.early  # noqa: F401  # isort: skip
import os
import sys

from testbed.lifetime import guard, start


def main(options: list[str]) -> int:
    """Starts Jupyter on the notebook; returns the exit code.

    Args:
        options: for Jupyter.
    """
    from testbed.core.errors import TestbedError
    from testbed.core.rundir import RunDir, default_runs
    from testbed.results import notebook

    try:
        run = RunDir.open(os.environ.get("TESTBED_RUN", "latest"), default_runs())
        run.require_finished()
        path = notebook.file_for(run)
    except TestbedError as error:
        sys.stderr.write(f"error: {error}\n")
        return int(error.exit_code)
    with guard.folder("jupyter") as runtime:  # addresses of servers and kernels that are running
        variables = {"TESTBED_RUN": str(run.path), "JUPYTER_RUNTIME_DIR": str(runtime)}
        argv = [sys.executable, "-m", "jupyterlab", *options, str(path)]
        return guard.run(argv, env={**os.environ, **variables})


if __name__ == "__main__":
    start.command("notebook", lambda: sys.exit(main(sys.argv[1:])))
