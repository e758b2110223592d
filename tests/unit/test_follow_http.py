"""HTTP messages of a connection with their bodies unpacked."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.dissect.http_coding import MOST_CODINGS, decoded
from analysis.dissect.http_messages import Message
from tests.unit.raw_packets import ACK, FIN, SYN, pcap, tcp
from tests.unit.test_cli_capture import capture

TEXT = b"Hello, \xe4\xbd\xa0\xe5\xa5\xbd!\nbye\x1b[2J\n"
GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"


def message(coding: str, body: bytes) -> Message:
    fields = (("Content-Encoding", coding),) if coding else ()
    return Message(1, "response", 0, 0, 0, headers=fields, body=body, body_bytes=len(body))


def packed(coding: str, data: bytes) -> bytes:
    if coding == "deflate":
        return zlib.compress(data)
    if coding == "gzip":
        return gzip.compress(data, mtime=0)
    codec = {"br": "brotli", "zstd": "zstd"}[coding]
    return bytes(pa.compress(data, codec, asbytes=True))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_codings_are_undone_up_to_the_limit(coding: str) -> None:
    body = packed(coding, TEXT * 1000)
    whole = decoded(message(coding.upper(), body), 1 << 20)
    assert (whole.data, whole.codings, whole.more) == (TEXT * 1000, (coding,), False)
    some = decoded(message(coding, body), 500)
    assert some.data == (TEXT * 1000)[:500] and some.more
    assert decoded(message(coding, body[:-20]), 1 << 20).data != TEXT * 1000
    bomb = decoded(message(coding, packed(coding, bytes(1 << 24))), 1 << 16)
    assert len(bomb.data) == 1 << 16 and bomb.more


def test_the_last_coding_named_is_undone_first() -> None:
    body = packed("gzip", packed("deflate", TEXT))
    found = decoded(message("deflate, gzip", body), 1 << 20)
    assert (found.data, found.codings) == (TEXT, ("gzip", "deflate"))
    bare = zlib.compressobj(wbits=-15)
    assert decoded(message("deflate", bare.compress(TEXT) + bare.flush()), 999).data == TEXT


def test_what_cannot_be_undone_stays_and_says_why() -> None:
    found = decoded(message("compress", TEXT), 999)
    assert (found.data, found.problem) == (TEXT, "coding compress is not known")
    found = decoded(message("gzip", TEXT), 999)
    assert (found.data, found.problem) == (TEXT, "gzip data that cannot be read")
    found = decoded(message("gzip", packed("gzip", TEXT)[:-9]), 999)
    assert TEXT.startswith(found.data) and found.problem == "gzip data that ends early"
    layers = TEXT
    for _ in range(MOST_CODINGS + 1):
        layers = packed("gzip", layers)
    many = decoded(message(",".join(["gzip"] * (MOST_CODINGS + 1)), layers), 1 << 20)
    assert (many.data, many.problem) == (packed("gzip", TEXT), f"more than {MOST_CODINGS} codings")


@given(st.sampled_from(["gzip", "deflate", "br", "zstd", "deflate, br"]), st.binary(max_size=300))
def test_any_bytes_are_taken(coding: str, body: bytes) -> None:
    assert len(decoded(message(coding, body), 100).data) <= 100


def talk(path: Path, response: bytes) -> Path:
    """A request and its response, in segments of 20 bytes."""
    packets = [
        tcp(0, SYN, 99),
        tcp(1, SYN | ACK, 499, 100),
        tcp(0, ACK, 100, 500, GET),
    ]
    for at in range(0, len(response), 20):
        packets.append(tcp(1, ACK, 500 + at, 100 + len(GET), response[at : at + 20]))
    packets.append(tcp(1, FIN | ACK, 500 + len(response), 100 + len(GET)))
    path.write_bytes(pcap(packets))
    return path


def chunked(data: bytes) -> bytes:
    half = len(data) // 2
    chunks = (b"%x\r\n%b\r\n" % (len(one), one) for one in (data[:half], data[half:], b""))
    return b"".join(chunks)


def test_a_chunked_compressed_body_reads_as_text(tmp_path: Path) -> None:
    page = "Hello, 你好!\nbye\n".encode()
    body = packed("gzip", page)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    response = head + chunked(body)
    path = talk(tmp_path / "page.pcap", response)
    code, text, _ = capture("follow", path, "--stream", 0, "--as", "http")
    last = 3 + -(-len(response) // 20)
    assert code == 0
    assert text.splitlines()[3:] == [
        "→ [request, packet 3]",
        "→ GET /a HTTP/1.1",
        "→ Host: h",
        "",
        f"← [response, packets 4 to {last}]",
        "← HTTP/1.1 200 OK",
        "← Content-Encoding: gzip",
        "← Transfer-Encoding: chunked",
        f"← [body, {len(body)} bytes, gzip undone]",
        "← Hello, 你好!",
        "← bye",
    ]
    code, text, _ = capture("follow", path, "--stream", 0, "--as", "http", "--side", "client")
    assert text.splitlines()[3:] == ["→ [request, packet 3]", "→ GET /a HTTP/1.1", "→ Host: h"]


def test_a_body_that_is_not_text_is_shown_in_hexadecimal(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n"
    path = talk(tmp_path / "image.pcap", head + b"\x1b[2J" + bytes(296))
    code, text, _ = capture("follow", path, "--stream", 0, "--as", "http", "--side", "server")
    assert code == 0 and "\x1b" not in text
    lines = text.splitlines()
    assert lines[-18] == "← [body, 300 bytes]"
    assert lines[-17].startswith("← 0000  1b 5b 32 4a 00 ")
    assert lines[-17].endswith("  .[2J............")
    assert lines[-1] == "← … 44 more bytes"


def test_what_is_not_http_says_so(tmp_path: Path) -> None:
    path = tmp_path / "other.pcap"
    opening = [tcp(0, SYN, 99), tcp(1, SYN | ACK, 499, 100)]
    path.write_bytes(pcap([*opening, tcp(0, ACK, 100, 500, b"\x16\x03\x01")]))
    code, _, said = capture("follow", path, "--stream", 0, "--as", "http")
    assert code == 0
    assert "no HTTP/1 message in what was said" in said
