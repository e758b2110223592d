"""Attacks stay in their guest: the host's interfaces see no packet.

That a guest has no device but its loopback is tested in `test_runtimes`. An experiment that runs in
guests only is tested without an edit here.
"""

import os
import subprocess
import sys

import pytest

from testbed.author.experiment import experiment_files, load

pytestmark = pytest.mark.guest

ATTACKS = sorted(name for name in experiment_files() if load(name).guest_only)

ALONE = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
"""In a network namespace of its own: whatever its interfaces count is the run's."""

COUNT = "cat /proc/net/dev"
PROBE = f"ip link set lo up; ping -q -c 1 127.0.0.1 > /dev/null; {COUNT}"
RUN = f'ip link set lo up; "$@" > /dev/null; echo $? >&2; {COUNT}'


def alone(script, *argv):
    done = subprocess.run(
        [*ALONE, "sh", "-c", script, "-", *argv], capture_output=True, text=True, check=False
    )
    if "unshare failed" in done.stderr:
        pytest.skip("this user can have no network namespace")
    rows = [line.split(":") for line in done.stdout.splitlines()[2:]]
    fields = {name.strip(): numbers.split() for name, numbers in rows}
    return {name: (int(f[1]), int(f[9])) for name, f in fields.items()}, done.stderr


def test_a_packet_would_be_counted():
    packets, _ = alone(PROBE)
    assert packets == {"lo": (2, 2)}


@pytest.mark.parametrize("experiment", ATTACKS)
def test_the_hosts_interfaces_see_no_packet(experiment, guest_kernel, tmp_path):
    command = [sys.executable, "-m", "testbed", "run", experiment, "--runtime", "guest"]
    packets, errors = alone(RUN, *command, "--out", str(tmp_path))
    assert errors.strip().splitlines()[-1] == "0", errors
    assert packets == {"lo": (0, 0)}
