"""The requests of a page load, from the events of Chromium's DevTools protocol.

Pure Python: the browser's driver uses this in a guest, where pandas would cost seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from testbed.core.errors import ParseError

Event = Mapping[str, Any]

PHASES = ("blocked", "dns", "connect", "tls", "send", "wait", "receive")
"""What a request's time is spent on, in this order; see `Request.phases_ns`."""

PAUSE_NS = 50_000_000
"""Three frames: nothing that a page does to itself takes longer here."""

_NS_PER_MS, _NS_PER_S = 10**6, 10**9


@dataclass
class Request:
    """One request; after a redirection the next one is another.

    Attributes:
        request: the browser's name for it; those of a chain of redirections share it.
        url, method: of the request.
        type: what for: ``Document``, ``Stylesheet``, ``Script``, ``Image`` …
        initiator: what made the browser ask: ``parser``, ``script``, ``preload``, ``other`` …
        priority: as the browser saw it.
        began_ns: when the browser wanted it; all times in ns of its monotonic clock.
        ended_ns: when the last byte had come; None: it never did.
        status: as received: 304 if the browser asked whether what it had was still good.
        protocol: ``http/1.1``, ``h2``, ``h3`` …; empty if nothing was sent.
        served_from: ``network``, ``disk`` or ``memory`` (the browser's caches), ``hsts`` (the
            browser redirected itself), or empty (no response).
        connection: number of the connection, as in the net-log; 0: none was used.
        reused: the connection had carried a request before.
        address, port: the server's.
        wire_bytes, body_bytes: of the response as received, and of its body when unpacked.
        early: 103 Early Hints made the browser ask for it.
        error: why there was no response.
        epoch_s: `began_ns` in seconds since 1970.
        timing: DevTools' own, in ms after ``requestTime``.
        request_headers, response_headers: as sent and received, if known.
    """

    request: str
    url: str
    method: str
    type: str
    initiator: str
    priority: str
    began_ns: int
    epoch_s: float
    ended_ns: int | None = None
    status: int = 0
    status_text: str = ""
    protocol: str = ""
    mime_type: str = ""
    served_from: str = ""
    connection: int = 0
    reused: bool = False
    address: str = ""
    port: int = 0
    wire_bytes: int = 0
    body_bytes: int = 0
    early: bool = False
    error: str = ""
    timing: Mapping[str, float] = field(default_factory=dict)
    request_headers: Mapping[str, str] = field(default_factory=dict)
    response_headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The name in the URL."""
        return urlsplit(self.url).hostname or ""

    @property
    def start_ns(self) -> int:
        """When the network began to work on it; the same as `began_ns` if it never did."""
        found = self.timing.get("requestTime")
        return self.began_ns if found is None else round(found * 1e6) * 1000

    @property
    def phases_ns(self) -> dict[str, int]:
        """How long each of `PHASES` took, in ns; 0: it was not needed. Together they are its time.

        blocked: waiting for a connection, or all of it if nothing was sent; connect: TCP alone;
        tls: the handshake of TLS; wait: from the last byte sent to the first byte received;
        receive: the rest, or all of it if one of the browser's caches had the response.
        """
        t, start_ns = self.timing, self.start_ns
        found = dict.fromkeys(PHASES, 0)
        if self.served_from != "network" or t.get("sendStart", -1) < 0:
            kept = self.served_from in ("disk", "memory")
            found["receive" if kept else "blocked"] = (
                self.ended_ns or self.began_ns
            ) - self.began_ns
            return found

        def between(first: str, second: str) -> int:
            known = t.get(first, -1) >= 0 and t.get(second, -1) >= 0
            return round((t[second] - t[first]) * _NS_PER_MS) if known else 0

        found["dns"] = between("dnsStart", "dnsEnd")
        found["tls"] = between("sslStart", "sslEnd")
        found["connect"] = between("connectStart", "connectEnd") - found["tls"]
        found["send"] = between("sendStart", "sendEnd")
        headers = "receiveHeadersStart" if t.get("receiveHeadersStart", -1) > 0 else None
        found["wait"] = between("sendEnd", headers or "receiveHeadersEnd")
        set_up_ns = found["dns"] + found["connect"] + found["tls"]
        before_ns = start_ns - self.began_ns + round(t["sendStart"] * _NS_PER_MS)
        found["blocked"] = max(0, before_ns - set_up_ns)
        if self.ended_ns is not None:
            left_ns = self.ended_ns - self.began_ns - sum(found.values())
            found["receive"] = max(0, left_ns)
        return found


def of_events(events: Iterable[Event]) -> list[Request]:
    """The requests in the order in which the browser wanted them."""
    found: list[Request] = []
    latest: dict[str, Request] = {}
    for event in events:
        told = event["params"]
        name = str(told.get("requestId", ""))
        if event["method"] == "Network.requestWillBeSent":
            if "redirectResponse" in told and name in latest:
                _answered(latest[name], told["redirectResponse"])
                latest[name].ended_ns = _ns(told["timestamp"])
            latest[name] = _new(told)
            found.append(latest[name])
        elif name in latest and event["method"] in _HEARD:
            _HEARD[event["method"]](latest[name], told)
    for request in found:
        if request.served_from != "network":  # what DevTools tells is of the response that was kept
            request.connection, request.reused = 0, False
    return found


def longest_pause_ns(found: Iterable[Request], loaded_ns: int | None = None) -> int:
    """The longest time in which no request was under way: between two, or before the load event.

    In about one visit of a hundred Chromium waits for a timer of its own: then this is more than
    `PAUSE_NS`, and the visit's times say nothing about the network.

    Args:
        found: the requests of one visit.
        loaded_ns: when the load event was, on the clock of `Request.began_ns`; what the browser
            wanted later does not count. None: there was none.
    """
    longest_ns, busy_until = 0, 0
    for request in sorted(found, key=lambda request: request.began_ns):
        if loaded_ns is not None and request.began_ns > loaded_ns:
            break
        if busy_until:
            longest_ns = max(longest_ns, request.began_ns - busy_until)
        busy_until = max(busy_until, request.ended_ns or request.began_ns)
    if busy_until and loaded_ns is not None:
        longest_ns = max(longest_ns, loaded_ns - busy_until)
    return longest_ns


def paused(events: Sequence[Event]) -> bool:
    """Whether the browser paused by itself in a visit that is recorded by these events."""
    fired = [event for event in events if event["method"] == "Page.loadEventFired"]
    loaded_ns = _ns(fired[0]["params"]["timestamp"]) if fired else None
    return longest_pause_ns(of_events(events), loaded_ns) > PAUSE_NS


def read(path: Path) -> list[Event]:
    """The events of a visit's ``events.jsonl``.

    Raises:
        ParseError: the file is missing or damaged; names it and the line.
    """
    found: list[Event] = []
    try:
        text = path.read_text(encoding="utf-8").removesuffix("\n")
    except OSError:
        raise ParseError(str(path), "file", "is missing; is this a complete run?") from None
    except UnicodeDecodeError as error:
        raise ParseError(str(path), "file", str(error)) from None
    lines = text.split("\n") if text else []  # `splitlines` also splits inside of JSON's strings
    for number, line in enumerate(lines, 1):
        try:
            event = json.loads(line)
            if not isinstance(event["method"], str) or not isinstance(event["params"], dict):
                raise TypeError("not an event of DevTools")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ParseError(str(path), f"line {number}", str(error)) from None
        found.append(event)
    return found


def _new(told: Mapping[str, Any]) -> Request:
    sent = told["request"]
    return Request(
        request=str(told["requestId"]),
        url=sent["url"],
        method=sent["method"],
        type=told.get("type", ""),
        initiator=told.get("initiator", {}).get("type", ""),
        priority=sent.get("initialPriority", ""),
        began_ns=_ns(told["timestamp"]),
        epoch_s=float(told["wallTime"]),
        request_headers=dict(sent.get("headers", {})),
    )


def _answered(request: Request, response: Mapping[str, Any]) -> None:
    request.status = request.status or int(response["status"])
    request.status_text = response.get("statusText", "")
    request.protocol = response.get("protocol", "")
    request.mime_type = response.get("mimeType", "")
    request.connection = int(response.get("connectionId", 0))
    request.reused = bool(response.get("connectionReused"))
    request.address = response.get("remoteIPAddress", "").strip("[]")
    request.port = int(response.get("remotePort", 0))
    request.timing = response.get("timing") or {}
    request.early = bool(response.get("fromEarlyHints"))
    request.wire_bytes = int(response.get("encodedDataLength", 0))
    request.response_headers = request.response_headers or dict(response.get("headers", {}))
    if response.get("headers", {}).get("Non-Authoritative-Reason") == "HSTS":
        request.served_from = "hsts"
    elif response.get("fromDiskCache"):
        request.served_from = "disk"
    request.served_from = request.served_from or "network"


def _response(request: Request, told: Mapping[str, Any]) -> None:
    request.type = told.get("type", request.type)
    _answered(request, told["response"])


def _as_sent(request: Request, told: Mapping[str, Any]) -> None:
    request.request_headers = dict(told.get("headers", {}))


def _as_received(request: Request, told: Mapping[str, Any]) -> None:
    request.status = int(told["statusCode"])
    request.response_headers = dict(told.get("headers", {}))


def _from_memory(request: Request, told: Mapping[str, Any]) -> None:
    request.served_from = "memory"


def _data(request: Request, told: Mapping[str, Any]) -> None:
    request.body_bytes += int(told["dataLength"])


def _finished(request: Request, told: Mapping[str, Any]) -> None:
    request.ended_ns = _ns(told["timestamp"])
    request.wire_bytes = int(told["encodedDataLength"])


def _failed(request: Request, told: Mapping[str, Any]) -> None:
    request.ended_ns = _ns(told["timestamp"])
    request.error = told.get("errorText", "") or "cancelled"


_HEARD = {
    "Network.responseReceived": _response,
    "Network.requestWillBeSentExtraInfo": _as_sent,
    "Network.responseReceivedExtraInfo": _as_received,
    "Network.requestServedFromCache": _from_memory,
    "Network.dataReceived": _data,
    "Network.loadingFinished": _finished,
    "Network.loadingFailed": _failed,
}


def _ns(seconds: float) -> int:
    """Chromium's clock counts microseconds."""
    return round(seconds * 1e6) * 1000
