"""Mistakes in zones and in dnsmasq's options reach the student by file and line."""

import pytest

from testbed.core.errors import CommandError
from testbed.core.rundir import write_json
from testbed.daemons.base import Place
from testbed.daemons.dnsmasq import Dnsmasq
from testbed.grading import statements, student_diagnostics
from testbed.grading.submission import RENDERED, SubmissionError, blamed

NSD = (
    "[2023-11-14 22:13:30.000] nsd[9]: notice: nsd starting (NSD 4.6.1)\n"
    "[2023-11-14 22:13:30.001] nsd[9]: error: elm.example.zone:11: invalid IPv4 address '1.2'\n"
    "[2023-11-14 22:13:30.001] nsd[9]: error: zone elm.example read with 1 errors\n"
)


def scenario(tmp_path, node, daemon, log, rendered):
    folder = tmp_path / "main"
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    (folder / "logs" / f"{node}-{daemon}.log").write_text(log)
    write_json(folder / RENDERED, rendered)
    return tmp_path


def test_a_fault_in_a_zone_is_named(tmp_path):
    scenario(tmp_path, "d2", "nsd", NSD, {"d2/elm.example.zone": "office.zone"})
    assert student_diagnostics.services_said(tmp_path) == [
        "office.zone: line 11: nsd: invalid IPv4 address '1.2'"
    ]


def test_what_other_nodes_or_other_files_say_is_not_the_students(tmp_path):
    scenario(tmp_path, "d3", "nsd", NSD, {"d2/elm.example.zone": "office.zone"})
    assert student_diagnostics.services_said(tmp_path) == []
    assert student_diagnostics.services_said(tmp_path / "none") == []


def test_dnsmasq_counts_the_students_lines(tmp_path):
    text = "# the pool\nconf-file=/etc/passwd\n\ndhcp-option=banana,10.0.0.1\n"
    options, left_out = statements.dnsmasq(text)
    assert left_out and left_out[0].startswith("line 2: ")
    place = Place("d1", tmp_path, tmp_path)
    (conf,) = Dnsmasq(options.splitlines()).files(place).values()
    line = conf.splitlines().index("dhcp-option=banana,10.0.0.1") + 1
    assert line == 4
    said = f"dnsmasq: bad dhcp-option at line {line} of /run/lab/configs/d1/dnsmasq.conf\n"
    scenario(tmp_path, "d1", "dnsmasq", said, {"d1/dnsmasq.conf": "dhcp.conf"})
    assert student_diagnostics.services_said(tmp_path) == [
        "dhcp.conf: line 4: dnsmasq: bad dhcp-option"
    ]


def test_a_log_without_end_gives_a_few_lines(tmp_path):
    line = NSD.splitlines()[1]
    log = "\n".join(line.replace(":11:", f":{n}:") for n in range(5000))
    scenario(tmp_path, "d2", "nsd", log, {"d2/elm.example.zone": "office.zone"})
    assert len(student_diagnostics.services_said(tmp_path)) == 8


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "x.py: ended with 1: no output"),
        (137, "x.py: was killed by SIGKILL, as when it needs more memory than allowed: no output"),
        (-11, "x.py: was killed by SIGSEGV: no output"),
        (255, "x.py: ended with 255: no output"),
    ],
)
def test_how_a_program_ended_is_in_words(code, words):
    with pytest.raises(SubmissionError) as caught, blamed("x.py"):
        raise CommandError("h1", ["x"], code)
    assert str(caught.value) == words
