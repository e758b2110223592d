"""One guest, one processor: across threads and processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.execution.runtime.cpus import reserved_cpu

ROOT = Path(__file__).parents[2]
FAR = 100_000 + os.getpid() * 4  # numbers of processors that no real run asks for


@pytest.fixture(autouse=True)
def two_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {FAR, FAR + 1})


def test_each_takes_another_while_there_is_one():
    with reserved_cpu() as first, reserved_cpu() as second:
        assert {first, second} == {FAR, FAR + 1}
    with reserved_cpu() as again:
        assert again == FAR


def test_if_all_are_taken_they_are_shared_in_turn():
    with reserved_cpu(), reserved_cpu():
        shared = []
        for _ in range(4):
            with reserved_cpu() as cpu:
                shared.append(cpu)
    assert sorted(shared) == [FAR, FAR, FAR + 1, FAR + 1]


def test_a_wanted_one_is_given_and_marked():
    with reserved_cpu(FAR) as first, reserved_cpu(FAR) as second, reserved_cpu() as third:
        assert (first, second, third) == (FAR, FAR, FAR + 1)


def test_other_processes_see_the_mark_and_it_goes_with_its_holder():
    code = (
        "import os, sys; os.sched_getaffinity = lambda _: {int(sys.argv[1])}\n"
        "from testbed.execution.runtime.cpus import reserved_cpu\n"
        "with reserved_cpu(): print(flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", code, str(FAR)]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with reserved_cpu() as cpu:
            assert cpu == FAR + 1
        other.kill()
    with reserved_cpu() as cpu:
        assert cpu == FAR
