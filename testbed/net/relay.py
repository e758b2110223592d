"""Relays from the switches' namespace to one TCP port of the machine, and to nothing else.

Open vSwitch runs in the network's own namespace, so it cannot reach a controller that listens on
the machine (127.0.0.1:6653, say). A relay listens inside under the controller's address and passes
bytes on to the machine's. Hosts of the network are in other namespaces and cannot use it; it ends
with the network or the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

_CONNECT_WITHIN_S = 5.0
_CHUNK_BYTES = 65_536


class Relay:
    """Relays all connections to a listening socket."""

    def __init__(self, listening: socket.socket, host: str, port: int) -> None:
        """Start relaying.

        Args:
            listening: bound and listening, of any network namespace; closed with the relay.
            host: where connections go, seen from the namespace of the calling thread.
            port: its TCP port.
        """
        self._listening, self._target = listening, (host, port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=f"relay-{port}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End all connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._listening.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(
            asyncio.start_server(self._serve, sock=self._listening, limit=_CHUNK_BYTES)
        )
        self._loop.run_forever()
        serving = asyncio.all_tasks(self._loop)
        for task in serving:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*serving, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; closed at once if nothing listens on the machine."""
        with contextlib.closing(writer):
            try:
                connecting = asyncio.open_connection(*self._target)
                far_reader, far_writer = await asyncio.wait_for(connecting, _CONNECT_WITHIN_S)
            except (TimeoutError, OSError):
                return
            with contextlib.closing(far_writer):
                ways = [(reader, far_writer), (far_reader, writer)]
                pumps = [asyncio.ensure_future(_pump(*way)) for way in ways]
                try:
                    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for pump in pumps:
                        pump.cancel()
                    await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(_CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
