"""A client that hears of updates in four ways, and speaks WebSocket as its steps say.

    websocket_client.py FILE

FILE holds a JSON list of steps, done one after another. One JSON object per line says when a step
began, and what came. A step has a ``url``, and

- ``do``, a list of lists, for WebSocket: ``["send", text]``, ``["bytes", count]``,
  ``["parts", [text, …]]`` (one message in several frames, a ping after the first),
  ``["ping", text]``, ``["raw", hexadecimal]`` (past the library), ``["receive", count]``,
  ``["receive", count, seconds]``, ``["close", code, reason]``; with ``origin``, ``cookie``, ``ca``
  (a file with the certificate to trust); ``times``: that many connections
- ``polls`` (how many) and ``every_s`` for short polling, ``every_s`` 0 for long polling
- ``events`` (how many) for server-sent events
"""

import asyncio
import contextlib
import http.client
import inspect
import json
import ssl
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import websockets

_LIMIT_S = 20.0
_PAUSE_S = 0.5
_PONG_S = 2.0


def main(arguments: list[str]) -> None:
    """Does all steps of the file, one after another."""
    for step in json.loads(Path(arguments[0]).read_text(encoding="utf-8")):
        time.sleep(_PAUSE_S)
        if "update_s" in step:
            _reach_a_multiple(step["update_s"])
        tell(step=step["step"])
        try:
            do(step)
        except (OSError, TimeoutError, websockets.WebSocketException) as error:
            tell(error=type(error).__name__)  # refused, or ended: the next step still comes


def _reach_a_multiple(update_s: float) -> None:
    """Half of an interval before an update, so that all ways begin alike."""
    now_s = time.time()
    time.sleep((int(now_s / update_s) + 1.5) * update_s - now_s)


def do(step: dict[str, Any]) -> None:
    """One step."""
    if "polls" in step:
        poll(step)
    elif "events" in step:
        listen(step)
    else:
        for _ in range(step.get("times", 1)):
            asyncio.run(talk(step))


def tell(**row: object) -> None:
    """One line of output, at once."""
    print(json.dumps({"time_ns": time.time_ns(), **row}), flush=True)  # noqa: T201 (its output)


# ---- over HTTP


def poll(step: dict[str, Any]) -> None:
    """Asks for news, again and again, on one connection."""
    url = urlsplit(step["url"])
    connection = http.client.HTTPConnection(url.netloc, timeout=_LIMIT_S)
    begin_s, last = time.time(), int(time.time() / step["update_s"])
    for number in range(step["polls"]):
        time.sleep(max(0.0, begin_s + number * step["every_s"] - time.time()))
        connection.request("GET", f"{url.path}?after={last}")
        news = connection.getresponse().read().split()
        last = int(news[-1]) if news else last
    connection.close()


def listen(step: dict[str, Any]) -> None:
    """Reads events from one response that goes on (EventSource in a browser)."""
    url = urlsplit(step["url"])
    connection = http.client.HTTPConnection(url.netloc, timeout=_LIMIT_S)
    connection.request("GET", url.path, headers={"Accept": "text/event-stream"})
    response, seen = connection.getresponse(), 0
    while seen < step["events"] and (line := response.readline()):
        seen += line.startswith(b"data:")
    response.close()
    connection.close()


# ---- over WebSocket


async def talk(step: dict[str, Any]) -> None:
    """One WebSocket connection; its messages are checked by nobody here."""
    options: dict[str, Any] = {"compression": None, "ping_interval": None}
    options |= {"open_timeout": _LIMIT_S, "close_timeout": _LIMIT_S}
    if "origin" in step:
        options["origin"] = step["origin"]
    if "cookie" in step:
        options[_headers_option()] = {"Cookie": step["cookie"]}
    if "ca" in step:
        options["ssl"] = ssl.create_default_context(cafile=step["ca"])
        options["ssl"].check_hostname = False  # addresses only, here
    connection = await websockets.connect(step["url"], **options)
    tell(open=True)
    for verb, *given in step["do"]:
        await _act(connection, verb, given)
    await connection.close()


def _headers_option() -> str:
    """Version 13 has another name for it."""
    known = inspect.signature(websockets.connect.__init__).parameters
    return "additional_headers" if "additional_headers" in known else "extra_headers"


async def _act(connection: Any, verb: str, given: list[Any]) -> None:
    if verb == "send":
        await connection.send(given[0])
    elif verb == "bytes":
        await connection.send(bytes(i % 256 for i in range(given[0])))
    elif verb == "parts":
        await connection.send(_parts(connection, given[0]))
    elif verb == "ping":
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(await connection.ping(given[0]), _PONG_S)
    elif verb == "raw":
        connection.transport.write(bytes.fromhex(given[0]))
    elif verb == "receive":
        limit_s = given[1] if len(given) > 1 else _LIMIT_S
        for _ in range(given[0]):
            message = await asyncio.wait_for(connection.recv(), limit_s)
            tell(message=message[:80] if isinstance(message, str) else len(message))
    elif verb == "close":
        await connection.close(*given)


async def _parts(connection: Any, texts: list[str]) -> AsyncIterator[str]:
    """Fragments of a message, and a ping between them (RFC 6455 §5.4)."""
    for number, text in enumerate(texts):
        yield text
        if number == 0:
            await connection.ping("between")


if __name__ == "__main__":
    main(sys.argv[1:])
