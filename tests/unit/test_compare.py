"""Two hand-made run directories: what differs is found, named, and nothing else is."""

import io
import json
import re
import struct
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from testbed.cli import verify as cli_verify
from testbed.core.errors import ConfigError
from testbed.core.fingerprint import fingerprint
from testbed.core.rundir import SCENARIO, RunDir, write_json
from testbed.execution import provenance
from testbed.execution.provenance import file_hash, program_files, sources_hash, tool_versions
from testbed.execution.verify import Comparison, request_of, tampered, versions_that_differ
from testbed.results import compare
from testbed.results.compare import Difference, bytes_that_differ, first_packet, numbers_that_differ

COMPARE = Path(compare.__file__)
HEADER = bytes.fromhex("4d3cb2a1 0200 0400 00000000 00000000 00000400 01000000".replace(" ", ""))


def packet(time_ns: int, ttl: int = 64, payload: bytes = b"hello") -> bytes:
    udp = struct.pack(">HHHH", 1000, 2000, 8 + len(payload), 0) + payload
    ip = struct.pack(
        ">BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(udp),
        7,
        0,
        ttl,
        17,
        0,
        bytes([10, 0, 0, 1]),
        bytes([10, 0, 0, 2]),
    )
    frame = bytes(12) + b"\x08\x00" + ip + udp
    return struct.pack("<IIII", time_ns // 10**9, time_ns % 10**9, len(frame), len(frame)) + frame


CAPTURE = HEADER + packet(10**9) + packet(2 * 10**9)
VERDICTS = [{"claim": "fills", "status": "PASS", "observed": "9.5 Mbit/s", "value": 9.5}]


@pytest.fixture
def make(tmp_path):
    def run(name: str, capture: bytes = CAPTURE, verdicts=VERDICTS, rows=(1, 2), **meta) -> RunDir:
        made = RunDir(tmp_path / name)
        folder = made.scenario("main") / "captures"
        folder.mkdir(parents=True)
        made.tables.mkdir()
        (folder / "h1-eth0.pcap").write_bytes(capture)
        pd.DataFrame({"n": rows}).to_parquet(made.tables / "t.parquet")
        (made.path / "verdicts.json").write_text(json.dumps(verdicts))
        made.write_meta(
            {
                "experiment": "congestion",
                "status": "complete",
                "reason": "",
                "seed": 1,
                "parameters": {},
                "runtime": "guest",
                "clock": "virtual",
                "tools": {},
                "kernel": {"version": "1", "sha256": "x"},
                "scenarios": {"main": {}},
                "started": name,
                **meta,
            }
        )
        (made.scenario("main") / "congestion.py").write_text("# the recorded experiment\n")
        write_json(made.scenario("main") / SCENARIO, {"file": "congestion.py"})
        return made

    return run


def wheres(differences) -> list[str]:
    return [d.where for d in differences]


def test_equal_runs_do_not_differ(make):
    one, two = make("one"), make("two")
    assert list(bytes_that_differ(one, two)) == []
    assert list(numbers_that_differ(one, two)) == []
    assert fingerprint(one) == fingerprint(two)


def test_reports_may_differ_in_when_and_from_where_they_were_run_alone(make):
    one, two = make("one"), make("two")
    report = "<time>12:00</time> PASS <code>testbed run /home/ada/x.py --seed 1</code>"
    (one.path / "report.html").write_text(report)
    elsewhere = report.replace("12:00", "13:00").replace("/home/ada", "/home/bob/one/scenarios")
    (two.path / "report.html").write_text(elsewhere)
    assert list(bytes_that_differ(one, two)) == []
    for old, new in (("PASS", "FAIL"), ("--seed 1", "--seed 2")):
        (two.path / "report.html").write_text(elsewhere.replace(old, new))
        assert wheres(bytes_that_differ(one, two)) == ["report.html line 1"]


def test_the_first_packet_that_differs_is_named_with_its_fields(make):
    other = HEADER + packet(10**9) + packet(2 * 10**9, ttl=63)
    one, two = make("one"), make("two", other)
    (found,) = bytes_that_differ(one, two)
    assert found.where == "scenarios/main/captures/h1-eth0.pcap packet 2"
    assert "ip_ttl=64" in found.recorded
    assert "ip_ttl=63" in found.again
    assert fingerprint(one) != fingerprint(two)


@pytest.mark.parametrize(
    ("other", "where", "recorded"),
    [
        (HEADER + packet(10**9), "c packet 2", "10.0.0.1"),
        (CAPTURE + packet(3 * 10**9), "c packet 3", "(the capture ends)"),
        (CAPTURE[:-3], "c packet 2", ""),
        (HEADER + packet(10**9 + 1) + packet(2 * 10**9), "c packet 1", "time_ns=1000000000"),
        (HEADER + packet(10**9, payload=b"hellO") + packet(2 * 10**9), "c packet 1", "payload"),
        (b"\x00" + CAPTURE[1:], "c file header", "4d3cb2a1"),
    ],
)
def test_every_way_captures_differ_is_told(other, where, recorded):
    found = first_packet("c", CAPTURE, other)
    assert found.where == where
    assert recorded in found.recorded
    assert found.recorded != found.again


def test_causes_stand_before_effects(make):
    one = make("one")
    two = make("two", CAPTURE[:-3], [{**VERDICTS[0], "observed": "9.4 Mbit/s"}], (1, 3))
    (two.path / "plots").mkdir()
    (two.path / "plots" / "a.png").write_bytes(b"x")
    found = wheres(bytes_that_differ(one, two))
    assert [w.split("/")[0].split(" ")[0] for w in found] == [
        "scenarios",
        "tables",
        "verdicts.json",
        "plots",
    ]
    assert found[1] == "tables/t.parquet row 2"


def test_bytes_that_are_no_text_are_compared_too(make):
    (found,) = bytes_that_differ(
        make("one", rows=(b"a", b"\xff")), make("two", rows=(b"a", b"\xfe"))
    )
    assert (found.where, found.recorded) == ("tables/t.parquet row 2", r"n=b'\xff'")


def test_categories_that_are_not_the_same_are_compared_too(make):
    one, two = (
        make(name, rows=pd.Categorical(["TCP", other]))
        for name, other in (("one", "UDP"), ("two", "ARP"))
    )
    (found,) = bytes_that_differ(one, two)
    assert (found.where, found.recorded) == ("tables/t.parquet row 2", "n=UDP")


@pytest.mark.parametrize(
    ("again", "differs"),
    [
        ({"value": 9.9}, False),
        ({"value": 7.0, "observed": "7 Mbit/s"}, True),
        ({"status": "INCONCLUSIVE", "value": None}, True),
        ({"value": None}, True),
    ],
)
def test_on_the_real_clock_numbers_may_move_by_a_tenth(make, again, differs):
    one, two = make("one"), make("two", verdicts=[VERDICTS[0] | again])
    assert bool(list(numbers_that_differ(one, two))) == differs


def test_an_edited_run_is_found_out(make):
    run = make("one")
    run.write_meta(
        {k: v for k, v in run.meta().items() if k != "format"} | {"fingerprint": fingerprint(run)}
    )
    assert list(tampered(run)) == []
    (run.scenario("main") / "captures" / "h1-eth0.pcap").write_bytes(CAPTURE[:-1])
    assert wheres(tampered(run)) == ["the recorded run's own files"]


def test_other_versions_are_named(make):
    run = make("one", tools={"iperf3": "iperf 0.1"}, sources="0" * 64)
    found = {d.where: d for d in versions_that_differ(run)}
    assert found["package iperf3"].recorded == "iperf 0.1"
    assert "testbed's sources" in found
    assert "experiments/congestion/experiment.py" in found


def test_of_packages_and_files_only_those_that_the_run_used_are_compared(make, tmp_path):
    program = tmp_path / "program"
    program.write_text("one")
    files = {str(path): file_hash(str(path)) for path in (program, COMPARE)}
    now = tool_versions()
    run = make("one", tools={"pyroute2": now["pyroute2"]}, files=files, sources=sources_hash())
    file_hash.cache_clear()
    assert not [d for d in versions_that_differ(run) if d.where.startswith(("package", "file"))]
    program.write_text("two")
    file_hash.cache_clear()
    changed = [d for d in versions_that_differ(run) if d.where.startswith(("package", "file"))]
    assert [d.where for d in changed] == [f"file {program}"]
    program.unlink()
    file_hash.cache_clear()
    (gone,) = (d for d in versions_that_differ(run) if d.where.startswith("file"))
    assert gone.again == "sha256 missing"


@pytest.mark.parametrize(
    "name", ["testbed/guest_init/etc/hosts", "testbed/programs/dhcp_hook.sh", "testbed/docs.py"]
)
def test_what_a_run_sees_of_ours_is_part_of_the_sources(tmp_path, monkeypatch, name):
    monkeypatch.setattr(provenance, "PROJECT", tmp_path)
    monkeypatch.setattr(provenance, "_INSIDE", tmp_path / "testbed/guest_init/etc")
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text("one")
    before = sources_hash()
    path.write_text("two")
    assert sources_hash() != before


def test_a_programs_files_are_itself_and_its_libraries():
    found = program_files(["sh"])
    assert {"dash", "libc.so.6"} <= {Path(path).name for path in found}
    assert {"/run/site/mininet", "/run/site/pyroute2"} <= set(found)
    assert all(re.fullmatch("[0-9a-f]{16}", text) for text in found.values())


def test_the_earliest_packet_that_differs_comes_first(make):
    runs = [make(name) for name in ("one", "two")]
    for name, second in (("a", 5), ("b", 3), ("c", 4)):
        for run, ttl in zip(runs, (64, 63), strict=True):
            capture = HEADER + packet(10**9) + packet(second * 10**9, ttl=ttl)
            (run.scenario("main") / f"captures/{name}.pcap").write_bytes(capture)
    found = wheres(bytes_that_differ(*runs))
    assert found == [f"scenarios/main/captures/{x}.pcap packet 2" for x in "bca"]


def shown(monkeypatch, recorded, versions, differences) -> str:
    console = Console(width=100, file=io.StringIO())
    monkeypatch.setattr(cli_verify, "out", console)
    found = Comparison(versions, differences, recorded)
    cli_verify._print(recorded, found, {"clock": "virtual", "fingerprint": "f" * 64})
    return console.file.getvalue()


def test_verify_names_the_first_cause_and_the_first_packet_and_no_consequences(make, monkeypatch):
    causes = [Difference("package tcpdump", "1", "2"), Difference("file /usr/bin/x", "a", "b")]
    effects = [Difference(f"file {n}", "then", "today") for n in range(137)]
    text = shown(monkeypatch, make("one"), causes, effects)
    assert "first cause: package tcpdump (and 1 more" in text
    assert "first difference: file 0 (and 136 more" in text
    assert len(text.splitlines()) == 8
    assert "none of the recorded programs" in shown(monkeypatch, make("two"), [], effects)
    same = shown(monkeypatch, make("three"), causes, [])
    assert "the same" in same and "made by another: package tcpdump" in same
    assert len(shown(monkeypatch, make("four"), [], []).splitlines()) == 2


def test_the_inputs_of_a_run_are_those_recorded(make, tmp_path):
    request = request_of(make("one", seed=7, parameters={"rate_mbps": 5.0}), tmp_path)
    assert (request.seed, request.parameters, request.only) == (7, {"rate_mbps": 5.0}, ("main",))
    with pytest.raises(ConfigError, match="is incomplete"):
        request_of(make("two", status="incomplete"), tmp_path)


def test_an_experiment_that_is_gone_is_made_again_from_its_copy(make, tmp_path):
    run = make("one", experiment="no_longer_here")
    (run.scenario("main") / "no_longer_here.py").write_text("")
    write_json(run.scenario("main") / SCENARIO, {"file": "no_longer_here.py"})
    assert request_of(run, tmp_path).experiment.endswith("scenarios/main/no_longer_here.py")
