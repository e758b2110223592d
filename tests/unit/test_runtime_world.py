"""The world of a run, as far as it shows from outside."""

import subprocess
from pathlib import Path

import pytest

from testbed import guest_init
from testbed.guest_init import visible

LOADER = "/lib64/ld-linux-x86-64.so.2"
ETC = Path(guest_init.__file__).with_name("etc")


def searched(environment: dict[str, str]) -> list[str]:
    """Folders of a processor's level of instruction sets in which libraries are looked for."""
    done = subprocess.run(
        [LOADER, "--help"], env=environment, capture_output=True, text=True, check=False
    )
    return [line for line in done.stdout.splitlines() if "x86-64-v" in line and "searched" in line]


@pytest.mark.skipif(not Path(LOADER).exists(), reason="no loader for x86-64")
def test_no_processor_has_the_loader_search_folders_of_its_own():
    if not searched({}):
        pytest.skip("this processor has no level above the first")
    assert searched(guest_init.ENVIRONMENT) == []


def test_a_variable_of_process_1_survives_the_kernels_command_line():
    for name in guest_init.FIRST_PROCESS:
        assert not set(guest_init.ENVIRONMENT[name]) & set(" \"'"), name


def test_what_belongs_to_a_user_belongs_to_one_that_is_there():
    rows = [line.split(":") for line in (ETC / "passwd").read_text().splitlines()]
    groups = {line.split(":")[2] for line in (ETC / "group").read_text().splitlines()}
    assert {owner for owner in visible.FOLDERS.values() if owner} <= {row[0] for row in rows}
    assert {row[3] for row in rows} <= groups
    assert len({row[2] for row in rows}) == len(rows)


def test_folders_come_after_their_parents():
    paths = list(visible.FOLDERS)
    for index, path in enumerate(paths):
        parent = str(Path(path).parent)
        assert parent == "/" or parent in paths[:index], path
