"""What the client sends: each step by its name, with its cause and without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

NGINX, APP, APACHE, HAPROXY = 80, 8000, 8081, 8082
"""The servers on h2, by their ports."""

JSON, FORM = "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded"
SECRET = "rosebud"
LOGIN = "Authorization: Basic YWxpY2U6cm9zZWJ1ZA=="
"""alice:rosebud in Base64 (RFC 7617)."""

LIMIT_BYTES, LONGEST_URI_BYTES = 10_000, 1024
"""nginx's limits for a body, and for a request line."""

Sent = str | tuple[str, ...]
"""One message, or several on one connection."""

PAGE_BYTES, HALF_BYTES = 3000, 1000
"""The page that is fetched in parts, and the first part."""


@dataclass(frozen=True)
class Step:
    """One step: a connection, and what is sent on it.

    Attributes:
        name: of the step.
        port: the server.
        send: messages; the next one is sent when the response to the last has come.
        otherwise: what is sent with the fault ``no-cause``: nothing that would cause the response.
    """

    name: str
    port: int
    send: tuple[str, ...]
    otherwise: tuple[str, ...] = ()


def message(
    method: str, target: str, *headers: str, body: str = "", version: str = "1.1", host: bool = True
) -> str:
    """A request as text, with its length if it has a body."""
    lines = [f"{method} {target} HTTP/{version}"]
    lines += ["Host: h2"] * host + ["Connection: close"] + list(headers)
    lines += [f"Content-Length: {len(body)}"] * bool(body)
    return "\r\n".join([*lines, "", body])


def get(target: str, *headers: str) -> str:
    """A GET."""
    return message("GET", target, *headers)


def note(method: str, target: str, body: str) -> str:
    """A request with JSON."""
    return message(method, target, JSON, body=body)


def steps() -> list[Step]:
    """All steps in their order."""
    return [*_parts(), *_methods(), *_causes(), *_bodies()]


def _parts() -> Iterator[Step]:
    old = ("GET /index.html\r\n",)  # HTTP/0.9 knew no more, and answered with the page alone
    yield Step("parts", NGINX, (note("POST", "/app/notes", '{"text": "a whole message"}'),), old)


def _methods() -> Iterator[Step]:
    one = get("/notes/1")

    def at_app(name: str, text: str, otherwise: str = "") -> Step:
        return Step(name, APP, (text,), (otherwise,) if otherwise else ())

    listing = get("/notes", "Accept: application/json")
    yield at_app("list-first", listing)
    for time in ("first", "second"):
        yield at_app(f"get-{time}", one)
        yield at_app(f"head-{time}", message("HEAD", "/notes/1"), one)
        yield at_app(f"options-{time}", message("OPTIONS", "/notes/1"), one)
    yield at_app("list-safe", get("/notes", "Accept: application/json"))
    for time in ("first", "second"):
        yield at_app(f"post-{time}", note("POST", "/notes", '{"text": "milk"}'))
    yield at_app("list-posts", listing)
    for time in ("first", "second"):
        yield at_app(f"put-{time}", note("PUT", "/notes/1", '{"text": "bread"}'))
    yield at_app("list-puts", listing)
    yield at_app("put-new", note("PUT", "/notes/50", '{"text": "eggs"}'), one)
    yield at_app("patch", note("PATCH", "/notes/1", '{"title": "shopping"}'))
    yield at_app("get-patched", one)
    for time in ("first", "second"):
        yield at_app(f"delete-{time}", message("DELETE", "/notes/2"))
        yield at_app(f"get-deleted-{time}", get("/notes/2"))
    yield at_app("list-deletes", listing)
    traced = message("TRACE", "/index.html", "X-Trace: as it came")
    yield Step("trace", APACHE, (traced,), (get("/index.html"),))
    yield at_app("query", get(f"/notes?word=bread&password={SECRET}"), listing)
    posted = message("POST", "/form", FORM, body=f"text=butter&password={SECRET}")
    yield at_app("form", posted, message("POST", "/form", FORM, body="text=butter"))


