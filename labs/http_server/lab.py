"""The HTTP server lab: a server of HTTP/1.1 on sockets, judged by what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.dissect import http
from testbed import (
    Assignment,
    ConvergenceError,
    LinkShape,
    SeededRandom,
    Tables,
    Verdict,
    all_of,
    claim,
    holds,
    param,
    program,
    same,
    sockets,
    steps,
)
from topologies.single import Single

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork, ScenarioData

CLIENT = "h1-eth0"
START_S, QUIET_S = 10.0, 2.0
"""For the server to listen; how long a client waits for more of a response."""

MOST_PIECES, MOST_BYTES = 200, 100_000
"""A client reads no more of what the server sends."""

TEXT = "a document with umlauts: äöü"
PREFIXES = ("/notes/", "/papers/", "/letters/")
WIRE = LinkShape(rate_mbps=10, delay_ms=1)
FIN, RST = 1, 4
_CURL = ("curl", "--silent", "--show-error", "--max-time", "10", "--output", "/dev/null")


class Lab(Assignment):
    """A server for documents, in HTTP/1.1 on sockets."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        port: int = param(8000, "port of the server", low=1024, high=49_000)
        prefix: str = param("/notes/", "where documents are", choices=PREFIXES)
        limit_bytes: int = param(6000, "largest body", unit="bytes", low=3000, high=9000)

    params: Parameters
    programs = ("curl", "ss")

    @classmethod
    def variant(cls, random: SeededRandom) -> Mapping[str, Any]:
        """Port, path, and the limit of bodies."""
        return {
            "port": random.integer(8000, 8999),
            "prefix": random.choice(PREFIXES),
            "limit_bytes": random.integer(4, 8) * 1000,
        }

    # ---- in the network

    def topology(self) -> Single:
        """A client and a server, on links that take their time even for a flood."""
        return Single(2, WIRE)

    def run(self, net: RunningNetwork) -> None:
        """Starts the student's server, then clients, one after another."""
        net.capture(CLIENT)
        port = str(self.params.port)
        self.submission.start_program(net, "h2", ["python3", "server.py", port], log="server")
        try:
            net.wait_until("a server", lambda: _listens(net, port), START_S, every_s=0.2)
        except ConvergenceError:
            net.event("no-server")
            steps.step(net, "nothing")
            return
        self.clients(net)

    def clients(self, net: RunningNetwork) -> None:
        """The public ones: curl for the methods, and our own for connections."""
        self.curl(net, "put", "-X", "PUT", "--data-binary", TEXT)
        self.curl(net, "get")
        self.curl(net, "head", "--head")
        self.curl(net, "replace", "-X", "PUT", "--data-binary", "shorter")
        self.curl(net, "get-again")
        self.curl(net, "post", "--data-binary", "x")
        self.curl(net, "delete", "-X", "DELETE")
        self.curl(net, "gone")
        get = self.request("GET", "kept")
        self.talk(net, "kept", self.put("kept", b"still here"), get, get)
        self.talk(net, "close", self.request("GET", "kept", "Connection: close"))
        self.talk(net, "old", self.request("GET", "kept", version="1.0"))

    def curl(self, net: RunningNetwork, step: str, *options: str, name: str = "first") -> None:
        """One visit by curl."""
        steps.step(net, step, quiet_s=0.5)
        url = f"http://{net.address('h2')}:{self.params.port}{self.params.prefix}{name}"
        program("h1", *_CURL, "-H", "Expect:", *options, url, log=f"curl-{step}")(net)

    def request(
        self, method: str, name: str, *headers: str, version: str = "1.1", host: bool = True
    ) -> bytes:
        """The head of a request."""
        hosts = ["Host: h2"] if host else []
        lines = [f"{method} {self.params.prefix}{name} HTTP/{version}", *hosts, *headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def put(self, name: str, body: bytes) -> bytes:
        """A PUT with its body."""
        return self.request("PUT", name, f"Content-Length: {len(body)}") + body

    def talk(self, net: RunningNetwork, step: str, *pieces: bytes, pause_s: float = 0.0) -> None:
        """Sends pieces on one connection.

        Args:
            net: the running network.
            step: announced first.
            pieces: each is sent when the response to the last one has come, or nothing more comes.
            pause_s: instead of the response: how long to wait between pieces.
        """
        steps.step(net, step, quiet_s=0.5)
        sock = sockets.tcp(net, "h1", 0).connect(net.address("h2"), self.params.port)
        for piece in pieces:
            sock.send(piece)
            if pause_s:
                net.sleep(pause_s)
            else:
                drain(sock)
        drain(sock)
        sock.close()

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by step, as the client's side saw them."""
        import pandas as pd

        tables = steps.measure(data, http.COLUMNS, {"http": _read})
        served = pd.DataFrame({"served": [data.events("no-server").empty]})
        return {**tables, "served": served}

    def answers_of(self, tables: Tables, step: str) -> list[dict[Any, Any]]:
        """The responses in a step, in order; none if it never began."""
        found = tables.rows("http")
        if found.empty:
            return []
        rows = found[(found["step"] == step) & (found["kind"] == "response")]
        return [dict(row) for row in rows.to_dict("records")]

    def statuses(self, tables: Tables, names: Sequence[str]) -> dict[str, list[int]]:
        """Step → the status codes of its whole responses."""
        return {
            name: [int(r["status"]) for r in self.answers_of(tables, name) if r["complete"]]
            for name in names
        }

    def bodies(self, tables: Tables, step: str) -> list[bytes]:
        """The bodies of a step's responses."""
        return [bytes(row["body"]) for row in self.answers_of(tables, step)]

    def bytes_after_head(self, tables: Tables, step: str) -> int:
        """Bytes that the server sent behind the first empty line in a step."""
        found = tables.rows("packets")
        found = found[(found["step"] == step) & (found["tcp_sport"] == self.params.port)]
        sent = b"".join(bytes(data) for data in found["payload"].dropna())
        return len(sent.partition(b"\r\n\r\n")[2])

    def closes(self, tables: Tables, step: str) -> bool:
        """True if the server ends the connection, and not the client first."""
        found = tables.rows("packets")
        flags = found["tcp_flags"].fillna(0).astype(int)
        found = found[(found["step"] == step) & ((flags & (FIN | RST)) > 0)]
        return not found.empty and int(found.iloc[0]["tcp_sport"]) == self.params.port

    def judged(self, tables: Tables, *verdicts: Verdict) -> Verdict:
        """All of them, if there was a server."""
        if tables.of("served")["served"].iloc[0]:
            return all_of(*verdicts)
        observed = f"server.py does not listen on port {self.params.port} after {START_S:g} s"
        return holds(False, observed=observed, expected="a server")

    # ---- public checks

    @claim("Each method does what it should.", source="RFC 9110 §9.3, §15.5.6")
    def methods(self, tables: Tables) -> Verdict:
        """One document: made, read, replaced, removed."""
        wanted = {
            "put": [201],
            "get": [200],
            "head": [200],
            "replace": [204],
            "get-again": [200],
            "post": [405],
            "delete": [204],
            "gone": [404],
        }
        texts = [*self.bodies(tables, "get"), *self.bodies(tables, "get-again")]
        right = texts == [TEXT.encode(), b"shorter"]
        full, head = self.answers_of(tables, "get"), self.answers_of(tables, "head")
        lengths = [http.header(row, "Content-Length") for row in (*full, *head)]
        allows = [http.header(row, "Allow") != "" for row in self.answers_of(tables, "post")]
        return self.judged(
            tables,
            same(self.statuses(tables, list(wanted)), wanted, "status"),
            same(right, True, "documents come back unchanged"),
            same(lengths, [str(len(TEXT.encode()))] * 2, "Content-Length"),
            same(self.bytes_after_head(tables, "head"), 0, "bytes after HEAD's headers"),
            same(allows, [True], "405 has Allow"),
        )

    @claim(
        "A connection of HTTP/1.1 stays open, unless a side says close; HTTP/1.0's ends.",
        source="RFC 9112 §9.3, §9.6",
    )
    def keeps(self, tables: Tables) -> Verdict:
        """Three requests on one connection; then those that end it."""
        wanted = {"kept": [201, 200, 200], "close": [200], "old": [200]}
        ends = {name: self.closes(tables, name) for name in wanted}
        return self.judged(
            tables,
            same(self.statuses(tables, list(wanted)), wanted, "status"),
            same(ends, {"kept": False, "close": True, "old": True}, "closed by the server"),
        )


def drain(sock: sockets.TcpSocket) -> None:
    """Reads what comes, until there is silence, the end, or too much."""
    got = 0
    for _ in range(MOST_PIECES):
        piece = sock.receive(within_s=QUIET_S)
        got += len(piece)
        if not piece or got > MOST_BYTES:
            return


def _read(packets: pd.DataFrame) -> pd.DataFrame:
    found = http.read(packets)
    found["info"] = found["kind"].astype("string")
    return found


def _listens(net: RunningNetwork, port: str) -> bool:
    return f":{port} " in net.exec("h2", "ss", "-Hltn")
