"""The sockets around the three protocols; prints one JSON object at its end.

peer.py receive PROTOCOL PORT OPTIONS         prints {"ready": true}, then what was delivered
peer.py send PROTOCOL HOST PORT OPTIONS       sends numbered pieces of data until all have arrived
    --pieces N --size-bytes N                 how many, and how long each is
    --window N --timeout-s T                  of the protocol, in pieces and seconds
    --seconds T                               gives up after that long
    --swap N                                  swaps two words of every N-th piece, the first time
    --no-crc                                  takes damaged datagrams, too
    --trusting                                delivers whatever comes, as it comes
    --forgetful                               the sender ignores every second acknowledgement

The sender's socket holds one datagram: it can write again when the interface has taken that one, so
that nothing waits behind the protocol's back.
"""

import hashlib
import select
import socket
import struct
import sys
import time

from testbed.programs.telling import tell

from . import go_back_n, selective_repeat, stop_and_wait, wire

PROTOCOLS = {
    "stop_and_wait": stop_and_wait,
    "go_back_n": go_back_n,
    "selective_repeat": selective_repeat,
}
_LARGEST_BYTES = 65_536
_SNDBUF_BYTES, _RCVBUF_BYTES = 1, 4 << 20
_LINGER_S = 1.0
"""How long the receiver repeats acknowledgements after the end: the last one may be lost."""

_PATTERN = b"".join(struct.pack("!H", 7919 * n % 65_521) for n in range(2048))
_FLAGS = ("--no-crc", "--trusting", "--forgetful")


def main(words: list[str]) -> None:
    """Does what the first word says."""
    what, protocol, *rest = words
    options = {"--window": 1.0, "--swap": 0.0}
    place = []
    while rest:
        word = rest.pop(0)
        if word in _FLAGS:
            options[word] = 1.0
        elif word.startswith("--"):
            options[word] = float(rest.pop(0))
        else:
            place.append(word)
    if what == "receive":
        receive(protocol, int(place[0]), options)
    else:
        send(protocol, (place[0], int(place[1])), options)


def pieces(count: int, size_bytes: int) -> list[bytes]:
    """Data in which each piece begins with its number, and words differ from their neighbours."""
    return [
        (struct.pack("!I", n) + _PATTERN[2 * (n % 512) :])[:size_bytes].ljust(size_bytes, b"\0")
        for n in range(count)
    ]


def swapped(datagram: bytes) -> bytes:
    """The datagram with two 16-bit words of its data exchanged, as a failing memory would."""
    at = wire.HEADER_BYTES + 8
    return datagram[:at] + datagram[at + 2 : at + 4] + datagram[at : at + 2] + datagram[at + 4 :]


def send(protocol: str, target: tuple[str, int], options: dict[str, float]) -> None:
    """Sends everything, and tells how often; or gives up."""
    data = pieces(int(options["--pieces"]), int(options["--size-bytes"]))
    sender = PROTOCOLS[protocol].Sender(data, options["--timeout-s"], int(options["--window"]))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SNDBUF_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RCVBUF_BYTES)
    sock.connect(target)
    sock.setblocking(False)
    began_s, sent, heard = time.monotonic(), 0, 0
    known: set[int] = set()
    end_s = began_s + options["--seconds"]
    free = True  # the interface has taken the last datagram
    while not sender.done and (now_s := time.monotonic()) < end_s:
        if free and (datagram := sender.next_datagram(now_s)):
            number = wire.number_of(datagram)
            bad = options["--swap"] and number not in known and not (number + 1) % options["--swap"]
            sock.send(swapped(datagram) if bad else datagram)
            known.add(number)
            sent, free = sent + 1, False
            continue
        until_s = max(0.0, min(sender.timer_s or end_s, end_s) - now_s) if free else None
        came, left, _ = select.select([sock], [] if free else [sock], [], until_s)
        free = free or bool(left)
        if came and (frame := _acknowledgement(sock, check="--no-crc" not in options)):
            heard += 1
            if heard % 2 or "--forgetful" not in options:
                sender.receive(frame)
    tell(
        protocol=protocol,
        done=sender.done,
        pieces=len(data),
        sent=sent,
        seconds=time.monotonic() - began_s,
        digest=hashlib.sha256(b"".join(data)).hexdigest(),
    )


def _acknowledgement(sock: socket.socket, *, check: bool) -> wire.Frame | None:
    """The acknowledgement that has come; None if it is something else, or damaged."""
    try:
        frame = wire.unpack(sock.recv(_LARGEST_BYTES), check=check)
    except ConnectionRefusedError:  # the receiver has already ended
        return None
    return frame if frame and frame.kind == wire.ACK else None


class Trusting:
    """No protocol at all: what comes is delivered."""

    def receive(self, frame: wire.Frame) -> tuple[list[wire.Frame], bytes]:
        """As for the receivers of the protocols."""
        return [frame], wire.pack(wire.ACK, frame.number)


def receive(protocol: str, port: int, options: dict[str, float]) -> None:
    """Receives until the last piece was delivered, and tells what was."""
    receiver = PROTOCOLS[protocol].Receiver(int(options["--window"]))
    if "--trusting" in options:
        receiver = Trusting()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RCVBUF_BYTES)
    sock.bind(("", port))
    tell(ready=True)
    sock.settimeout(options["--seconds"])
    got: list[wire.Frame] = []
    refused = 0
    while True:
        try:
            datagram, source = sock.recvfrom(_LARGEST_BYTES)
        except TimeoutError:
            break
        frame = wire.unpack(datagram, check="--no-crc" not in options)
        if frame is None or frame.kind == wire.ACK:
            refused += 1
            continue
        delivered, acknowledgement = receiver.receive(frame)
        got += delivered
        if acknowledgement:
            sock.sendto(acknowledgement, source)
        if any(frame.kind == wire.LAST for frame in delivered):
            sock.settimeout(_LINGER_S)
    data = b"".join(frame.data for frame in got)
    tell(
        protocol=protocol,
        numbers=[struct.unpack_from("!I", frame.data)[0] for frame in got],
        refused=refused,
        digest=hashlib.sha256(data).hexdigest(),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
