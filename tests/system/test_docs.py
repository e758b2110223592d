"""Following the documentation works: what it says to write is written here, and run."""

import itertools
import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from testbed.core.project import PROJECT

pytestmark = pytest.mark.guest

EXAMPLES = ("queue_delay.py", "outage.py")
PACKAGES = ("analysis", "controller", "experiments", "testbed", "topologies")
SNIPPET = re.compile(
    r"^( *)```(?:python|yaml|markdown)\n((?: *)(?:#|<!--) (\S+\.\w+)(?: -->)?\n.*?)^\1```$",
    re.M | re.S,
)


def snippets(page):
    """Files that a page has its reader write: path → text. The first line names the path."""
    text = (PROJECT / page).read_text(encoding="utf-8")
    return {
        path: textwrap.dedent(code).split("\n", 1)[1] for _, code, path in SNIPPET.findall(text)
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory, guest_kernel):
    """A copy of the project, with what CONTRIBUTING says to write."""
    root = tmp_path_factory.mktemp("copy") / "project"
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / package, root / package, ignore=ignored)
    shutil.copy(PROJECT / "pyproject.toml", root)
    (root / "labs").mkdir()
    for path, text in snippets("CONTRIBUTING.md").items():
        assert not (root / path).exists(), f"{path} is there already; choose another name"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    for example in EXAMPLES:
        shutil.copy(PROJECT / "docs/examples" / example, root / "experiments")
    return root