def _causes() -> Iterator[Step]:
    """Each status by its cause, and then the same request without the cause."""
    for name, (port, cause, without) in CAUSES.items():
        yield Step(name, port, cause, without)
        yield Step(f"{name}-control", port, without)


def _bodies() -> Iterator[Step]:
    page = (get("/long.txt"),)
    yield Step("length", NGINX, page)
    yield Step("chunked", APP, (get("/stream"),), page)
    yield Step("closed", APP, (message("GET", "/stream", version="1.0"),), (get("/notes/1"),))
    for kind in ("application/json", "text/html", "image/png"):
        asked = (get("/notes", f"Accept: {kind}"),)
        yield Step(kind, APP, asked, (get("/notes"),))
    yield Step("gzip", NGINX, (get("/long.txt", "Accept-Encoding: gzip"),), page)
    for name, span in (("begin", f"0-{HALF_BYTES - 1}"), ("rest", f"{HALF_BYTES}-")):
        yield Step(f"range-{name}", NGINX, (get("/long.txt", f"Range: bytes={span}"),), page)


def _causes_of() -> dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]]:
    page = get("/index.html")
    short = '{"text": "short"}'
    posted = note("POST", "/app/notes", short)
    head, _, body = posted.partition("\r\n\r\n")
    expecting = (f"{head}\r\nExpect: 100-continue\r\n\r\n", body)
    old, new = (f'{{"text": "bread", "version": {version}}}' for version in (1, 4))
    unmeasured = "POST /notes HTTP/1.1\r\nHost: h2\r\nConnection: close\r\n\r\n"
    kept = get("/limited/index.html").replace("Connection: close\r\n", "")
    pairs: dict[str, tuple[int, Sent, Sent]] = {
        "100": (NGINX, expecting, (posted,)),
        "301": (APP, get("/old-notes"), get("/notes")),
        "302": (APP, get("/today"), get("/notes")),
        "303": (APP, message("POST", "/form", FORM, body="text=jam"), get("/notes")),
        "307": (APP, note("POST", "/inbox", short), note("POST", "/notes", short)),
        "308": (APP, note("POST", "/old-inbox", short), note("POST", "/notes", short)),
        "304": (
            APP,
            get("/notes/1", 'If-None-Match: "1-4"'),
            get("/notes/1", 'If-None-Match: "1-1"'),
        ),
        "400": (NGINX, message("GET", "/index.html", host=False), page),
        "401": (NGINX, get("/private/index.html"), get("/private/index.html", LOGIN)),
        "403": (NGINX, get("/secret/index.html", LOGIN), page),
        "404": (NGINX, get("/missing.html"), page),
        "405": (APP, message("DELETE", "/notes"), get("/notes")),
        "409": (APP, note("PUT", "/notes/1", old), note("PUT", "/notes/1", new)),
        "411": (APP, unmeasured, note("POST", "/notes", short)),
        "412": (
            NGINX,
            get("/index.html", 'If-Match: "another"'),
            get("/index.html", "If-Match: *"),
        ),
        "413": (NGINX, note("POST", "/app/notes", " " * (LIMIT_BYTES + 1)), posted),
        "414": (NGINX, get(f"/index.html?{'x' * LONGEST_URI_BYTES}"), page),
        "416": (
            NGINX,
            get("/long.txt", f"Range: bytes={PAGE_BYTES}-"),
            get("/long.txt", f"Range: bytes={PAGE_BYTES - 1}-"),
        ),
        "417": (APACHE, get("/index.html", "Expect: a-miracle"), page),
        "429": (NGINX, (kept, get("/limited/index.html")), page),
        "500": (APP, get("/divide?by=0"), get("/divide?by=3")),
        "502": (NGINX, get("/dead/"), get("/app/notes")),
        "503": (HAPROXY, get("/dead/"), get("/notes")),
        "504": (NGINX, get("/app/slow?s=10"), get("/app/slow?s=0")),
    }
    return {
        name: (port, _tuple(cause), _tuple(without))
        for name, (port, cause, without) in pairs.items()
    }


def _tuple(sent: Sent) -> tuple[str, ...]:
    return (sent,) if isinstance(sent, str) else sent


CAUSES = _causes_of()
"""Status → the server, a request that causes it, and the same one without the cause."""
