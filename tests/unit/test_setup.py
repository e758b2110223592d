"""Set-up: the list of packages, the Makefile's options, doctor, and the kernel's recipe."""

import importlib.util
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from analysis import compiled
from testbed.author.experiment import experiment_files, load
from testbed.core.errors import ConfigError, MissingPrerequisiteError, ParseError
from testbed.execution import doctor, extras
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
    lists = {prerequisites.LIST: prerequisites.packages()}
    for extra in prerequisites.EXTRAS:
        path = prerequisites.LIST.with_name(f"packages-{extra}.txt")
        lists[path] = prerequisites.extra_packages(extra)
    for path, packages in lists.items():
        argv = ["sh", "-c", f"list_file={path}; {sed}"]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [p.name for p in packages]


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


@pytest.mark.parametrize("target", ["test", "lint", "docs", "bench", "lock"])
def test_what_developers_need_is_installed_for_them(target):
    assert "scripts/install-python.sh dev" in recipe_of(target)


@pytest.mark.parametrize("target", ["setup", "exp-congestion"])
def test_users_install_only_what_runs_need(target):
    done = recipe_of(target)
    assert "scripts/setup.sh" in done and "install-python.sh" not in done


def test_notebooks_get_what_they_need():
    assert "scripts/install-python.sh notebook" in recipe_of("notebook")


def test_the_newest_packages_are_tried_in_an_environment_of_their_own():
    done = recipe_of("test-newest")
    assert "scripts/install-newest.sh build/newest" in done
    assert "build/newest/bin/python -m pytest" in done


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


FAKE_PYTHON = """#!/bin/sh
[ "$1" = -VV ] && echo 'Python 3.11.0'
[ "$1 $2" = "-m venv" ] && { mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo made >>log; }
[ "$1" = -c ] && echo "$PWD/.venv"
[ "$1 $2" = "-m pip" ] && { shift 2; echo "$@" >>log; [ ! -e offline ] || {
    echo "ERROR: connection reset" >&2; exit 1; }; }
exit 0
"""


@pytest.fixture
def checkout(tmp_path):
    """What installing Python packages reads, with a Python that notes what it is asked."""
    for name in ("requirements", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    python = tmp_path / "python"
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)
    return tmp_path


