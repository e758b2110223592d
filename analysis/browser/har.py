"""HTTP Archive 1.2 (http://www.softwareishard.com/blog/har-12-spec/) of a page load."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from analysis.browser.requests import Request

_NOTHING = -1
"""HAR's value for a phase that was not needed, or a size that is not known."""


def archive(requests: Sequence[Request], state: Mapping[str, Any]) -> dict[str, Any]:
    """The archive as data, to be written as JSON.

    Args:
        requests: of one page load.
        state: what the page's script saw: ``title``, and performance ``entries``.
    """
    entries: list[dict[str, Any]] = state["entries"]
    timings = next((e for e in entries if e.get("entryType") == "navigation"), {})
    page = {
        "startedDateTime": _date(requests[0].epoch_s) if requests else _date(0.0),
        "id": "page_1",
        "title": state.get("title") or state.get("url", ""),
        "pageTimings": {
            "onContentLoad": timings.get("domContentLoadedEventEnd", _NOTHING),
            "onLoad": timings.get("loadEventEnd", _NOTHING),
        },
    }
    creator = {"name": "network-testbed", "version": "1"}
    sent = [_entry(request) for request in requests]
    return {"log": {"version": "1.2", "creator": creator, "pages": [page], "entries": sent}}


def _entry(request: Request) -> dict[str, Any]:
    phases = {name: ns / 1e6 for name, ns in request.phases_ns.items()}
    connect_ms = phases["connect"] + phases["tls"]
    timings = {
        "blocked": phases["blocked"] or _NOTHING,
        "dns": phases["dns"] or _NOTHING,
        "connect": connect_ms or _NOTHING,
        "ssl": phases["tls"] or _NOTHING,
        "send": phases["send"],
        "wait": phases["wait"],
        "receive": phases["receive"],
    }
    ended_ns = request.began_ns if request.ended_ns is None else request.ended_ns
    return {
        "pageref": "page_1",
        "startedDateTime": _date(request.epoch_s),
        "time": (ended_ns - request.began_ns) / 1e6,
        "request": {
            "method": request.method,
            "url": request.url,
            "httpVersion": request.protocol,
            "cookies": [],
            "headers": _headers(request.request_headers),
            "queryString": [
                {"name": n, "value": v} for n, v in parse_qsl(urlsplit(request.url).query)
            ],
            "headersSize": _NOTHING,
            "bodySize": _NOTHING,
        },
        "response": {
            "status": request.status,
            "statusText": request.status_text,
            "httpVersion": request.protocol,
            "cookies": [],
            "headers": _headers(request.response_headers),
            "content": {"size": request.body_bytes, "mimeType": request.mime_type},
            "redirectURL": _header(request.response_headers, "location"),
            "headersSize": _NOTHING,
            "bodySize": _NOTHING,
            "_transferSize": request.wire_bytes,
            "_error": request.error,
        },
        "cache": {},
        "timings": timings,
        "serverIPAddress": request.address,
        "connection": str(request.connection or ""),
        "_resourceType": request.type.lower(),
        "_initiator": {"type": request.initiator},
        "_fromCache": request.served_from if request.served_from in ("disk", "memory") else "",
    }


def _headers(headers: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers.items()]


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")


def _date(epoch_s: float) -> str:
    moment = datetime.datetime.fromtimestamp(epoch_s, datetime.UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
