"""What the clients on h1 do, step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import Action, program, sockets

from .clients import ANSWER_S, CLOSE, KEEP, request, whole
from .crowds import Crowds
from .servers import (
    APP,
    HASTY,
    KEPT_S,
    LARGE,
    NGINX,
    PATIENT,
    REFUSAL_BYTES,
    SILENT,
    SITES,
)

if TYPE_CHECKING:
    from testbed import RunningNetwork

PARALLEL = 6
"""Connections that browsers open to one server at most."""

SLOW_S, BODY_BYTES = 2, 8000

_CURL = ("curl", "--silent", "--show-error", "--max-time", "60")
_MOST_S = 120.0
_REFUSAL = (
    "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n"
    f"Content-Length: {REFUSAL_BYTES}\r\n\r\n" + "too large " * (REFUSAL_BYTES // 10)
).encode()
_FAST_OPEN = 0x20000000
"""MSG_FASTOPEN of Linux."""


class Clients(Crowds):
    """The clients: curl, and sockets that do what no ordinary client does."""

    # ---- a page with many resources

    def pages(self, resources: int) -> dict[str, Action]:
        """The same page in each way there is."""
        site = f"http://{self.server}"
        small = [f"{site}/small/{n}.txt" for n in range(1, resources + 1)]
        large = [f"{site}/large/{n}.txt" for n in range(1, LARGE + 1)]
        old = ("--http1.0", *(("-H", KEEP) if "keep" in self.faults else ()))
        new = ("-H", CLOSE) if "close" in self.faults else ()
        together: tuple[str, ...] = ("-Z", "--parallel-immediate", "--parallel-max", str(PARALLEL))
        if "one-by-one" in self.faults:
            together = ()
        return {
            "short": _fetch(small, *old),
            "kept": _fetch(small, *new),
            "parallel": _fetch(small, *together),
            "pipelined": lambda _: self._pipeline(resources),
            "short-large": _fetch(large, *old),
            "kept-large": _fetch(large, *new),
        }

    def _pipeline(self, resources: int) -> None:
        """All requests at once, or one by one."""
        sock = self.open()
        every = [request(f"/small/{n}.txt") for n in range(1, resources + 1)]
        if "one-by-one" in self.faults:
            self.ask(sock, *every)
        else:
            sock.send(b"".join(every))
            got = b""
            while got.count(b"HTTP/1.1 200") < resources or not whole(got[got.rfind(b"HTTP/") :]):
                more = sock.receive(within_s=ANSWER_S)
                if not more:
                    break
                got += more
        sock.close()

    # ---- lives of connections

    def lives(self) -> dict[str, Action]:
        """How connections begin and end."""
        keep = (KEEP,) if "keep" in self.faults else ()
        close = (CLOSE,) if "close" in self.faults else ()
        return {
            "first": lambda _: self._first(),
            "old": lambda _: self._live(request("/index.html", *keep, version="1.0")),
            "old-kept": lambda _: self._live(request("/index.html", KEEP, version="1.0")),
            "new": lambda _: self._live(request("/index.html", *close)),
            "new-close": lambda _: self._live(request("/index.html", KEEP if keep else CLOSE)),
            "idle": lambda _: self._idle_for(10.0),
            "crossing": lambda _: self._cross(),
            "half-closed": lambda _: self._half_close(),
            "aborted": lambda _: self._abort(),
            "hasty": lambda _: self._refuse(HASTY, at_once="lingering" not in self.faults),
            "patient": lambda _: self._refuse(PATIENT, at_once=False),
        }

    def _first(self) -> None:
        """One request, on a connection of its own."""
        asked = request("/index.html", CLOSE)
        if "fast-open" in self.faults:
            sock = sockets.tcp(self.net, "h1", next(self.ports))
            sock.call("connect", lambda: sock.raw.sendto(asked, _FAST_OPEN, (self.server, NGINX)))
            self.receive(sock)
        else:
            sock = self.open()
            self.ask(sock, asked)
        sock.receive(within_s=2.0)
        sock.close()

    def _live(self, asked: bytes) -> None:
        """A request; then, if the connection is still there after a second, another one."""
        sock = self.open()
        self.ask(sock, asked)
        sock.raw.settimeout(1.0)
        try:
            over = sock.raw.recv(1) == b""
        except TimeoutError:
            over = False
        if not over:
            self.ask(sock, asked)
        sock.close()

    def _idle_for(self, pause_s: float) -> None:
        """A request, a pause that is not too long, a request, and silence."""
        sock = self.open()
        self.ask(sock, request("/index.html"))
        self.net.sleep(pause_s)
        self.ask(sock, request("/index.html"))
        sock.receive(within_s=2.0 * KEPT_S)
        sock.close()

    def _cross(self) -> None:
        """The second request leaves while the server's FIN is on its way."""
        sock = self.open()
        self.ask(sock, request("/index.html"))
        self.net.sleep(KEPT_S - self.rtt_s / 4)
        self.ask(sock, request("/index.html"))
        sock.close()
        again = self.open()
        self.ask(again, request("/index.html"))
        again.close()

    def _half_close(self) -> None:
        """Says that it has nothing more to ask, and reads on."""
        sock = self.open()
        sock.send(request("/large/1.txt"))
        if "full-close" in self.faults:
            self.net.sleep(self.rtt_s / 4)
            sock.abort()
            return
        sock.shutdown()
        sock.receive_all(within_s=ANSWER_S)
        sock.close()

    def _abort(self) -> None:
        """Reads the beginning of something long, then resets the connection."""
        sock = self.open()
        sock.send(request("/big.txt"))
        sock.receive()
        sock.abort()
        self.net.sleep(10 * self.rtt_s)

    def _refuse(self, port: int, *, at_once: bool) -> None:
        """A server that refuses a body without reading it, and closes in one of two ways."""
        listening = sockets.listen(self.net, "h2", port, name="refusing server")
        client = self.open(port)
        server = listening.accept(within_s=ANSWER_S)
        listening.close()
        length = f"Content-Length: {BODY_BYTES}"
        client.send(request("/index.html", length, method="POST") + b"x" * BODY_BYTES)
        self.net.sleep(self.rtt_s)
        if server is None:
            return
        server.receive(64)
        server.send(_REFUSAL)
        if at_once:
            server.close()
        else:  # says that it has no more to say, and reads until the client has left
            server.shutdown()
        client.receive_all(within_s=ANSWER_S)
        client.close()
        if not at_once:
            server.receive_all(within_s=ANSWER_S)
            server.close()

    # ---- what a request must say, and when a body is sent

    def requests(self) -> dict[str, Action]:
        """Host, Expect, and two requests at a time."""
        named = SITES[0] if "with-host" in self.faults else ""
        second = SITES[0 if "one-site" in self.faults else 1]
        line = request("/index.html", host=SITES[0])
        twice = line if named else request("/index.html", f"Host: {SITES[1]}")
        return {
            "no-host": self._one(request("/index.html", CLOSE, host=named)),
            "two-hosts": self._one(twice),
            "old-no-host": self._one(request("/index.html", host=named, version="1.0")),
            "sites": self._one(line, request("/index.html", host=second)),
            "expect-100": self._post("/app/notes"),
            "expect-401": self._post("/private/"),
            "expect-417": self._one(self._head("/simple/")),
            "unasked-401": self._post("/private/", asks=False),
            "expect-silent": self._silent,
            "blocked": lambda _: self._block(),
            "alone": lambda _: self._side_by_side(),
        }

    def _one(self, *requests: bytes) -> Action:
        """Requests on one connection."""

        def act(_: RunningNetwork) -> None:
            sock = self.open()
            self.ask(sock, *requests)
            sock.close()

        return act

    def _head(self, target: str) -> bytes:
        """Headers that announce a body, or, with the fault, a whole request without Expect.

        Not by curl, which asks again without Expect on the same connection, where the server
        still waits for the body.
        """
        length = f"Content-Length: {BODY_BYTES}"
        if "no-expect" in self.faults:
            return request(target, length, method="POST") + b"x" * BODY_BYTES
        return request(target, "Expect: 100-continue", length, method="POST")

    def _body(self) -> str:
        return json.dumps({"text": "x" * (BODY_BYTES - len('{"text": ""}'))})

    def _upload(self, asks: bool) -> tuple[str, ...]:
        """curl's options for a body; it waits a second for 100."""
        path = Path("/tmp/body.json")
        path.write_text(self._body())
        expects = "Expect: 100-continue" if asks and "no-expect" not in self.faults else "Expect:"
        kind = "Content-Type: application/json"
        return (*_CURL, "-H", expects, "-H", kind, "--data-binary", f"@{path}")

    def _post(self, target: str, *, asks: bool = True) -> Action:
        return program("h1", *self._upload(asks), f"http://{self.server}{target}")

    def _silent(self, net: RunningNetwork) -> None:
        """A server that says nothing until it has the whole request."""
        listening = sockets.listen(net, "h2", SILENT, name="silent server")
        client = net.start("h1", *self._upload(True), f"http://{self.server}:{SILENT}/")
        server = listening.accept(within_s=ANSWER_S)
        got = b""
        while server and len(got.partition(b"\r\n\r\n")[2]) < BODY_BYTES:
            more = server.receive(within_s=ANSWER_S)
            if not more:
                break
            got += more
        if server:
            server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        client.wait(_MOST_S)
        if server:
            server.close()
        listening.close()

    def _block(self) -> None:
        """A slow request, and a quick one behind it on the same connection."""
        slow, quick = request(f"/slow?s={SLOW_S}"), request("/notes/1")
        if "own-connection" in self.faults:
            self._side_by_side()
            return
        sock = self.open(APP)
        sock.send(slow + quick)
        self.receive(sock)
        self.receive(sock, within_s=5.0)
        sock.close()

    def _side_by_side(self) -> None:
        """The same two requests on two connections."""
        first, second = self.open(APP), self.open(APP)
        first.send(request(f"/slow?s={SLOW_S}"))
        self.ask(second, request("/notes/1"))
        self.receive(first)
        first.close()
        second.close()


def _fetch(urls: list[str], *options: str) -> Action:
    """curl fetches them all, and keeps none."""
    out = ["-o", "/dev/null"] * len(urls)
    return program("h1", *_CURL, *options, *out, *urls)
