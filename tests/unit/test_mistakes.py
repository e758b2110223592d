"""The table of mistakes: what students read about each, by kind of file.

Each mistake is made here; what is said about it is what `docs/howto/mistakes.md` promises.
"""

import re
import signal
import subprocess
import sys

import pytest

from testbed.core.errors import CommandError, ConfigError
from testbed.core.project import PROJECT
from testbed.core.rundir import write_json
from testbed.grading import accept, checks, graph_schema, library, manifest, questions
from testbed.grading import student_diagnostics as said
from testbed.grading.result import CheckResult, Mark
from testbed.grading.submission import Submission, SubmissionError, blamed

FORMATS = {"ms": "number", "at": "address", "net": "prefix", "who": "word"}
NAMES = {
    "answers": "answers.yaml",
    "app": "guard.py",
    "dnsmasq": "dhcp.conf",
    "frr": "r1.conf",
    "nginx": "site.conf",
    "program": "client.py",
    "run": "run",
    "text": "hosts.csv",
    "topology": "net.py",
    "zone": "a.zone",
}
MISTAKES = {}


def mistake(kind, what):
    def add(says):
        MISTAKES[kind, what] = says
        return says

    return add


def read_as(kind, data, name=None):
    """The lines about a file of a kind."""
    formats = FORMATS if kind == "answers" else {}
    spec = manifest.HandedFile(kind=kind, formats=formats)
    base = library.open_folder(PROJECT / "tests/labs/letter").manifest
    takes = base.model_copy(update={"files": {NAMES[kind]: spec}})
    accepted = accept.accept(accept.Handed({name or NAMES[kind]: data}), takes)
    answered = questions.malformed(takes, accepted.answers) if accepted.answers else []
    return accepted.problems + answered


def answer(text):
    lines = read_as("answers", text.encode())
    return [line for line in lines if "no answer yet" not in line]


for _what, _text in {
    "a word instead of a number": "ms: two",
    "a unit": "ms: 5 ms",
    "a comma": "ms: '1,5'",
    "a list instead of a number": "ms: [1, 2]",
    "yes instead of a number": "ms: yes",
    "an address with a byte too few": "at: 10.0.0",
    "an address with a length": "at: 10.0.0.1/24",
    "a prefix without a length": "net: 10.0.0.0",
    "a host's address instead of its network's": "net: 10.0.0.1/24",
    "a colon forgotten": "ms 5\nwho: r1",
}.items():
    mistake("answers", _what)(lambda _, text=_text: answer(text))


@mistake("answers", "an answer left out")
def no_answer(_):
    return read_as("answers", b"ms: 1\nat: 10.0.0.1\nnet:\n")


@mistake("answers", "a key misspelt")
def misspelt(_):
    base = library.open_folder(PROJECT / "tests/labs/letter").manifest
    return questions.strange(base, {"prot": 1}, ("port",))


@mistake("text", "a letter in Latin-1")
def latin(_):
    return read_as("text", "name,café".encode("latin-1"))


@mistake("text", "an empty file")
def empty(_):
    return read_as("text", b" \n")


@mistake("text", "Windows line ends")
def windows(_):
    return read_as("text", b"a,b\r\n")


@mistake("frr", "a statement that is not about routing")
def not_routing(_):
    return read_as("frr", b"hostname r1\nbanner motd hello\n")


def log_of(folder, name, text, **json):
    (folder / "main/logs").mkdir(parents=True)
    (folder / "main/logs" / f"{name}.log").write_text(text)
    for file, data in json.items():
        write_json(folder / f"main/{file}.json", data)


@mistake("frr", "a word misspelt")
def frr_line(folder):
    text = "No such command on config line 2:  netwrok 10.0.0.0/8\n"
    log_of(folder, "r1-ripd", f"[SHWNK-NWT5S][EC 1] {text}", configs={"r1": "r1.conf"})
    return said.refused(folder, {"r1.conf": b"router rip\n netwrok 10.0.0.0/8\n"})


@mistake("dnsmasq", "an option that names files or programs")
def dnsmasq_option(_):
    return read_as("dnsmasq", b"conf-file=/etc/x\n")


@mistake("dnsmasq", "a range that is none")
def dnsmasq_range(folder):
    text = "dnsmasq: bad dhcp-range at line 3 of /run/lab/configs/r1/dnsmasq.conf\n"
    log_of(folder, "r1-dnsmasq", text, rendered={"r1/dnsmasq.conf": "dhcp.conf"})
    return said.services_said(folder)


@mistake("zone", "a record that is none")
def zone_record(folder):
    text = "[t] nsd[7]: error: a.zone:10: syntax error\n"
    log_of(folder, "h2-nsd", text, rendered={"h2/a.zone": "a.zone"})
    return said.services_said(folder)


@mistake("zone", "another file included")
def zone_include(_):
    return read_as("zone", b"$INCLUDE other.zone\n@ SOA a b 1 2 3 4 5\n")


@mistake("nginx", "a directive misspelt")
def nginx_line(folder):
    log_of(folder, "nginx", 'nginx: [emerg] unknown directive "lisen" in /work/site.conf:3\n')
    return said.nginx_said(folder, {"site.conf": b""})


