"""Set-up: the list of packages, the Makefile's options, doctor, and the kernel's recipe."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from analysis import compiled
from testbed.core.errors import ConfigError, MissingPrerequisiteError, ParseError
from testbed.execution import doctor
from testbed.execution.runtime import choose
from testbed.machine import prerequisites
from testbed.machine.kernel import recipe, store

ROOT = Path(__file__).parents[2]


# ---- packages


def test_packages_are_listed_with_their_programs():
    names = [p.name for p in prerequisites.packages()]
    assert len(names) == len(set(names))
    assert all(p.purpose for p in prerequisites.packages())
    assert prerequisites.install_command("ping") == "sudo apt-get install iputils-ping"
    assert "apt-file search bin/iperf33" in prerequisites.install_command("iperf33")
    assert "did you mean 'iperf3'" in prerequisites.install_command("iperf33")


@pytest.mark.parametrize("line", ["iperf3", "iperf3 | iperf3", "| iperf3 | traffic"])
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "packages.txt"
    path.write_text(f"# comment\n\n{line}\n")
    with pytest.raises(ParseError, match=r"packages\.txt: line 3"):
        prerequisites.packages(path)


def test_the_shell_reads_the_same_names(tmp_path):
    """The set-up script reads the list by sed: it must see what Python sees."""
    script = (ROOT / "scripts/install-packages.sh").read_text()
    sed = next(line for line in script.splitlines() if "sed -e" in line).strip()
    done = subprocess.run(["sh", "-c", sed], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [p.name for p in prerequisites.packages()]


# ---- Makefile


def made(*arguments: str) -> str:
    """The command that ``make exp-congestion ARGUMENTS`` would run."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    argv = ["make", "-n", "-s", "exp-congestion", *arguments]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    return next(x for x in done.stdout.splitlines() if "testbed run" in x)


def words(line: str) -> list[str]:
    shown = subprocess.run(
        ["sh", "-c", f"set -- {line}; printf '%s\\n' \"$@\""],
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout.splitlines()[2:]


def test_variables_become_options():
    found = words(made("RATE_MBPS=50", "CC=bbr,cubic"))
    assert found[0] == "congestion"
    assert sorted(zip(found[1::2], found[2::2], strict=True)) == [
        ("--cc", "bbr,cubic"),
        ("--rate-mbps", "50"),
    ]


def test_switches_and_awkward_values():
    assert words(made("ECN=yes")) == ["congestion", "--ecn"]
    assert words(made("ECN=no")) == ["congestion", "--no-ecn"]
    assert words(made("OUT=a b'c;$$x")) == ["congestion", "--out", "a b'c;$x"]
    assert words(made()) == ["congestion"]


def recipe_of(target: str) -> str:
    """Every command that a fresh ``make TARGET`` would run."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    argv = ["make", "-n", "-B", target]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("target", ["test", "lint", "docs", "bench"])
def test_what_developers_need_is_installed_for_them(target):
    assert "pip install --quiet --disable-pip-version-check -e '.[dev]'" in recipe_of(target)


@pytest.mark.parametrize("target", ["setup", "exp-congestion", "notebook"])
def test_users_install_only_what_runs_need(target):
    done = recipe_of(target)
    assert "[dev]" not in done
    assert "pip install --quiet --disable-pip-version-check -e ." in done


DEVELOPERS = {
    "pytest",
    "hypothesis",
    "dpkt",
    "scapy",
    "babel",
    "jieba",
    "mkdocs",
    "nbclient",
    "nbformat",
    "ipykernel",
    "mypy",
    "ruff",
}


def test_python_packages_that_did_not_come_are_told_with_the_way_on(tmp_path):
    """As when a connection breaks in the middle of a large file."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name in ("Makefile", "pyproject.toml", "setup.py", "analysis"):
        (tmp_path / name).symlink_to(ROOT / name)
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\ncase "$2" in venv) mkdir -p .venv/bin; cp "$0" .venv/bin/ ;;\n'
        'pip) echo "ERROR: connection reset" >&2; exit 1 ;; esac\n'
    )
    python.chmod(0o755)
    argv = ["make", f"PYTHON={python}", "IN_VM=no", "-o", "build/stamps/packages", ".venv/.ready"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    first, second, *_ = done.stderr.splitlines()
    assert first == "ERROR: connection reset"
    assert second.endswith("if a download broke off, call the same command again")
    assert not (tmp_path / ".venv/.ready").exists()


def test_runs_import_nothing_of_the_developers():
    found = {}
    for folder in ("testbed", "analysis", "experiments", "topologies", "controller", "labs"):
        for path in (ROOT / folder).rglob("*.py"):
            if "book" not in path.parts and path != ROOT / "testbed" / "docs.py":
                text = path.read_text(encoding="utf-8")
                names = set(re.findall(r"^ *(?:from|import) (\w+)", text, re.M))
                found[str(path)] = names & DEVELOPERS
    assert len(found) > 100
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_help_lists_every_target():
    text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("exp-%", "setup", "test", "lint", "bench", "clean", "make exp-congestion"):
        assert target in text.stdout


def test_programs_of_sbin_are_found_by_users_who_do_not_have_it_on_their_path(
    monkeypatch, tmp_path
):
    program = tmp_path / "sbin" / "nft"
    program.parent.mkdir()
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(prerequisites, "SYSTEM_PATH", str(program.parent))
    assert prerequisites.find("nft") == str(program)
    assert prerequisites.find("no-such-program") is None


# ---- doctor


def test_doctor_says_what_each_missing_thing_is_for_and_what_gets_it(monkeypatch, tmp_path):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path))
    monkeypatch.setattr(doctor, "installed_packages", dict)
    monkeypatch.setattr(doctor.shutil, "which", lambda *_, **__: None)
    checks = {check.name: check for check in doctor.examine()}
    assert checks["guest kernel"].state == "missing"
    assert checks["guest kernel"].mend == store.BUILD_COMMAND
    assert checks["iperf3"].mend.endswith("install --no-install-recommends iperf3")
    for check in checks.values():
        assert check.state != "missing" or check.purpose
        assert check.state != "there" or not check.mend
    assert len(json.dumps(doctor.as_data(list(checks.values())))) > 1000


