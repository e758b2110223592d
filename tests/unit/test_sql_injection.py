"""Statements of the experiment on SQL injection: on the wire, and in the database's log."""

from __future__ import annotations

import struct
import time

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


def bind(*values: bytes | None, name: bytes = b"") -> bytes:
    parts = b"".join(
        struct.pack(">i", -1) if value is None else struct.pack(">I", len(value)) + value
        for value in values
    )
    return message(
        b"B", b"\0" + name + b"\0" + struct.pack(">HHH", 1, 0, len(values)) + parts + b"\0\0"
    )


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


def test_a_bind_names_its_statement() -> None:
    said = message(b"P", b"a\0SELECT $1\0\0\0") + message(b"P", b"b\0DELETE $1\0\0\0")
    assert read((0, START + said + bind(b"1", name=b"a"))) == [("SELECT $1", ("1",))]


@pytest.mark.parametrize("code", [80877103, 80877104])
def test_a_client_that_asks_for_encryption_first(code: int) -> None:
    request = struct.pack(">II", 8, code)
    query = message(b"Q", b"SELECT 1\0")
    assert read((0, request), (1, b"N"), (0, START + query)) == [("SELECT 1", ())]


def test_many_values_are_read_in_linear_time() -> None:
    values = 65_535 * struct.pack(">i", -1)
    body = b"\0\0" + struct.pack(">HH", 0, 65_535) + values + bytes(1 << 20)
    begun = time.process_time()
    ((_, found),) = read((0, START + message(b"B", body)))
    assert len(found) == 65_535
    assert time.process_time() - begun < 5  # it took minutes when each value copied the rest


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