@mistake("nginx", "a certificate that is not there")
def nginx_file(folder):
    words = 'cannot load certificate "/out/a.pem": BIO_new_file() failed'
    log_of(folder, "nginx", f"nginx: [emerg] {words}\n")
    return said.nginx_said(folder, {"site.conf": b"\nssl_certificate /out/a.pem;\n"})


def ran(folder, source, name, kind):
    (folder / name).write_text(source)
    line = [sys.executable, folder / name]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    text = done.stderr.replace(str(folder), "/work")
    log_of(folder, "both", text)
    return said.raised(folder, {name: kind})


@mistake("program", "not Python")
def not_python(folder):
    return ran(folder, "x = 1\nfor x in\n", "client.py", "program")


@mistake("program", "an exception")
def exception(folder):
    return ran(folder, "a = {}\na['x']\n", "client.py", "program")


def blame(code, last):
    with pytest.raises(SubmissionError) as caught, blamed("client.py"):
        raise CommandError("h1", ["x"], code, last)
    return [str(caught.value)]


@mistake("program", "more memory than allowed")
def memory(_):
    return blame(-signal.SIGKILL, "")


@mistake("program", "an exit code that is not 0")
def code(_):
    return blame(3, "usage: client.py ADDRESS")


@mistake("app", "an exception")
def app_exception(folder):
    trace = (
        'Traceback (most recent call last):\n  File "/project/controller/guard.py", line 12, in x\n'
        "    x = flows[7]\nKeyError: 7\n"
    )
    log_of(folder, "c0-controller", trace)
    return said.raised(folder, {"guard.py": "app"})


@mistake("topology", "a link to a node that is not there")
def topology(folder):
    link = {"node1": "h1", "node2": "h9", "interface1": "h1-eth0", "interface2": "h9-eth0"}
    graph = {"nodes": [{"name": "h1", "kind": "host"}], "links": [link]}
    write_json(folder / "graph.json", graph)
    with pytest.raises(SubmissionError) as caught:
        graph_schema.read(folder)
    return [f"net.py: {caught.value}"]


@mistake("topology", "no class in it")
def no_topology(folder):
    write_json(folder / "reason.json", "holds 0 topologies; write one subclass of Topo")
    with pytest.raises(SubmissionError) as caught:
        graph_schema.read(folder)
    return [f"net.py: {caught.value}"]


@mistake("run", "a run without the scenario that is asked for")
def run(folder):
    with pytest.raises(SubmissionError) as caught, Submission(folder).reading("run"):
        pass
    return [str(caught.value)]


@pytest.mark.parametrize("kind_and_what", MISTAKES, ids=": ".join)
def test_a_mistake_is_told_in_the_words_of_the_table(kind_and_what, tmp_path):
    kind, what = kind_and_what
    lines = MISTAKES[kind_and_what](tmp_path)
    assert len(lines) == 1, lines
    assert table()[kind, what] == lines[0]


def test_the_table_has_every_kind_and_nothing_else():
    assert set(table()) == set(MISTAKES)
    kinds = set(manifest.HandedFile.model_json_schema()["properties"]["kind"]["enum"])
    assert {kind for kind, _ in MISTAKES} == kinds == set(NAMES)


def table():
    text = (PROJECT / "docs/howto/mistakes.md").read_text()
    rows = re.findall(r"^\| (\w+) \| (.+?) \| `(.+)` \|$", text, re.MULTILINE)
    return {(kind, what): words for kind, what, words in rows}


# ---- checks that follow from others


def check(name, mark, observed="", expected=""):
    return CheckResult(name, f"{name}.", "", "", False, mark, 0, 1, observed, expected)


def test_a_check_that_depends_on_a_failed_one_says_so():
    base = library.open_lab("rip").manifest
    names = ("speaks_version_2", "knows_every_lan", "hosts_reach_one_another")
    found = checks.followed([check(name, Mark.FAIL) for name in names], base)
    assert [c.follows_from for c in found] == ["", *names[:2]]
    held = [check(names[0], Mark.PASS), check(names[1], Mark.FAIL), check(names[2], Mark.PARTIAL)]
    assert [c.follows_from for c in checks.followed(held, base)] == ["", "", ""]


def test_the_reason_why_a_network_did_not_run_is_told_once():
    base = library.open_lab("rip").manifest
    names = ("speaks_version_2", "keeps_the_timers", "round_trips")
    failed = [check(name, Mark.FAIL, "FRR: ended", "a run that finishes") for name in names]
    assert [c.follows_from for c in checks.followed(failed, base)] == ["", names[0], names[0]]


@pytest.mark.parametrize(
    ("needs", "says"),
    [
        ("port", "'port' must be a check above this one"),
        ("no_more", "'no_more' must be a check above this one"),
        ("word_arrive", "did you mean 'word_arrives'"),
    ],
)
def test_a_check_needs_one_above_it(needs, says, tmp_path):
    text = (PROJECT / "tests/labs/letter/lab.yaml").read_text()
    changed = text.replace("port: {weight: 2,", f"port: {{weight: 2, needs: [{needs}],")
    assert changed != text
    (tmp_path / "lab.yaml").write_text(changed)
    with pytest.raises(ConfigError, match=rf"lab\.yaml:9: checks\.port\.needs: .*{says}"):
        manifest.read(tmp_path)
