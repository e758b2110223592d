"""An HTTP/3 client (RFC 9114) on aioquic that does one job after another.

    http3_client.py SOCKET ADDRESS NAME CA KEYS QLOG

It listens on the Unix socket and does what one line of JSON says per connection there; when that
is done, it answers with one line. It trusts the certificates of CA, speaks to ADDRESS as NAME,
appends its secrets to KEYS, and leaves one file per connection in QLOG. A job has

- ``paths``: lists of paths; each list is asked for at once, when the list before it has come
- ``priorities``: path → Priority field value of its request (RFC 9218), as ``u=1, i``
- ``port`` (443), ``http`` (False: closes without having asked for anything)
- ``resume`` (with the last ticket, and requests in 0-RTT)
- ``versions`` (the first one begins), ``window_bytes`` (of each stream)
- ``stay_s``: how long it stays connected afterwards, ``idle_s``: after how much silence it ends
- ``alt_svc`` (asks over TCP first, at that port, where HTTP/3 is; instead of ``port``)

A job with ``now`` acts on the connection that is open: ``new_id`` (the next packet has another
connection id), ``new_keys``, ``priorities`` (another one for each path). One JSON object per line
of output tells what came when.
"""

import asyncio
import contextlib
import http.client
import json
import re
import ssl
import sys
from typing import Any

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.append(__file__.rsplit("/", 3)[0])

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated
from aioquic.quic.logger import QuicFileLogger
from aioquic.tls import SessionTicket

from testbed.programs import http3_priorities
from testbed.programs.telling import tell

_LIMIT_S = 60.0
_ALT_SVC = re.compile(r'h3="([\w.]*):(\d+)"')

tickets: list[SessionTicket] = []


class Client(QuicConnectionProtocol):
    """One connection: requests, and what comes for them."""

    http: H3Connection | None = None

    def begin_http(self) -> H3Connection:
        """The connection's HTTP/3, which opens its control stream before all others of its kind."""
        if self.http is None:
            self.control = self._quic.get_next_available_stream_id(is_unidirectional=True)
            self.http = H3Connection(self._quic)
        return self.http

    def ask(self, host: str, paths: list[str], priorities: dict[str, str]) -> asyncio.Future[None]:
        """Asks for files at once; done when all have come."""
        http = self.begin_http()
        self.open: dict[int, str] = {}
        came: asyncio.Future[None] = self._loop.create_future()
        self.all_came = came
        for path in paths:
            stream = self._quic.get_next_available_stream_id()
            self.open[stream] = path
            fields = [(b":method", b"GET"), (b":scheme", b"https")]
            fields += [(b":authority", host.encode()), (b":path", path.encode())]
            fields += [(b"user-agent", b"testbed-http3"), (b"accept", b"*/*")]
            if path in priorities:
                fields.append((b"priority", priorities[path].encode()))
            http.send_headers(stream, fields, end_stream=True)
        self.transmit()
        return came

    def prioritise(self, priorities: dict[str, str]) -> None:
        """Other priorities for files that are on their way (RFC 9218 §7.2)."""
        for stream, path in self.open.items():
            if path in priorities:
                frame = http3_priorities.update(stream, priorities[path])
                self._quic.send_stream_data(self.control, frame)
        self.transmit()

    def quic_event_received(self, event: Any) -> None:
        """Headers and data of responses, as the library hands them over."""
        if isinstance(event, ProtocolNegotiated):  # the server's streams come with the handshake
            self.begin_http()
        if isinstance(event, ConnectionTerminated):
            tell(ended=event.error_code, reason=event.reason_phrase)
            self._end(ConnectionError(event.reason_phrase))
        for found in self.http.handle_event(event) if self.http is not None else ():
            if isinstance(found, HeadersReceived):
                status = dict(found.headers)[b":status"].decode()
                tell(stream=found.stream_id, path=self.open.get(found.stream_id), status=status)
            elif isinstance(found, DataReceived):
                tell(stream=found.stream_id, bytes=len(found.data), whole=found.stream_ended)
            if getattr(found, "stream_ended", False):
                self.open.pop(found.stream_id, None)
                if not self.open:
                    self._end(None)

    def _end(self, error: Exception | None) -> None:
        future = self.__dict__.get("all_came")
        if future is None or future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


