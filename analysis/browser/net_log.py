"""Chromium's net-log (https://www.chromium.org/developers/design-documents/network-stack/netlog/)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from testbed.core.errors import ParseError

_ENDED = 2
"""Phase of an event that ends what an earlier one began."""


def local_ports(path: Path) -> dict[int, int]:
    """Number of a TCP connection → its port at the browser's end.

    DevTools counts connections by the same numbers. A log that its browser did not finish is read
    up to its last whole line.

    Raises:
        ParseError: the file is missing or damaged; says where.
    """
    data = _read(path)
    try:
        wanted = data["constants"]["logEventTypes"]["TCP_CONNECT"]
        found = {}
        for event in data["events"]:
            told = event.get("params") or {}
            if event["type"] == wanted and event["phase"] == _ENDED and "local_address" in told:
                found[int(event["source"]["id"])] = int(told["local_address"].rpartition(":")[2])
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ParseError(str(path), "events", f"not as Chromium writes them: {error!r}") from None
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise ParseError(str(path), "file", "is missing; was the browser closed?") from None
    except UnicodeDecodeError as error:
        raise ParseError(str(path), "file", str(error)) from None
    for end in ("", "]}"):
        try:
            data = json.loads(text.rpartition("\n")[0].rstrip(",\n") + end if end else text)
        except json.JSONDecodeError as error:
            line = error.lineno
            continue
        except RecursionError as error:
            raise ParseError(str(path), "file", str(error)) from None
        if isinstance(data, dict):
            return data
        line = 1
    raise ParseError(str(path), f"line {line}", "is not a net-log")