def command(root, *arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "testbed.cli.main", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def run(root, *arguments, code=0):
    """Runs an experiment; returns its claims' statuses, and the run directory."""
    result = json.loads(command(root, "run", *arguments, "--json", code=code))
    return {v["claim"]: v["status"] for v in result["verdicts"]}, Path(result["run"])


def test_contributing_names_the_files_to_write():
    lab = (
        "lab.yaml",
        "lab.py",
        "hidden.py",
        "handout.md",
        "starter/answers.yaml",
        "solution/answers.yaml.j2",
    )
    assert set(snippets("CONTRIBUTING.md")) == {
        "experiments/echo.py",
        "topologies/two_lans.py",
        "testbed/daemons/echo.py",
        *(f"labs/round_trip/{name}" for name in lab),
    }


def test_a_folder_is_a_lab(project):
    said = command(project, "lab", "test", "round_trip")
    assert [line.split(" (")[0] for line in said.splitlines()] == [
        "✓ solution",
        "✓ starter",
        "✓ one_way",
        "✓ no_router",
        "✓ silent",
    ]


def test_a_lab_whose_mutant_loses_nothing_is_told(project):
    answers = project / "labs/round_trip/solution/answers.yaml.j2"
    right = answers.read_text()
    answers.write_text(right.replace("63", "62"))
    try:
        said = command(project, "lab", "test", "round_trip", "--only", "solution", code=1)
    finally:
        answers.write_text(right)
    assert "hops: loses 1, must lose 0 (62; expected 63)" in said


def test_one_file_is_an_experiment(project):
    names = {row["name"]: row["title"] for row in json.loads(command(project, "list", "--json"))}
    assert names["echo"] == "An echo server returns what it gets."
    assert run(project, "echo", "--word", "hi")[0] == {"returns_what_it_gets": "PASS"}


def test_its_claim_fails_on_a_server_that_shouts(project):
    daemon = project / "testbed/daemons/echo.py"
    kind = daemon.read_text()
    daemon.write_text(kind.replace("EXEC:cat", "EXEC:tr a-z A-Z"))
    try:
        assert run(project, "echo", code=1)[0] == {"returns_what_it_gets": "FAIL"}
    finally:
        daemon.write_text(kind)


def test_a_new_experiment_runs_at_once(project):
    command(project, "new", "fresh")
    assert run(project, "fresh", "--delay-ms", "3")[0] == {"takes_the_delay_twice": "PASS"}
    text = (project / "experiments/fresh.py").read_text()
    wrong = changed(text, "LinkShape(delay_ms=self", "LinkShape(delay_ms=0.9 * self")
    (project / "broken.py").write_text(wrong)
    assert run(project, "broken.py", code=1)[0] == {"takes_the_delay_twice": "FAIL"}


def test_a_new_lab_is_sound_at_once(project):
    command(project, "new", "lab", "fresh")
    said = command(project, "lab", "test", "fresh")
    assert [line.split(" (")[0] for line in said.splitlines()] == [
        "✓ solution",
        "✓ starter",
        "✓ one_way",
        "✓ no_router",
        "✓ silent",
    ]


def test_a_topology_is_drawn(project):
    command(project, "draw", "two_lans", "-o", "two_lans.svg")
    assert ">10.0.2.11" in (project / "two_lans.svg").read_text()


def test_what_is_written_is_in_our_style(project):
    files = [p for p in snippets("CONTRIBUTING.md") if p.endswith(".py")]
    files += [f"experiments/{example}" for example in EXAMPLES]
    for tool in (
        ("ruff", "check"),
        ("ruff", "format", "--check"),
        ("mypy", "--explicit-package-bases", "--follow-imports", "silent"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", *tool, *files],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_tutorials_experiment_holds(project):
    statuses, folder = run(project, "queue_delay")
    assert set(statuses.values()) == {"PASS"}
    assert (folder / "plots/queue_delay.png").is_file()
    assert not list(undocumented(folder))


BREAKS = {
    "rate_mbps=p.rate_mbps": "rate_mbps=0.9 * p.rate_mbps",
    "queue_pkts=p.queue_pkts": "queue_pkts=p.queue_pkts // 2",
}
"""What the tutorial has its reader break; each fails one claim."""


TABLE = re.compile(r"^verdict  claim .*\n(?:.+\n)*", re.M)


def shown_rows(page, first):
    """Rows of the table of verdicts that begins so, as a page shows it: lists of cells."""
    text = (PROJECT / page).read_text(encoding="utf-8")
    (lines,) = (t.splitlines() for t in TABLE.findall(text) if first in t)
    starts = [lines[0].index(word) for word in ("verdict", "claim", "observed", "expected")]
    rows = []
    for line in lines[1:]:
        if re.match(r"\d+ PASS|```", line):
            break
        if line.startswith("…"):
            continue
        cells = [line[a:b].strip() for a, b in itertools.pairwise([*starts, None])]
        if cells[0]:
            rows.append(cells)
        else:
            rows[-1] = [" ".join(filter(None, pair)) for pair in zip(rows[-1], cells, strict=True)]
    return rows


def gotten_rows(folder):
    """Rows of the same table, of a run."""
    return [
        [
            row["status"],
            f"{row['sentence']} {row['source']}",
            row["observed"],
            f"{row['expected']} {row['tolerance']}".strip(),
        ]
        for row in json.loads((folder / "verdicts.json").read_text())
    ]


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        (("congestion", "--scenario", "reno"), "Slow start doubles"),
        (("queue_delay",), "Each packet in the queue"),
        (("outage",), "An outage costs its length"),
    ],
)
def test_the_tutorial_shows_what_one_gets(project, arguments, first):
    rows = shown_rows("docs/tutorial.md", first)
    _, folder = run(project, *arguments)
    assert rows and not [row for row in rows if row not in gotten_rows(folder)]


def test_the_tutorial_tells_the_numbers_of_its_variations(project):
    text = (PROJECT / "docs/tutorial.md").read_text(encoding="utf-8")
    _, folder = run(project, "outage", "--outages-s", "0.2,1,5,25")
    assert "25 s: 241 pings" in str(gotten_rows(folder)) and "241 pings were lost" in text
    broken = changed(
        (project / "experiments/queue_delay.py").read_text(), *next(iter(BREAKS.items()))
    )
    (project / "broken.py").write_text(broken)
    _, folder = run(project, "broken.py", code=1)
    assert "1.267 ms a packet" in str(gotten_rows(folder)) and "1.267 ms per packet" in text


def test_the_page_about_notebooks_works(project, capsys):
    """All its snippets, in order, in a process of the copy."""
    text = (PROJECT / "docs/howto/notebooks.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S))
    (project / "page.py").write_text(code + "print(run.report)\n")
    done = subprocess.run(
        [sys.executable, "page.py"], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    error, report = done.stdout.splitlines()
    assert error.startswith("rate_mbps: -5 is out of range; allowed: ")
    assert Path(report).is_file() and Path(report).is_relative_to(project / "runs")


def test_the_tutorials_experiment_fails_when_broken(project):
    text = (project / "experiments/queue_delay.py").read_text()
    for right, wrong in BREAKS.items():
        text = changed(text, right, wrong)
    (project / "broken.py").write_text(text)
    statuses, _ = run(project, "broken.py", code=1)
    assert statuses == {"each_packet_adds_its_time": "FAIL", "full_queue_drops": "FAIL"}


def test_a_queue_that_never_fills_proves_nothing(project):
    statuses, _ = run(project, "queue_delay", "--window", "50", "--pings", "300", code=4)
    assert statuses == {"each_packet_adds_its_time": "PASS", "full_queue_drops": "INCONCLUSIVE"}


def test_the_tutorials_sweep_holds(project):
    statuses, folder = run(project, "outage", "--outages-s", "0.5,1")
    assert set(statuses.values()) == {"PASS"}
    assert sorted(p.name for p in (folder / "scenarios").iterdir()) == ["0.5s", "1s"]
    (costs,) = (
        v
        for v in json.loads((folder / "verdicts.json").read_text())
        if v["claim"] == "costs_its_length"
    )
    assert costs["expected"] == "0.5 s: 5 pings; 1 s: 10 pings"
    assert not list(undocumented(folder))


def test_its_claims_fail_where_the_fault_is_another(project):
    text = (project / "experiments/outage.py").read_text()
    (project / "broken.py").write_text(changed(text, "net.sleep(outage_s)", "net.sleep(0.6)"))
    statuses, _ = run(project, "broken.py", "--outages-s", "1", code=1)
    assert statuses == {"only_those_are_lost": "PASS", "costs_its_length": "FAIL"}
    statuses, _ = run(project, "outage", "--outages-s", "2", "--loss-percent", "50", code=1)
    assert statuses == {"only_those_are_lost": "FAIL", "costs_its_length": "FAIL"}


def changed(text, right, wrong):
    assert text.count(right) == 1
    return text.replace(right, wrong)


# ---- the run directory


def documented():
    """Patterns of all files that docs/run-directory.md lists."""
    text = (PROJECT / "docs/run-directory.md").read_text(encoding="utf-8")
    scenario = text.index("### For each scenario")
    for match in re.finditer(r"^\| `([^`]+)`", text[: text.index("## Contents")], re.M):
        inside = "scenarios/<scenario>/" if match.start() > scenario else ""
        pattern = re.escape(inside + match[1])
        yield re.compile(re.sub(r"<\w+>", "[^/]+", pattern))


def undocumented(folder):
    """Files of a run directory that the documentation does not know."""
    patterns = list(documented())
    for path in (p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if not any(pattern.fullmatch(name) for pattern in patterns):
            yield name


def test_an_undocumented_file_is_found(tmp_path):
    for name in ("run.json", "scenarios/main/captures/h1-eth0.pcap", "scenarios/main/surprise.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(undocumented(tmp_path)) == ["scenarios/main/surprise.bin"]