def install_python(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [checkout / "scripts/install-python.sh", *arguments]
    environment = {**os.environ, "PYTHON": str(checkout / "python")}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


def test_python_packages_that_did_not_come_are_told_with_the_way_on(checkout):
    """As when a connection breaks in the middle of a large file."""
    (checkout / "offline").touch()
    done = install_python(checkout)
    assert done.returncode == 3
    first, second, *_ = done.stderr.splitlines()
    assert first == "ERROR: connection reset"
    assert second.endswith("if a download broke off, call the same command again")
    (checkout / "offline").unlink()
    assert install_python(checkout).returncode == 0
    assert (checkout / "log").read_text().count("made") == 2


def test_python_packages_are_those_of_the_lock_and_nothing_else(checkout):
    assert install_python(checkout).returncode == 0
    made, *asked = (checkout / "log").read_text().splitlines()
    assert made == "made"
    *locked, project = asked
    assert [x.split()[-1] for x in locked] == ["requirements/build.txt", "requirements/base.txt"]
    assert all("--require-hashes" in x and "--no-build-isolation" in x for x in locked)
    assert "--no-deps" in project and "--no-build-isolation" in project


def test_the_environment_is_made_anew_when_the_lock_has_changed(checkout):
    install_python(checkout)
    install_python(checkout)
    assert (checkout / "log").read_text().count("made") == 1
    with (checkout / "requirements/base.txt").open("a") as lock:
        lock.write("# more\n")
    install_python(checkout)
    assert (checkout / "log").read_text().count("made") == 2


def test_the_environment_is_closed_but_for_mininet():
    config = (Path(sys.prefix) / "pyvenv.cfg").read_text()
    assert "include-system-site-packages = false" in config
    assert not [p for p in sys.path if "dist-packages" in p]
    mininet = Path(sysconfig.get_path("purelib")) / "mininet"
    assert mininet.readlink() == Path("/usr/lib/python3/dist-packages/mininet")


# ---- locks


def lock_script():
    spec = importlib.util.spec_from_file_location("lock", ROOT / "scripts/lock.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lock = lock_script()
LOCKED = re.compile(r"^(\S+)==(\S+)(?: ; (.*?))? \\$", re.M)


def locked(name: str) -> dict[str, list[str]]:
    """Package → versions, in a lock."""
    found: dict[str, list[str]] = {}
    for package, version, _ in LOCKED.findall((lock.FOLDER / f"{name}.txt").read_text()):
        found.setdefault(canonicalize_name(package), []).append(version)
    return found


def ranges(name: str) -> list[Requirement]:
    """What a lock must hold, by pyproject.toml."""
    said = lock.project()
    if name == "build":
        return [Requirement(x) for x in said["build-system"]["requires"]]
    if name in said["dependency-groups"]:
        return [Requirement(x) for x in said["dependency-groups"][name]]
    wanted = [Requirement(x) for x in said["project"]["dependencies"]]
    extras = said["project"]["optional-dependencies"]
    todo = [name] if name != "base" else []
    while todo:
        for requirement in map(Requirement, extras[todo.pop()]):
            todo += requirement.extras if requirement.name == "network-testbed" else []
            wanted += [requirement] if requirement.name != "network-testbed" else []
    return wanted


def outside(name: str, wanted: list[Requirement]) -> list[str]:
    """Requirements that a lock does not hold."""
    have = locked(name)
    return [
        str(requirement)
        for requirement in wanted
        if not (found := have.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version) for version in found)
    ]


def test_there_is_a_lock_for_all_that_pyproject_names_and_no_other():
    assert sorted(path.stem for path in lock.FOLDER.iterdir()) == lock.names(lock.project())


@pytest.mark.parametrize("name", lock.names(lock.project()))
def test_locks_and_ranges_agree(name):
    text = (lock.FOLDER / f"{name}.txt").read_text()
    digest = lock.ranges_digest(lock.project())
    assert text.splitlines()[0].endswith(f"Ranges: {digest}"), "pyproject.toml changed: make lock"
    assert outside(name, ranges(name)) == []


def test_a_changed_range_does_not_agree():
    said = lock.project()
    before = lock.ranges_digest(said)
    said["project"]["optional-dependencies"]["dev"].append("left-pad")
    assert lock.ranges_digest(said) != before
    assert outside("base", [Requirement("click>=99"), Requirement("left-pad")]) == [
        "click>=99",
        "left-pad",
    ]


@pytest.mark.parametrize("name", lock.names(lock.project()))
def test_every_locked_package_has_hashes_and_no_lock_names_a_place(name):
    text = (lock.FOLDER / f"{name}.txt").read_text()
    _, *entries = re.split(r"^(?=\S)", text.partition("\n")[2], flags=re.M)
    assert len(entries) == len(LOCKED.findall(text)) > 0
    for entry in entries:
        first, *hashes = entry.replace(" \\", "").splitlines()
        assert "==" in first and hashes
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", x) for x in hashes), first
    assert "://" not in text and "index-url" not in text and str(ROOT) not in text


def test_all_that_is_installed_together_has_one_version():
    """Whatever set-up installs one after another: nothing is replaced."""
    newest = locked("dev")
    for name in ("base", "build", "controllers", "notebook"):
        for package, versions in locked(name).items():
            assert newest.get(package, versions) == versions, package


def test_a_base_install_brings_no_controller():
    assert not {"os-ken", "oslo-config", "paramiko", "requests", "eventlet"} & set(locked("base"))
    assert "os-ken" in locked("controllers")


# ---- extras


def told_missing(*names: str) -> str:
    """What ``python -m testbed.execution.extras`` prints where no extra is installed."""
    code = "import sys; from testbed.execution import extras; extras.installed = lambda _: ''; "
    argv = [sys.executable, "-c", f"{code}sys.exit(extras.main(sys.argv[1:]))", *names]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_experiments_with_controllers_say_what_they_need(monkeypatch):
    assert told_missing("sdn_learning") == "controllers\n"
    assert told_missing("congestion") == told_missing("no_such_experiment") == ""
    monkeypatch.setattr(extras, "installed", lambda package: "")
    with pytest.raises(MissingPrerequisiteError, match=r"os-ken is missing.*: make extra-contr"):
        extras.require(load("sdn_learning").extras)
    monkeypatch.undo()
    extras.require(load("sdn_learning").extras)


def test_an_extra_may_be_debian_packages(monkeypatch):
    monkeypatch.setattr(prerequisites, "installed_packages", dict)
    with pytest.raises(MissingPrerequisiteError, match=r"chromium-headless-shell.*extra-browser"):
        extras.require(("browser",))
    assert prerequisites.install_command("/usr/bin/certutil") == "make extra-browser"


def test_only_experiments_with_controllers_need_them():
    """Who starts one says so; nobody else has it installed."""
    for name in experiment_files():
        cls = load(name)
        text = Path(inspect.getfile(cls)).read_text(encoding="utf-8")
        starts = "daemons import controller" in text
        assert (cls.extras == ("controllers",)) == starts, name


def test_an_unknown_extra_is_named():
    with pytest.raises(ConfigError, match=r"'controlers' is not in pyproject\.toml's"):
        extras.packages_of("controlers")


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
    (rule,) = re.findall(r"^\$\(READY\): (.*) \\$", (ROOT / "Makefile").read_text(), re.M)
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
