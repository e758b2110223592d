"""Kernel events: on pages laid out by hand, and on those of a real guest (tests/traces)."""

import json
import shutil
import struct
from pathlib import Path

import pytest

from analysis import ftrace
from testbed.core.claims import MissingDataError
from testbed.core.errors import ParseError

TRACES = Path(__file__).parents[1] / "traces" / "reno"

FORMAT = """name: thing
ID: 7
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:int value;	offset:8;	size:4;	signed:1;

print fmt: "value=%d", REC->value
"""


def record(delta_ns, value, event=7):
    """A data record of 12 bytes: three words (ring_buffer.h: type_len counts words)."""
    return struct.pack("<IHHii", (delta_ns << 5) | 3, event, 0, 42, value)


def extend(delta_ns):
    return struct.pack("<II", ((delta_ns & (2**27 - 1)) << 5) | 30, delta_ns >> 27)


def discarded(size):
    return struct.pack("<II", (1 << 5) | 29, size - 4) + bytes(size - 8)


def page(time_ns, *records):
    data = b"".join(records)
    return (struct.pack("<QQ", time_ns, len(data)) + data).ljust(4096, b"\xff")


def folder(tmp_path, *pages, lost=0):
    (tmp_path / "cpu0.raw").write_bytes(b"".join(pages))
    (tmp_path / "thing.format").write_text(FORMAT)
    meta = {"events": ["thing"], "clock": "mono", "lost": lost}
    (tmp_path / "trace.json").write_text(json.dumps(meta))
    return tmp_path


def test_records_of_several_pages_with_their_times(tmp_path):
    pages = [
        page(1000, record(0, -1), record(5, 2), discarded(16), record(5, 3)),
        page(2**40, record(0, 4), extend(2**30), record(1, 5), record(0, 99, event=8)),
    ]
    frame = ftrace.read(folder(tmp_path, *pages), "thing")
    assert frame["value"].tolist() == [-1, 2, 3, 4, 5]
    assert frame["time_ns"].tolist() == [1000, 1005, 1011, 2**40, 2**40 + 2**30 + 1]
    assert set(frame["common_pid"]) == {42}


def test_an_empty_buffer_has_no_events(tmp_path):
    assert ftrace.read(folder(tmp_path), "thing").empty


@pytest.mark.parametrize("cut", [1, 17, 4095])
def test_a_truncated_last_page_is_left_out(tmp_path, cut):
    whole = page(1000, record(0, 1))
    frame = ftrace.read(folder(tmp_path, whole, whole[:cut]), "thing")
    assert frame["value"].tolist() == [1]


def test_lengths_that_lie_do_not_leave_the_page(tmp_path):
    lying = struct.pack("<QQ", 0, 2**27 - 1) + record(0, 1) + struct.pack("<II", 0, 2**31)
    frame = ftrace.read(folder(tmp_path, lying.ljust(4096, b"\0")), "thing")
    assert frame["value"].tolist()[:1] == [1]


def test_lost_events_and_unknown_ones_are_missing_data(tmp_path):
    with pytest.raises(MissingDataError, match="lost 3 events"):
        ftrace.read(folder(tmp_path, lost=3), "thing")
    with pytest.raises(MissingDataError, match="'other' was not recorded"):
        ftrace.read(tmp_path, "other")


def test_a_real_guests_events(tmp_path):
    shutil.copytree(TRACES, tmp_path / "traces")
    probe = ftrace.read(tmp_path / "traces", "tcp_probe")
    states = ftrace.read(tmp_path / "traces", "tcp_cong_state_set")
    assert probe["time_ns"].is_monotonic_increasing
    assert set(probe["saddr"]) == set(probe["daddr"]) and len(set(probe["saddr"])) == 2
    sender = probe[probe["sport"] == 40001]
    assert sender["snd_cwnd"].iloc[0] == 10, "RFC 6928's initial window"
    assert (sender["snd_una"].diff().dropna() >= 0).all()
    assert set(states["cong_state"].astype(str)) <= set(ftrace.CONG_STATES)
    assert "Recovery" in set(states["cong_state"].astype(str))


def test_a_layout_that_leaves_the_page_is_told():
    text = "name: thing\nID: 7\nformat:\n\tfield:u32 x;\toffset:4094;\tsize:4;\tsigned:0;\n"
    with pytest.raises(ParseError, match="behind the end of a page"):
        ftrace.Format.parse(text, "thing.format")


def test_reasons_become_names(tmp_path):
    text = (
        FORMAT.replace("value", "reason")
        .replace("reason=%d", "reason: %s")
        .replace(
            "REC->reason", '__print_symbolic(REC->reason, { 2, "NO_SOCKET" }, { 3, "UDP_CSUM" })'
        )
    )
    frame_folder = folder(tmp_path, page(0, record(0, 2), record(0, 3), record(0, 77)))
    (frame_folder / "thing.format").write_text(text)
    assert list(ftrace.read(frame_folder, "thing")["reason"]) == ["NO_SOCKET", "UDP_CSUM", "77"]
