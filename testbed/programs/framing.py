"""Messages in a byte stream: three ways to tell where one ends, and three readers that are wrong.

    framing.py serve PORT                  readers at PORT, PORT + 1, … in the order of `READERS`
    framing.py send ADDRESS PORT READER HOW

sends `MESSAGES` to a reader again and again, each time cut differently: HOW is ``cut`` (whole, at
every byte, at each single place, at random places), or ``uncut`` (a message at a time).
Prints one JSON object per line: the cuts of each connection; what each reader found, in how many
reads.
"""

import random
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from testbed.programs.telling import tell

Receive = Callable[[int], bytes]
"""``recv`` of a socket: what there is, at most so many bytes; nothing at the end of the stream."""

MESSAGES = ["", "a", "one two", "naïve", "\r"]
"""Among them an empty one, a letter of two bytes, and half of a delimiter."""

PREFIX_BYTES, BLOCK_BYTES, DELIMITER = 2, 8, b"\r\n"
_MOST_BYTES, _RANDOM_CUTS, _PAUSE_S = 4096, 5, 0.001


def by_length(receive: Receive) -> Iterator[bytes]:
    """Each message follows its length."""
    while head := exactly(receive, PREFIX_BYTES):
        yield exactly(receive, int.from_bytes(head, "big"))


def by_size(receive: Receive) -> Iterator[bytes]:
    """All messages have the same size, filled up with zeros."""
    while block := exactly(receive, BLOCK_BYTES):
        yield block.rstrip(b"\0")


def by_delimiter(receive: Receive) -> Iterator[bytes]:
    """A delimiter ends each message; the rest behind the last one waits for more."""
    rest = b""
    while data := receive(_MOST_BYTES):
        *whole, rest = (rest + data).split(DELIMITER)
        yield from whole


def exactly(receive: Receive, count: int) -> bytes:
    """`count` bytes, in as many reads as it takes; fewer only at the end of the stream."""
    data = b""
    while len(data) < count and (more := receive(count - len(data))):
        data += more
    return data


def naive_by_length(receive: Receive) -> Iterator[bytes]:
    """Wrong: takes each read for one message."""
    while data := receive(_MOST_BYTES):
        yield data[PREFIX_BYTES : PREFIX_BYTES + int.from_bytes(data[:PREFIX_BYTES], "big")]


def naive_by_size(receive: Receive) -> Iterator[bytes]:
    """Wrong: a read may return less than it was asked for."""
    while block := receive(BLOCK_BYTES):
        yield block.rstrip(b"\0")


def naive_by_delimiter(receive: Receive) -> Iterator[bytes]:
    """Wrong: looks for delimiters within each read alone."""
    while data := receive(_MOST_BYTES):
        yield from data.removesuffix(DELIMITER).split(DELIMITER)


READERS = {
    "length": by_length,
    "size": by_size,
    "delimiter": by_delimiter,
    "naive-length": naive_by_length,
    "naive-size": naive_by_size,
    "naive-delimiter": naive_by_delimiter,
}


def encoded(framing: str) -> list[bytes]:
    """The messages as their framing has them."""
    data = [message.encode() for message in MESSAGES]
    if framing == "length":
        return [len(d).to_bytes(PREFIX_BYTES, "big") + d for d in data]
    if framing == "size":
        return [d.ljust(BLOCK_BYTES, b"\0") for d in data]
    return [d + DELIMITER for d in data]


def all_cuts(length: int) -> list[list[int]]:
    """Ways to cut so many bytes, each as the places of the cuts."""
    chance = random.Random(1)
    places = range(1, length)
    counts = [chance.randint(2, length // 2) for _ in range(_RANDOM_CUTS)]
    several = [sorted(chance.sample(places, count)) for count in counts]
    return [[], list(places), *([place] for place in places), *several]


def main(words: list[str]) -> None:
    """Does what the first word says."""
    if words[0] == "serve":
        serve(int(words[1]))
    else:
        _, address, port, reader, how = words
        send((address, int(port) + list(READERS).index(reader)), reader, how)


def serve(first_port: int) -> None:
    """Reads one connection after another, until the program is ended."""
    doors = {socket.create_server(("", first_port + i)): name for i, name in enumerate(READERS)}
    tell(listening=True)
    while True:
        for door in select.select(doors, [], [])[0]:
            with door.accept()[0] as flow:
                read(flow, doors[door])


def read(flow: socket.socket, reader: str) -> None:
    """What a reader makes of a connection."""
    reads = []

    def receive(most_bytes: int) -> bytes:
        data = flow.recv(most_bytes)
        reads.append(len(data))
        return data

    found = [message.decode(errors="replace") for message in READERS[reader](receive)]
    tell(reader=reader, messages=found, reads=len(reads) - 1)


def send(target: tuple[str, int], reader: str, how: str) -> None:
    """The messages once for each way to cut them."""
    parts = encoded(reader.removeprefix("naive-"))
    stream = b"".join(parts)
    ends = [sum(len(part) for part in parts[: i + 1]) for i in range(len(parts) - 1)]
    for cuts in all_cuts(len(stream)) if how == "cut" else [ends]:
        with socket.create_connection(target) as flow:
            flow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
                flow.send(stream[begin:end])
                time.sleep(_PAUSE_S)
        tell(reader=reader, cuts=cuts)


if __name__ == "__main__":
    main(sys.argv[1:])
