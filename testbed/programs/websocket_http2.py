"""Two WebSockets on one connection of HTTP/2 without TLS (RFC 8441), with Debian's `h2`.

    websocket_http2.py STEP HOST PORT PATH TEXT

Waits for the server's settings. If they allow it, opens two streams with an extended CONNECT, sends
TEXT on each as a masked frame, and ends both when the echoes have come. One JSON object per line
says that the step begins, and what came.
"""

import json
import secrets
import socket
import sys
import time

import h2.config
import h2.connection
import h2.events

_LIMIT_S = 10.0
_STREAMS = (1, 3)
_TEXT, _FINAL, _MASKED = 0x1, 0x80, 0x80


def main(words: list[str]) -> int:
    """One connection."""
    step, host, port, path, text = words
    tell(step=step)
    with socket.create_connection((host, int(port)), _LIMIT_S) as sock:
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        client = Client(sock, h2.connection.H2Connection(config), host, path, text)
        try:
            client.talk()
        except OSError as error:  # the server went away, or does not answer
            tell(error=type(error).__name__)
    return 0


class Client:
    """What it has sent, and what it waits for."""

    def __init__(
        self,
        sock: socket.socket,
        state: h2.connection.H2Connection,
        host: str,
        path: str,
        text: str,
    ) -> None:
        self.sock, self.state, self.host, self.path, self.text = sock, state, host, path, text
        self.opened, self.refused, self.echoed = False, False, 0

    def talk(self) -> None:
        """Until both echoes have come, or the server does not allow it."""
        self.state.initiate_connection()
        self._flush()
        while self.echoed < len(_STREAMS):
            if not (data := self.sock.recv(65536)):
                return
            for event in self.state.receive_data(data):
                self._react(event)
            self._flush()
            if self.refused:
                return
        self.state.close_connection()
        self._flush()

    def _react(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged):
            if not self.opened:
                self._open()
        elif isinstance(event, h2.events.ResponseReceived):
            tell(stream=event.stream_id, status=dict(event.headers).get(":status"))
            self.state.send_data(event.stream_id, self._frame())
        elif isinstance(event, h2.events.DataReceived):
            tell(stream=event.stream_id, octets=event.data.hex())
            self.state.end_stream(event.stream_id)
            self.echoed += 1
        elif isinstance(event, h2.events.StreamReset):
            tell(stream=event.stream_id, reset=int(event.error_code))
            self.echoed += 1

    def _open(self) -> None:
        """RFC 8441 §4–5: no key and no accept, since HTTP/2 cannot be mistaken."""
        allowed = self.state.remote_settings.enable_connect_protocol
        tell(enable_connect_protocol=int(allowed))
        if not allowed:
            self.refused = True
            return
        for stream in _STREAMS:
            pseudo = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http")]
            pseudo += [(":path", self.path), (":authority", self.host)]
            self.state.send_headers(stream, [*pseudo, ("sec-websocket-version", "13")])
        self.opened = True

    def _frame(self) -> bytes:
        """A text frame with a mask (RFC 6455 §5.3)."""
        key, octets = secrets.token_bytes(4), self.text.encode()
        masked = bytes(octet ^ key[place % 4] for place, octet in enumerate(octets))
        return bytes([_FINAL | _TEXT, _MASKED | len(octets)]) + key + masked

    def _flush(self) -> None:
        if data := self.state.data_to_send():
            self.sock.sendall(data)


def tell(**row: object) -> None:
    """One line of output, at once."""
    print(json.dumps({"time_ns": time.time_ns(), **row}), flush=True)  # noqa: T201 (its output)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
