"""A WebSocket server for experiments: Debian's `websockets`, versions 10 and 15.

    websocket_server.py [port=80] [guarded=0] [origins=a,b] [update_s=1] [flaws=a,b] [check]

``/echo`` sends each message back. ``/updates`` sends a number whenever the clock reaches a multiple
of ``update_s``: that multiple. ``/account`` says whose session the cookie is. The port ``guarded``
has the same, but only for pages of ``origins`` (RFC 6455 §10.2). `FLAWS` are mistakes that it makes
only when asked.
"""

import asyncio
import contextlib
import struct
import sys
import time
from http.cookies import SimpleCookie
from typing import Any

import websockets
from websockets import frames, utils

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from testbed.programs.settings import read

FLAWS = {
    "wrong-accept": "the accept value is made with another GUID",
    "masked": "the server masks its frames",
    "long-lengths": "lengths always take 64 bits",
    "odd-pongs": "a pong has other data than its ping",
    "no-close": "the connection ends without a close frame",
    "cut-echo": "a message comes back in pieces, each a message of its own",
    "lenient": "frames without a mask are accepted",
    "padded": "updates are filled up to 2,000 bytes",
    "asked": "an update is sent only when the client asks for it",
    "late": "an update is sent half of an interval late",
    "all-origins": "the guarded port lets all origins in",
}
SESSIONS = {"c0ffee": "alice"}
PADDED_BYTES = 2000

_CLOSE, _PONG = 8, 10

settings = {"port": "80", "guarded": "0", "origins": "", "update_s": "1", "flaws": ""}

flaws: set[str] = set()


async def handle(connection: Any, *_: Any) -> None:
    """One connection, by its path."""
    request = getattr(connection, "request", None)  # since version 13
    path = request.path if request else connection.path
    headers = request.headers if request else connection.request_headers
    with contextlib.suppress(websockets.ConnectionClosed):
        if path.startswith("/updates"):
            await send_updates(connection)
        elif path.startswith("/account"):
            await connection.send(whose(headers))
            await connection.wait_closed()
        else:
            await send_back(connection)


async def send_back(connection: Any) -> None:
    """Echoes messages."""
    async for message in connection:
        half = len(message) // 2
        for part in (message[:half], message[half:]) if "cut-echo" in flaws else (message,):
            await connection.send(part)


async def send_updates(connection: Any) -> None:
    """Sends each update when it happens, without being asked."""
    update_s = float(settings["update_s"])
    number = int(time.time() / update_s)
    while True:
        if "asked" in flaws:
            await connection.recv()
        number += 1
        late_s = update_s / 2 if "late" in flaws else 0
        await asyncio.sleep(number * update_s + late_s - time.time())
        padding = PADDED_BYTES if "padded" in flaws else 0
        await connection.send(str(number).ljust(padding))


def whose(headers: Any) -> str:
    """The user whose session the cookie is."""
    cookie: SimpleCookie = SimpleCookie(headers.get("Cookie", ""))
    session = cookie["session"].value if "session" in cookie else ""
    return f"logged in as {SESSIONS.get(session, 'nobody')}"


# ---- flaws: the library does not make them by itself


def break_library() -> None:
    """Changes what the library sends, and what it accepts."""
    if "wrong-accept" in flaws:
        utils.GUID = "00000000-0000-0000-0000-000000000000"
    if flaws & {"masked", "long-lengths", "odd-pongs", "no-close"}:
        _break_frames()
    if "lenient" in flaws:
        _accept_unmasked()


def _break_frames() -> None:
    right = frames.Frame.serialize

    def serialize(self: Any, *, mask: bool, extensions: Any = None) -> bytes:
        if self.opcode == _CLOSE and "no-close" in flaws:
            return b""
        if self.opcode == _PONG and "odd-pongs" in flaws:
            self.data = bytes(self.data)[::-1]
        octets = right(self, mask=mask or "masked" in flaws, extensions=extensions)
        return _with_long_length(octets) if "long-lengths" in flaws else octets

    frames.Frame.serialize = serialize


def _with_long_length(octets: bytes) -> bytes:
    """The same frame, without a mask, with its length in 64 bits."""
    begin = {126: 4, 127: 10}.get(octets[1] & 0x7F, 2)
    return octets[:1] + b"\x7f" + struct.pack("!Q", len(octets) - begin) + octets[begin:]


def _accept_unmasked() -> None:
    """Frames that come alone, are short and have no mask get one that changes nothing."""
    try:
        from websockets.asyncio.server import ServerConnection as kind
    except ImportError:  # before version 13
        from websockets.legacy.server import WebSocketServerProtocol as kind
    right = kind.data_received

    def data_received(self: Any, data: bytes) -> None:
        if data[:1] != b"G" and len(data) == 2 + data[1]:
            data = bytes([data[0], data[1] | 0x80, 0, 0, 0, 0]) + data[2:]
        right(self, data)

    kind.data_received = data_received


async def serve() -> None:
    """Listens until it is ended."""
    origins = [word for word in settings["origins"].split(",") if word]
    async with contextlib.AsyncExitStack() as stack:
        for name, allowed in (("port", None), ("guarded", origins)):
            if int(settings[name]):
                checked = None if "all-origins" in flaws else allowed
                options = {"origins": checked, "compression": None, "ping_interval": None}
                listening = websockets.serve(handle, "0.0.0.0", int(settings[name]), **options)
                await stack.enter_async_context(listening)
        await asyncio.Future()


def main(words: list[str]) -> None:
    """Reads the settings, then serves."""
    serving = read(words, settings, flaws, FLAWS)
    break_library()
    if serving:
        asyncio.run(serve())


if __name__ == "__main__":
    main(sys.argv[1:])
