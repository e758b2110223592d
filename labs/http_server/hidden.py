"""What students do not see of the HTTP server lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.dissect import http
from labs.http_server.lab import Lab
from testbed import Tables, Verdict, claim, same

if TYPE_CHECKING:
    from testbed import RunningNetwork

CHUNKED = b"Wikipedia in\r\n\r\nchunks"
REFUSED = {
    "no-version": b"GET /\r\n\r\n",
    "bad-length": b"PUT {path} HTTP/1.1\r\nHost: h2\r\nContent-Length: 3x\r\n\r\nabc",
    "bad-field": b"GET {path} HTTP/1.1\r\nHost: h2\r\nX Y: a b\r\nNo colon\r\n\r\n",
    "two-lengths": (
        b"PUT {path} HTTP/1.1\r\nHost: h2\r\nContent-Length: 8\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    ),
    "bad-chunk": (
        b"PUT {path} HTTP/1.1\r\nHost: h2\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n"
    ),
}


class Hidden(Lab):
    """The lab as the grader has it."""

    def clients(self, net: RunningNetwork) -> None:
        """The public clients, then the hidden ones."""
        super().clients(net)
        self._bodies(net)
        self._hosts(net)
        self._conditions(net)
        for name, text in REFUSED.items():
            path = f"{self.params.prefix}refused".encode()
            self.talk(net, name, text.replace(b"{path}", path))
        long = self.request("PUT", "long", f"Content-Length: {self.params.limit_bytes + 1}")
        self.talk(net, "too-long", long)
        self.talk(net, "longest", self.put("longest", b"y" * self.params.limit_bytes))
        self.talk(net, "afterwards", self.request("GET", "kept"))

    def _bodies(self, net: RunningNetwork) -> None:
        """Chunks, whole and in pieces, and requests that come together or byte by byte."""
        parts = (CHUNKED[:4], CHUNKED[4:9], CHUNKED[9:])
        text = b"".join(b"%x;a=b\r\n%b\r\n" % (len(part), part) for part in parts)
        head = self.request("PUT", "chunks", "Transfer-Encoding: chunked")
        whole = head + text + b"0\r\nX-Trailer: 1\r\n\r\n"
        cuts = [whole[i : i + 7] for i in range(0, len(whole), 7)]
        get = self.request("GET", "chunks")
        self.talk(net, "chunks", whole, get)
        self.talk(net, "chunks-cut", *cuts, pause_s=0.01)
        self.talk(net, "chunks-read", get)
        one, two = self.put("one", b"first body"), self.put("two", b"second body")
        together = one + two + self.request("GET", "two") + self.request("GET", "one")
        self.talk(net, "together", together)
        slow = self.request("GET", "one")
        self.talk(net, "slowly", *(slow[i : i + 1] for i in range(len(slow))), pause_s=0.01)

    def _hosts(self, net: RunningNetwork) -> None:
        """With no Host, with two, and in the old version."""
        self.talk(net, "no-host", self.request("GET", "kept", host=False))
        self.talk(net, "two-hosts", self.request("GET", "kept", "Host: h3"))
        self.talk(net, "old-no-host", self.request("GET", "kept", version="1.0", host=False))

    def _conditions(self, net: RunningNetwork) -> None:
        """The second request has the ETag of the first, which curl keeps in a file."""
        tag = ("--etag-save", "/tmp/tag", "--etag-compare", "/tmp/tag")
        self.curl(net, "tagged", "--etag-save", "/tmp/tag", name="kept")
        self.curl(net, "unchanged", *tag[2:], name="kept")
        self.curl(net, "change", "-X", "PUT", "--data-binary", "changed", name="kept")
        self.curl(net, "changed", *tag[2:], name="kept")

    # ---- hidden checks

    @claim("A body in chunks is read to its end.", source="RFC 9112 §7.1")
    def chunked(self, tables: Tables) -> Verdict:
        """Three chunks with extensions and a trailer, in one piece and in many."""
        wanted = {"chunks": [201, 200], "chunks-cut": [204], "chunks-read": [200]}
        texts = [*self.bodies(tables, "chunks")[1:], *self.bodies(tables, "chunks-read")]
        return self.judged(
            tables,
            same(self.statuses(tables, list(wanted)), wanted, "status"),
            same(texts == [CHUNKED, CHUNKED], True, "documents come back unchanged"),
        )

    @claim("HTTP/1.1 requires one Host; HTTP/1.0 does not.", source="RFC 9112 §3.2")
    def host(self, tables: Tables) -> Verdict:
        """Without, with two, and in the old version."""
        wanted = {"no-host": [400], "two-hosts": [400], "old-no-host": [200]}
        return self.judged(tables, same(self.statuses(tables, list(wanted)), wanted, "status"))

    @claim(
        "A client that has the current version gets 304 without a body; after a change it gets the "
        "new one.",
        source="RFC 9110 §8.8.3, §13.1.2, §15.4.5",
    )
    def conditional(self, tables: Tables) -> Verdict:
        """curl, with the ETag that it got."""
        wanted = {"tagged": [200], "unchanged": [304], "change": [204], "changed": [200]}
        rows = [row for step in ("tagged", "changed") for row in self.answers_of(tables, step)]
        tags = [http.header(row, "ETag") for row in rows]
        return self.judged(
            tables,
            same(self.statuses(tables, list(wanted)), wanted, "status"),
            same(len({tag for tag in tags if tag}), 2, "different ETags"),
            same(self.bytes_after_head(tables, "unchanged"), 0, "bytes after 304's headers"),
            same(self.bodies(tables, "changed") == [b"changed"], True, "the new version comes"),
        )

    @claim(
        "A malformed request gets 400, a body that is too long 413; the connection ends, and the "
        "server goes on.",
        source="RFC 9112 §2.2, §6.3; RFC 9110 §15.5.1, §15.5.14",
    )
    def malformed(self, tables: Tables) -> Verdict:
        """Six that a server must refuse, and two that it must not."""
        wanted = {**{name: [400] for name in REFUSED}, "too-long": [413]}
        good = {"longest": [201], "afterwards": [200]}
        ends = [name for name in wanted if not self.closes(tables, name)]
        return self.judged(
            tables,
            same(self.statuses(tables, list(wanted)), wanted, "status"),
            same(ends, [], "connections that stay"),
            same(self.statuses(tables, list(good)), good, "status"),
        )

    @claim(
        "Requests may come together or byte by byte; responses come in their order.",
        source="RFC 9112 §9.3.2",
    )
    def pipelined(self, tables: Tables) -> Verdict:
        """Four requests in one segment; one in many."""
        wanted = {"together": [201, 201, 200, 200], "slowly": [200]}
        texts = [*self.bodies(tables, "together")[2:], *self.bodies(tables, "slowly")]
        right = texts == [b"second body", b"first body", b"first body"]
        return self.judged(
            tables,
            same(self.statuses(tables, list(wanted)), wanted, "status"),
            same(right, True, "bodies in the requests' order"),
        )
