"""An HTTP/3 server (RFC 9114) on aioquic: files of a folder.

    http3_server.py doors=JSON [root=/srv] [idle_s=60] [keys=FILE] [qlog=FOLDER] [flaws=a,b] [check]

``doors`` is a list: each door has an ``address``, a ``port``, files ``certificate`` (a chain) and
``key``, and ``retry``: whether clients must prove their address first (RFC 9000 §8.1.2). If the
root has a folder named like a host, the host's files are there. All files that are asked for go
out at once, their streams side by side, or by the priorities that clients give them (RFC 9218).
The secrets of all connections are appended to ``keys``; ``qlog`` gets one file per connection when
it ends. `FLAWS` are mistakes that it makes only when asked.
"""

import asyncio
import contextlib
import json
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.append(__file__.rsplit("/", 3)[0])

from aioquic.asyncio import server
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3 import connection as h3
from aioquic.h3.events import HeadersReceived
from aioquic.quic import connection as quic
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import stream_is_unidirectional
from aioquic.quic.events import ProtocolNegotiated, StreamDataReceived
from aioquic.quic.logger import QuicFileLogger
from aioquic.tls import SessionTicket

from testbed.programs import http3_priorities
from testbed.programs.media_types import TYPES
from testbed.programs.settings import read, refuse
from testbed.programs.telling import tell

FLAWS = {
    "amplify": "sends as much as it likes to addresses that are not proven",
    "no-table": "has no room for a dynamic table of header fields",
    "one-address": "ignores datagrams from another address than the first",
    "no-priorities": "ignores what clients say of priorities",
}
INDEX = "index.html"
_MUCH_BYTES = 1 << 20

settings = {
    "doors": "[]",
    "root": "/srv",
    "idle_s": "60",
    "keys": "",
    "qlog": "",
    "flaws": "",
}

flaws: set[str] = set()


def file_of(authority: str, target: str) -> Path | None:
    """The file that a request asks for; a folder's is its index. None: there is none."""
    root = Path(settings["root"]).resolve()
    with contextlib.suppress(OSError, ValueError):  # no file can have such a name
        host = (root / authority.partition(":")[0]).resolve()
        folder = host if host.parent == root and host.is_dir() else root
        file = folder / unquote(urlsplit(target).path).lstrip("/")
        file = (file / INDEX if file.is_dir() else file).resolve()
        return file if file.is_file() and file.is_relative_to(folder) else None
    return None


class Server(QuicConnectionProtocol):
    """One connection: answers GET with files."""

    _quic: http3_priorities.Connection
    http: h3.H3Connection | None = None

    def quic_event_received(self, event: Any) -> None:
        """Requests, once the handshake has agreed on HTTP/3."""
        if isinstance(event, ProtocolNegotiated):
            self.http = h3.H3Connection(self._quic)
        if isinstance(event, StreamDataReceived) and stream_is_unidirectional(event.stream_id):
            self.listen_for_updates(event.stream_id, event.data)
        if self.http is not None:
            for found in self.http.handle_event(event):
                if isinstance(found, HeadersReceived):
                    self.answer(found.stream_id, dict(found.headers))

    def answer(self, stream: int, headers: dict[bytes, bytes]) -> None:
        """A file below the root folder."""
        assert self.http is not None
        file = file_of(
            *(headers[name].decode("utf-8", "replace") for name in (b":authority", b":path"))
        )
        found = file is not None and headers[b":method"] == b"GET"
        tell(file=file.name if file else "", stream=stream, found=found)
        if b"priority" in headers:
            self.prioritise(stream, headers[b"priority"].decode("ascii", "replace"))
        body = file.read_bytes() if file and found else b""
        fields = [(b":status", b"200" if found else b"404"), (b"server", b"testbed")]
        if file and (kind := TYPES.get(file.suffix)):
            fields.append((b"content-type", kind.encode()))
        fields.append((b"content-length", str(len(body)).encode()))
        self.http.send_headers(stream, fields, end_stream=not body)
        if body:
            self.http.send_data(stream, body, end_stream=True)

    def listen_for_updates(self, stream: int, data: bytes) -> None:
        """PRIORITY_UPDATE frames, on the client's control stream."""
        said = self.__dict__.setdefault("said", {})
        said[stream] = (said.get(stream, b"") + data)[: http3_priorities.MOST_BYTES]
        for request, field in http3_priorities.updates(said[stream]).items():
            self.prioritise(request, field)

    def prioritise(self, stream: int, field: str) -> None:
        """From now on the stream is served as a Priority field value says."""
        if "no-priorities" not in flaws:
            self._quic.ranks[stream] = http3_priorities.rank(stream, field)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """From whatever address, unless there is a flaw."""
        if "one-address" in flaws and addr != self.__dict__.setdefault("first", addr):
            return
        super().datagram_received(data, addr)


def break_library() -> None:
    """Changes what the library sends, and what it accepts."""
    if "amplify" in flaws:
        right = quic.QuicNetworkPath.__init__

        def trusting(self: Any, *given: Any, **named: Any) -> None:
            right(self, *given, **named)
            self.bytes_received = _MUCH_BYTES  # of which it may send back three times as much

        quic.QuicNetworkPath.__init__ = trusting
    if "no-table" in flaws:
        say = h3.encode_settings
        none = {h3.Setting.QPACK_MAX_TABLE_CAPACITY: 0, h3.Setting.QPACK_BLOCKED_STREAMS: 0}
        h3.encode_settings = lambda settings: say(settings | none)


class Door(NamedTuple):
    """Where it listens, and how."""

    address: str
    port: int
    retry: bool
    configuration: QuicConfiguration


def doors() -> Iterator[Door]:
    """The doors; at a mistake the program ends with code 2."""
    try:
        for door in json.loads(settings["doors"]):
            configuration = QuicConfiguration(
                is_client=False, alpn_protocols=["h3"], idle_timeout=float(settings["idle_s"])
            )
            configuration.load_cert_chain(door["certificate"], door["key"])
            address, port = str(door["address"]), int(door["port"])
            yield Door(address, port, bool(door["retry"]), configuration)
    except KeyError as error:
        refuse(f"doors: one has no {error}")
    except (OSError, ssl.SSLError, TypeError, ValueError) as error:
        refuse(f"doors, idle_s: {error}")


async def listen() -> None:
    """Serves until it is ended."""
    logs = open(settings["keys"], "a", buffering=1) if settings["keys"] else None  # noqa: PTH123, SIM115
    tickets: dict[bytes, SessionTicket] = {}
    for door in doors():
        qlog = QuicFileLogger(settings["qlog"]) if settings["qlog"] else None
        door.configuration.quic_logger, door.configuration.secrets_log_file = qlog, logs
        await server.serve(
            door.address,
            door.port,
            configuration=door.configuration,
            create_protocol=Server,
            retry=door.retry,
            session_ticket_fetcher=lambda label: tickets.pop(label, None),
            session_ticket_handler=lambda ticket: tickets.update({ticket.ticket: ticket}),
        )
    await asyncio.Future()


def main(words: list[str]) -> None:
    """Reads the settings, then serves."""
    if not read(words, settings, flaws, FLAWS):
        list(doors())
        return
    server.QuicConnection = http3_priorities.Connection
    break_library()
    asyncio.run(listen())


if __name__ == "__main__":
    main(sys.argv[1:])
