"""How long a body is, in which form it comes, and which part of it."""

from __future__ import annotations

import zlib
from typing import Any

import pandas as pd

from analysis.dissect import http
from testbed import Experiment, Tables, Verdict, all_of, at_least, at_most, claim, near, same

from .exchanges import HALF_BYTES, PAGE_BYTES
from .messages import CLIENT, answer, asked, both, said, text


class Bodies(Experiment):
    """How long a body is, in which form it comes, and which part of it."""

    @claim(
        "A request is a request line (method, URI, version), headers, an empty line and a body.",
        source="RFC 9112 §2.1, §3",
    )
    def request_has_its_parts(self, tables: Tables) -> Verdict:
        """Put together from its parts, it is what was captured."""
        row = asked(tables, "parts")
        line = f"{row['method']} {row['target']} HTTP/{row.get('version')}"
        return _whole(tables, "request", line, row).because("the request", both(tables, "parts"))

    @claim(
        "A response is a status line (version, code, reason), headers, an empty line and a body.",
        source="RFC 9112 §2.1, §4",
    )
    def response_has_its_parts(self, tables: Tables) -> Verdict:
        """The same."""
        row = answer(tables, "parts")
        line = f"HTTP/{row.get('version')} {row['status']} {row.get('reason')}"
        return _whole(tables, "response", line, row).because("the response", both(tables, "parts"))

    @claim(
        "A body's end is known from Content-Length, from its last chunk, or, in HTTP/1.0, from the "
        "end of the connection.",
        source="RFC 9112 §6.3, §7.1; RFC 1945 §7.2.2",
    )
    def bodies_end_in_three_ways(self, tables: Tables) -> Verdict:
        """Three responses."""
        rows = {step: answer(tables, step) for step in ("length", "chunked", "closed")}
        says = {
            step: [n for n in ("Content-Length", "Transfer-Encoding") if http.header(row, n)]
            for step, row in rows.items()
        }
        wanted = {"length": ["Content-Length"], "chunked": ["Transfer-Encoding"], "closed": []}
        return all_of(
            same(says, wanted, "headers"),
            same(int(rows["length"]["body_bytes"]), PAGE_BYTES, "bytes by length"),
            same(text(rows["chunked"]), "one two three\n", "body in chunks"),
            same(text(rows["closed"]), "one two three\n", "body until the end"),
        ).because("requests and responses", both(tables, *rows))

    @claim(
        "Client and server agree on the type by Accept; the response says which it is, and that it "
        "varies; where none fits it is 406.",
        source="RFC 9110 §8.3, §12.5.1, §12.5.5, §15.5.7",
    )
    def type_is_negotiated(self, tables: Tables) -> Verdict:
        """The list of notes as JSON, as a page, and as a picture that there is not."""
        kinds = ("application/json", "text/html", "image/png")
        rows = [answer(tables, kind) for kind in kinds]
        types = [http.header(row, "Content-Type").split(";")[0] for row in rows]
        vary = {http.header(row, "Vary") for row in rows[:2]}
        return all_of(
            same([row["status"] for row in rows], [200, 200, 406], "status"),
            same(types[:2], list(kinds[:2]), "Content-Type"),
            same(vary, {"Accept"}, "Vary"),
        ).because("requests and responses", both(tables, *kinds))

    @claim(
        "A body is compressed if the client accepts it; decompressed it is the same, with fewer "
        "bytes on the wire.",
        source="RFC 9110 §8.4, §12.5.3; RFC 1952",
    )
    def compression_is_negotiated(self, tables: Tables) -> Verdict:
        """The same page with gzip and without."""
        plain, packed = answer(tables, "length"), answer(tables, "gzip")
        sizes = [int(row["body_bytes"]) for row in (plain, packed)]
        return all_of(
            same(http.header(packed, "Content-Encoding"), "gzip", "Content-Encoding"),
            same(http.header(plain, "Content-Encoding"), "", "without Accept-Encoding"),
            same(_unpacked(packed) == bytes(plain["body"]), True, "same when decompressed"),
            at_least(sizes[0], 1, unit="bytes plain"),
            at_most(sizes[1], sizes[0] / 2, unit="bytes compressed"),
        ).because("requests and responses", both(tables, "length", "gzip"))

    @claim(
        "A client may ask for a range; the parts fit together, and Content-Range says where.",
        source="RFC 9110 §14.1.2, §14.4, §15.3.7",
    )
    def ranges_fit_together(self, tables: Tables) -> Verdict:
        """A page in two parts."""
        whole, begin, rest = (answer(tables, s) for s in ("length", "range-begin", "range-rest"))
        places = [http.header(row, "Content-Range") for row in (begin, rest)]
        joined = bytes(begin["body"]) + bytes(rest["body"])
        wanted = [
            f"bytes 0-{HALF_BYTES - 1}/{PAGE_BYTES}",
            f"bytes {HALF_BYTES}-{PAGE_BYTES - 1}/{PAGE_BYTES}",
        ]
        return all_of(
            same(places, wanted, "Content-Range"),
            same(joined == bytes(whole["body"]), True, "together the whole"),
        ).because("requests and responses", both(tables, "range-begin", "range-rest"))


def _whole(tables: Tables, kind: str, line: str, row: dict[Any, Any]) -> Verdict:
    """A message, put together from its parts, against the bytes captured."""
    rows = said(tables, "parts", kind)
    fields = "".join(f"{name}: {value}\r\n" for name, value in row["headers"])
    made = f"{line}\r\n{fields}\r\n".encode("latin-1") + bytes(row["body"])
    sent = _payload(tables, rows)
    return all_of(
        near(len(rows), 1, abs=0, unit=f"{kind} with a first line"),
        at_least(len(row["headers"]), 2, unit="headers"),
        at_least(len(row["body"]), 1, unit="bytes of body"),
        near(len(made), len(sent), abs=0, unit="bytes in all parts"),
        same(made == sent, True, "the parts are the whole"),
    )


def _payload(tables: Tables, rows: pd.DataFrame) -> bytes:
    """All bytes from the sender of a message in its step."""
    if rows.empty:
        return b""
    packets = tables.of("packets", capture=CLIENT, step="parts", ip_src=rows["ip_src"].iloc[0])
    return b"".join(bytes(data) for data in packets["payload"].dropna())


def _unpacked(row: dict[Any, Any]) -> bytes:
    try:
        return zlib.decompress(bytes(row["body"]), wbits=31)
    except zlib.error:
        return b""
