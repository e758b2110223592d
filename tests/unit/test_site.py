"""The documentation's site builds, without a warning, with a page for every experiment."""

import json
import os
import subprocess
import sys

import pytest

from testbed.experiment import PROJECT, experiment_files

pytest.importorskip("material", reason="needs mkdocs-material (make docs installs it)")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    runs = folder / "runs"
    one_run(runs / "fragmentation-20260101-000000")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder / "site"],
        cwd=PROJECT, env=os.environ | {"TESTBED_RUNS": str(runs), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "site"


def one_run(folder):
    """A complete run's directory, as far as a page of the book needs it."""
    from testbed.experiment import load

    cls = load("fragmentation")
    scenarios = {name: {} for name in cls(cls.Parameters()).scenarios()}
    meta = {
        "format": 1, "experiment": "fragmentation", "status": "complete", "runtime": "guest",
        "clock": "virtual", "seed": 1, "fingerprint": "0123456789abcdef00", "scenarios": scenarios,
    }  # fmt: skip
    row = {"status": "PASS", "observed": "1472 bytes", "expected": "<1473"}
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / "1_ladder.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "run.json").write_text(json.dumps(meta))
    verdicts = [row | {"claim": claim.name} for claim in cls.claims()]
    (folder / "verdicts.json").write_text(json.dumps(verdicts))


@pytest.mark.parametrize("name", sorted(experiment_files()))
def test_every_experiment_has_its_page(name, site):
    text = (site / "experiments" / f"{name}.html").read_text()
    assert "What it claims" in text


def test_a_run_gives_verdicts_and_figures(site):
    text = (site / "experiments/fragmentation.html").read_text()
    assert "1472 bytes" in text and "&lt;1473" in text and "0123456789abcdef" in text
    assert (site / "experiments/figures/fragmentation/1_ladder.svg").is_file()


def test_commands_and_interface_are_there(site):
    commands = (site / "reference/commands.html").read_text()
    for word in ("testbed run", "testbed verify", "--repeat"):
        assert word in commands
    assert "lab.capture" in (site / "reference/experiment.html").read_text().replace("Lab.", "lab.")
