"""JSON objects on lines: whole ones, broken ones, and what a short description says."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.dissect import json_messages
from tests.unit.segments import data, segments, talk

PORT = 7000


def read(*said):
    return json_messages.read(talk(*said, ports=(40000, PORT)), [PORT])


def test_messages_have_the_packet_that_completes_them():
    found = read((0, b'{"a": 1}\n{"b"'), (1, b'{"ok": true}\n'), (0, b": 2}\n"))
    rows = [(r["frame"], r["side"], json.loads(r["message"])) for r in found.to_dict("records")]
    assert rows == [(3, "client", {"a": 1}), (4, "server", {"ok": True}), (5, "client", {"b": 2})]


def test_other_ports_are_left_out():
    table = talk((0, b'{"a": 1}\n'), ports=(40000, 80))
    assert json_messages.read(table, [PORT]).empty


@pytest.mark.parametrize(
    "line", [b'{"a": 1}', b"[1]\n", b"null\n", b"\xff\n", b"{\n", b"[" * 100_000 + b"\n", b"\n"]
)
def test_what_is_no_whole_object_is_left_out(line):
    assert json_messages.decoded(line) is None
    assert len(read((0, line), (1, b"{}\n"))) == 1


def test_a_line_behind_a_hole_is_left_out():
    rows = [data(0, 1, b'{"a": 1}\n'), data(0, 50, b'"c": 3}\n{"d": 4}\n')]
    table = segments(*rows, ports=(40000, PORT))
    found = json_messages.read(table, [PORT])
    assert json.loads(found["message"].iloc[-1]) == {"d": 4}


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=200))
def test_any_bytes_are_read(octets):
    read((0, octets + b"\n"))


@pytest.mark.parametrize("value", [None, 3, "xyz", "abc", ["00"]])
def test_what_is_not_hexadecimal_has_no_bytes(value):
    assert json_messages.octets({"key": value}, "key") == b""
    assert json_messages.octets({}, "key") == b""


def test_words_count_bytes_and_cut_long_texts():
    message = {"public_key": "00" * 16, "text": "x" * 100, "accepted": True}
    assert json_messages.words(message) == f"public key (16 bytes), text {'x' * 40}…, accepted true"