def test_doctor_finds_what_is_there(monkeypatch):
    everything = {p.name: "1.0" for p in prerequisites.packages()}
    monkeypatch.setattr(doctor, "installed_packages", lambda: everything)
    checks = {check.name: check for check in doctor.examine()}
    assert all(checks[name].state == "there" for name in everything)


def test_doctor_tells_what_a_missing_compiled_reader_costs(monkeypatch, tmp_path):
    shutil.copy(compiled.FOLDER / "straight.c", tmp_path)
    monkeypatch.setattr(compiled, "FOLDER", tmp_path)
    check = doctor._compiled_reader()
    assert (check.state, check.mend) == ("missing", ".venv/bin/pip install -e .")
    assert "several times as long" in check.purpose
    monkeypatch.setattr(doctor, "find", lambda _: None)
    assert doctor._compiled_reader().mend == (
        "sudo apt-get install --no-install-recommends gcc libc6-dev && .venv/bin/pip install -e ."
    )


def test_set_up_builds_the_compiled_reader_anew_when_its_source_has_changed():
    (rule,) = re.findall(r"^\$\(VENV\)/\.ready: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert {"setup.py", str(compiled.FOLDER.relative_to(ROOT) / "straight.c")} <= set(rule.split())


# ---- kernel and runtimes


def kept_kernel(cache: Path, name: str, version: str) -> None:
    folder = cache / "kernels" / name
    folder.mkdir(parents=True)
    (folder / "linux").write_text("")
    facts = {"version": version, "sha256": "0" * 64, "source": "linux-source"}
    (folder / "kernel.json").write_text(json.dumps(facts))


def test_the_newest_kernel_of_todays_recipe_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path))
    assert store.find() is None
    kept_kernel(tmp_path, "linux-source-9.9_9.9.9-0123456789ab-cc", "9.9.9")
    assert store.find() is None
    for version in ("7.2.9", "7.2.12"):
        kept_kernel(tmp_path, f"linux-source-7.2_{version}-{recipe.recipe_key()}-cc", version)
    found = store.find()
    assert found and found.version == "7.2.12"
    (found.path).unlink()
    assert store.find().version == "7.2.9"


def test_prose_does_not_change_the_recipe(monkeypatch, tmp_path):
    shutil.copytree(recipe.PATCHES, tmp_path / "patches")
    shutil.copyfile(recipe.CONFIG, tmp_path / "uml.config")
    before = recipe.recipe_key()
    monkeypatch.setattr(recipe, "CONFIG", tmp_path / "uml.config")
    monkeypatch.setattr(recipe, "PATCHES", tmp_path / "patches")
    assert recipe.recipe_key() == before
    first = sorted((tmp_path / "patches").iterdir())[0]
    first.write_text("More words.\n" + first.read_text())
    with recipe.CONFIG.open("a") as config:
        config.write("# more words\n")
    assert recipe.recipe_key() == before
    with recipe.CONFIG.open("a") as config:
        config.write("CONFIG_MORE=y\n")
    assert recipe.recipe_key() != before


def test_options_are_named_once():
    names = recipe.options()
    assert len(names) == len(set(names)) > 200


def test_runtimes_are_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match=r"--runtime: 'gest' is unknown; .*'guest'"):
        choose("gest")
    with pytest.raises(ConfigError, match=r"--clock: 'virtul' is unknown; .*'virtual'"):
        choose(clock="virtul")


def test_no_guest_kernel_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path))
    monkeypatch.setattr(store, "_PACKAGED", tmp_path / "none")
    with pytest.raises(MissingPrerequisiteError, match="testbed kernel build"):
        choose("guest")


def test_auto_takes_the_host_only_as_root(monkeypatch, tmp_path):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path))
    monkeypatch.setattr(store, "_PACKAGED", tmp_path / "none")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(MissingPrerequisiteError):
        choose()
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert (choose().name, choose().clock) == ("host", "real")
