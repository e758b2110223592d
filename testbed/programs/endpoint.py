"""TCP and UDP end points that follow a script, and report what their sockets report.

    endpoint.py listen '{"tcp:5001": SCRIPT, "udp:5002": SCRIPT}'    one after another, in any order
    endpoint.py connect tcp:ADDRESS:PORT SCRIPT

A script is a JSON list of operations:

    ["option", NAME, VALUE]          one of `OPTIONS`; leading ones are set before the handshake
    ["write", BYTES]                 one write; the bytes follow a pattern through the connection
    ["read", BYTES]                  reads until so many have come
    ["receive", BYTES, PAUSE_S, N]   N reads (0: until the end) of at most BYTES, a pause after each
    ["echo"]                         returns what comes, until the end
    ["type", COUNT, GAP_S]           writes a byte at a time, and reads what comes meanwhile
    ["finish"]                       says that no more is written, and reads until the end
    ["sleep", S], ["repeat", COUNT, SCRIPT]
    ["info"]                         what the kernel knows of the connection (TCP_INFO)

Prints one JSON object per line: {"listening": true}, then each operation as it ends, with
``time_ns``; and at the end what was read and written, with a checksum of each.
"""

import json
import os
import select
import socket
import struct
import sys
import time
import zlib

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from testbed.programs.telling import tell

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
OPTIONS = {
    "nodelay": (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    "cork": (socket.IPPROTO_TCP, socket.TCP_CORK),
    "receive_buffer_bytes": (socket.SOL_SOCKET, socket.SO_RCVBUF),
    "send_buffer_bytes": (socket.SOL_SOCKET, socket.SO_SNDBUF),
}
INFO = {  # of struct tcp_info (linux/tcp.h): offset and format
    "rto_us": (8, "=I"),
    "srtt_us": (68, "=I"),
    "rttvar_us": (72, "=I"),
    "ssthresh_segments": (76, "=I"),
    "cwnd_segments": (80, "=I"),
    "retransmitted_segments": (100, "=I"),
    "busy_us": (168, "=Q"),
    "window_limited_us": (176, "=Q"),
    "reported_duplicates": (216, "=I"),
}
_INFO_BYTES, _ALL_BYTES, _LARGEST_BYTES = 256, 1 << 20, 1 << 16
_PATTERN = bytes(range(251)) * (_ALL_BYTES // 251 + 2)


def main(words: list[str]) -> None:
    """Does what the first word says."""
    if words[0] == "listen":
        listen(json.loads(words[1]))
    else:
        kind, address, port = words[1].split(":")
        script = json.loads(words[2])
        sock = socket.socket(socket.AF_INET, KINDS[kind])
        set_early(sock, script)
        try:
            sock.connect((address, int(port)))
            tell(op="connected")
            End(sock).play(script)
        except OSError as error:
            tell(op="error", error=name_of(error))


def listen(scripts: dict[str, list]) -> None:  # type: ignore[type-arg]
    """Plays a port's script with each connection to it, until the program is ended."""
    doors = {}
    for door, script in scripts.items():
        kind, port = door.split(":")
        sock = socket.socket(socket.AF_INET, KINDS[kind])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        set_early(sock, script)
        sock.bind(("", int(port)))
        if kind == "tcp":
            sock.listen()
        doors[sock] = script
    tell(listening=True)
    while True:
        for sock in select.select(doors, [], [])[0]:
            is_flow = sock.type == socket.SOCK_STREAM
            flow = sock.accept()[0] if is_flow else sock
            try:
                End(flow).play(doors[sock])
            except OSError as error:
                tell(op="error", error=name_of(error))
            if is_flow:
                flow.close()


def set_early(sock: socket.socket, script: list) -> None:  # type: ignore[type-arg]
    """The options at a script's beginning; the window of a handshake depends on them."""
    for word, *values in script:
        if word != "option":
            return
        sock.setsockopt(*OPTIONS[values[0]], values[1])


def name_of(error: OSError) -> str:
    """``ETIMEDOUT`` and the like."""
    import errno

    return errno.errorcode.get(error.errno or 0, str(error))


class End:
    """One end of a connection, and what it has read and written."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.port = sock, sock.getsockname()[1]
        self.written = self.got = self.written_sum = self.got_sum = 0
        self.ended = False

    def play(self, script: list) -> None:  # type: ignore[type-arg]
        """Performs a script, and reports the sums."""
        try:
            self.perform(script)
        finally:
            sums = {"written_crc32": self.written_sum, "got_crc32": self.got_sum}
            self.tell("end", written_bytes=self.written, got_bytes=self.got, **sums)

    def perform(self, script: list) -> None:  # type: ignore[type-arg]
        """The operations in order."""
        for word, *values in script:
            getattr(self, f"do_{word}")(*values)

    def tell(self, op: str, **row: object) -> None:
        """One line of output."""
        tell(op=op, port=self.port, **row)

    def take(self, most_bytes: int) -> bytes:
        """One read; empty at the end."""
        data = self.sock.recv(most_bytes)
        self.ended = not data
        self.got, self.got_sum = self.got + len(data), zlib.crc32(data, self.got_sum)
        if data:
            self.tell("read", bytes=len(data))
        return data

    def do_option(self, name: str, value: int) -> None:
        """Sets a socket option."""
        self.sock.setsockopt(*OPTIONS[name], value)

    def do_write(self, count: int) -> None:
        """One write; blocks while the buffer is full."""
        begin = self.written % 251
        self.tell("write", bytes=count)
        for first in range(0, count, _ALL_BYTES):
            size = min(_ALL_BYTES, count - first)
            at = (begin + first) % 251
            self.put(_PATTERN[at : at + size])

    def put(self, data: bytes) -> None:
        """Hands over all of `data`."""
        self.sock.sendall(data)
        self.written, self.written_sum = (
            self.written + len(data),
            zlib.crc32(data, self.written_sum),
        )

    def do_read(self, count: int) -> None:
        """Reads until `count` bytes have come, or the end."""
        left = count
        while left and not self.ended:
            left -= len(self.take(left))

    def do_receive(self, most_bytes: int, pause_s: float = 0.0, calls: int = 0) -> None:
        """Reads as a program does that takes what there is."""
        number = 0
        while self.take(most_bytes):
            number += 1
            if number == calls:
                return
            time.sleep(pause_s)

    def do_echo(self) -> None:
        """Returns what comes."""
        while data := self.take(_LARGEST_BYTES):
            self.put(data)

    def do_type(self, count: int, gap_s: float) -> None:
        """Writes bytes at even times, and reads until all have come back."""
        next_s, left = time.monotonic(), count
        while self.got < count and not self.ended:
            if left and time.monotonic() >= next_s:
                self.do_write(1)
                next_s, left = next_s + gap_s, left - 1
            wait_s = max(0.0, next_s - time.monotonic()) if left else None
            if select.select([self.sock], [], [], wait_s)[0]:
                self.take(_LARGEST_BYTES)

    def do_finish(self) -> None:
        """Half-closes the connection, and waits until the other end has read all and closed."""
        self.sock.shutdown(socket.SHUT_WR)
        while self.take(_LARGEST_BYTES):
            pass

    def do_sleep(self, seconds: float) -> None:
        """Does nothing for some time."""
        time.sleep(seconds)

    def do_repeat(self, count: int, script: list) -> None:  # type: ignore[type-arg]
        """The same again and again."""
        for _ in range(count):
            self.perform(script)

    def do_info(self) -> None:
        """Reports the kernel's numbers of the connection."""
        data = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
        found = {
            name: struct.unpack_from(form, data, at)[0]
            for name, (at, form) in INFO.items()
            if at + struct.calcsize(form) <= len(data)
        }
        self.tell("info", **found)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        os._exit(0)