class Jobs:
    """What the jobs have in common."""

    def __init__(self, address: str, name: str, ca: str, keys: str, qlog: str) -> None:
        self.address, self.name, self.ca, self.qlog = address, name, ca, qlog
        self.keys = open(keys, "a", buffering=1)  # noqa: PTH123, SIM115 (until the end)
        self.client: Client | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One job."""
        line = await reader.readline()
        if line:  # else somebody looked whether this program listens
            job = json.loads(line)
            done = "done"
            try:
                await asyncio.wait_for(self.do(job), _LIMIT_S)
            except (OSError, TimeoutError) as error:  # refused, or ended: the next job still comes
                done = type(error).__name__
                tell(error=done)
            writer.write(done.encode() + b"\n")
        writer.close()

    async def do(self, job: dict[str, Any]) -> None:
        """A connection from its start to its end, or something in the middle of one."""
        if "now" in job:
            self.act(job)
            return
        port = job.get("port", 443)
        if "alt_svc" in job:
            port = await asyncio.to_thread(self.ask_over_tcp, job["alt_svc"])
        early = bool(job.get("resume"))
        async with connect(
            self.address,
            port,
            configuration=self.configuration(job),
            create_protocol=Client,
            session_ticket_handler=tickets.append,
            wait_connected=not early,
        ) as client:
            assert isinstance(client, Client)
            self.client = client
            for paths in job["paths"]:
                await client.ask(self.name, paths, job.get("priorities", {}))
            await asyncio.sleep(job.get("stay_s", 0))

    def act(self, job: dict[str, Any]) -> None:
        """On the connection that is open."""
        if self.client is None:
            raise ConnectionError("no connection")
        if job["now"] == "new_id":
            self.client._quic.change_connection_id()  # tells nobody before the next packet
        elif job["now"] == "priorities":
            self.client.prioritise(job["priorities"])
        else:
            self.client.request_key_update()

    def configuration(self, job: dict[str, Any]) -> QuicConfiguration:
        """As the job says."""
        made = QuicConfiguration(
            is_client=True,
            alpn_protocols=["h3"],
            idle_timeout=job.get("idle_s", _LIMIT_S),
            server_name=self.name,
            quic_logger=QuicFileLogger(self.qlog),
            secrets_log_file=self.keys,
            session_ticket=tickets[-1] if job.get("resume") and tickets else None,
        )
        made.load_verify_locations(self.ca)
        if "versions" in job:
            made.supported_versions = job["versions"]
            made.original_version = job["versions"][0]
        made.max_stream_data = job.get("window_bytes", made.max_stream_data)
        return made

    def ask_over_tcp(self, port: int) -> int:
        """The port of HTTP/3 that a server on TCP names (RFC 7838 §3)."""
        context = ssl.create_default_context(cafile=self.ca)
        context.check_hostname = False  # addresses only, here
        context.keylog_filename = self.keys.name
        connection = http.client.HTTPSConnection(
            self.address, port, timeout=_LIMIT_S, context=context
        )
        with contextlib.closing(connection):
            connection.request("GET", "/", headers={"Host": self.name})
            response = connection.getresponse()
            response.read()
            found = _ALT_SVC.search(response.getheader("Alt-Svc") or "")
        tell(alt_svc=response.getheader("Alt-Svc"))
        if found is None:
            raise ConnectionError(f"no Alt-Svc with h3 from port {port}")
        return int(found[2])


async def main(arguments: list[str]) -> None:
    """Waits for jobs until it is ended."""
    socket, *rest = arguments
    jobs = Jobs(*rest)
    async with await asyncio.start_unix_server(jobs.serve, socket) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
