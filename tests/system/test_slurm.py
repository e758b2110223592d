"""`testbed sweep --cluster slurm` on Debian's Slurm: `make test-cluster` installs what it needs."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time

import pytest

import testbed
from testbed.core.project import PROJECT
from tests.system import slurm

lacking = slurm.missing()
lacking += [n for n in ("distributed", "dask_jobqueue") if importlib.util.find_spec(n) is None]
pytestmark = [
    pytest.mark.guest,
    pytest.mark.slow,
    pytest.mark.usefixtures("guest_kernel"),
    pytest.mark.skipif(bool(lacking), reason=f"make test-cluster installs {', '.join(lacking)}"),
]

ECHO = PROJECT / "tests/sweeps/echo.py"
WAIT_S = 240.0


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    with slurm.running(tmp_path_factory.mktemp("slurm") / "slurm") as found:
        yield found


def argv(home, *options):
    words = [
        sys.executable,
        "-m",
        "testbed",
        "sweep",
        str(ECHO),
        "--out",
        str(home),
        "--workers",
        "2",
    ]
    return [*words, "--cluster", "slurm", "--job", "memory=2GB", *options]


def test_the_script_is_shown_and_nothing_is_submitted(environment, tmp_path):
    home = tmp_path / "sweep"
    command = argv(home, "--dry-run", "--job", "queue=short", "--job", "walltime=00:10:00")
    shown = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "#SBATCH -p short" in shown
    assert "#SBATCH -t 00:10:00" in shown
    assert "--nthreads 1" in shown
    assert sys.executable in shown
    assert slurm.said(environment, "squeue", "-h") == ""
    assert not home.exists()


def test_jobs_of_slurm_make_the_runs_and_one_that_is_cancelled_loses_none(environment, tmp_path):
    home, trap = tmp_path / "sweep", tmp_path / "trap"
    trap.write_text("waits")
    command = argv(home, "--trap", str(trap), "--seeds", "1..3", "--json")
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until_s = time.monotonic() + WAIT_S
        while len(list(home.glob("runs/work-*/*/run.json"))) < 2:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < until_s, slurm.said(environment, "squeue")
            time.sleep(0.2)
        jobs = slurm.said(environment, "squeue", "-h", "-o", "%i %T").split("\n")
        assert sum("RUNNING" in line for line in jobs) == 2
        slurm.said(environment, "scancel", jobs[0].split()[0])
        time.sleep(1)
        trap.unlink()
        out, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, said
    assert json.loads(out)["runs"]["done"] == 3
    assert sorted(row.deaths for row in testbed.open_sweep(home).rows()) in ([0, 0, 1], [0, 0, 0])
    assert slurm.said(environment, "squeue", "-h") == ""
    assert not list((home / "logs").glob("work-*"))  # certificates
