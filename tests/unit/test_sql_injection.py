"""Statements of the experiment on SQL injection: on the wire, and in the database's log."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.dissect import postgresql
from experiments.sql_injection import statements
from tests.unit.segments import talk

PORTS = (40000, 5432)
START = struct.pack(">II", 8, 196608)


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", 4 + len(body)) + body


def bind(*values: bytes | None) -> bytes:
    parts = b"".join(
        struct.pack(">i", -1) if value is None else struct.pack(">I", len(value)) + value
        for value in values
    )
    return message(b"B", b"\0\0" + struct.pack(">HHH", 1, 0, len(values)) + parts + b"\0\0")


def read(*said: tuple[int, bytes]) -> list[tuple[str, tuple[str, ...]]]:
    found = postgresql.read(talk(*said, ports=PORTS))
    return list(zip(found["text"], found["values"], strict=True))


def test_a_query_and_a_statement_with_values() -> None:
    parse = message(b"P", b"\0SELECT $1, $2\0\0\0")
    said = read(
        (0, START),
        (1, b"R\0\0\0\x08\0\0\0\0"),
        (0, message(b"Q", b"SELECT 1\0")),
        (0, parse + bind(b"o'b", None)),
    )
    assert said == [("SELECT 1", ()), ("SELECT $1, $2", ("o'b", ""))]


def test_a_message_in_two_segments_counts_at_the_second() -> None:
    whole = message(b"Q", b"SELECT 1\0")
    found = postgresql.read(talk((0, START + whole[:7]), (0, whole[7:]), ports=PORTS))
    assert list(found["frame"]) == [4]


@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\0\0\0\x03", b"\xff\xff\xff\xff"])
def test_a_length_that_cannot_be_ends_the_reading(size: bytes) -> None:
    assert read((0, START + b"Q" + size + b"SELECT 1\0")) == []


@given(st.binary(max_size=80))
def test_any_bytes_are_read_without_an_error(octets: bytes) -> None:
    read((0, START + octets))
    read((0, START + message(b"B", octets) + message(b"P", octets)))


LOG = """\
1700000010.1  LOG:  starting PostgreSQL
1700000010.2 owner LOG:  statement: SELECT 1
1700000010.3 reader LOG:  execute <unnamed>: SELECT $1
1700000010.3 reader DETAIL:  parameters: $1 = '2'
1700000010.4 owner LOG:  statement: SELECT x
1700000010.4 owner ERROR:  column "x" does not exist at character 8
1700000010.4 owner STATEMENT:  SELECT x
1700000010.5 owner ERROR:  syntax error at end of input at character 7
1700000010.5 owner STATEMENT:  SELECT '
1700000010.6 owner ERROR:  syntax error at end of input at character 7
1700000010.6 owner STATEMENT:  SELECT '
"""


def test_each_statement_of_the_log_counts_once() -> None:
    found = statements.logged(LOG)
    assert list(found["text"]) == ["SELECT 1", "SELECT $1", "SELECT x", "SELECT '", "SELECT '"]
    assert list(found["user"]) == ["owner", "reader", "owner", "owner", "owner"]


def test_no_log_has_no_statement() -> None:
    assert statements.logged("").empty
