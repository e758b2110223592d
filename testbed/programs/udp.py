"""UDP end points that report what the socket reports; one JSON object per line.

udp.py receive PORT[/BUFFER_BYTES][,OPTION]...  prints {"ready": true}, then each datagram received
    echo          sends each datagram back
    peek          asks for each datagram's length before reading it
    rcvbuf=N      the socket's receive buffer in bytes
    tidy          waits for silence, then reports different datagrams only, sorted by their data
    no-checksum6  takes IPv6 datagrams without a checksum, too (RFC 6936)
udp.py send [OPTIONS] HOST PORT SIZE_BYTES...   prints the result of each size's last call
    --count N     datagrams of each size
    --ports N     to this many ports, starting with the given one
    --gap-ms T    pause after each datagram
    --from N      source port
    --reply-s T   waits up to that long for a reply to each size's last datagram
    --sndbuf N    the socket's send buffer in bytes
    --connect     connects the socket first
    --df          sets "don't fragment"
    --no-checksum sends without a checksum
    --numbered    each datagram begins with its number (4 bytes), from 0
"""

import os
import socket
import sys
import time

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from testbed.programs.telling import tell

_IP_MTU_DISCOVER, _PMTUDISC_DO, _PMTUDISC_DONT = 10, 2, 0
_SO_NO_CHECK, _UDP_NO_CHECK6_RX = 11, 102
_EVERYTHING_BYTES = 65_536
_HEAD_BYTES = 16
_SILENCE_S = 0.25
_FLAGS = ("--df", "--connect", "--no-checksum", "--numbered")


def main(arguments: list[str]) -> None:
    """Does what the first word says."""
    word, rest = arguments[0], arguments[1:]
    if word == "receive":
        receive(rest)
    else:
        send(rest)


def receive(words: list[str]) -> None:
    """Receives at all ports, from IPv4 and IPv6, until it is ended."""
    from select import select

    readers = {}
    for word in words:
        place, *options = word.split(",")
        port, _, buffer = place.partition("/")
        readers[_open(int(port), options)] = (int(buffer or _EVERYTHING_BYTES), options)
    tell(ready=True)
    while True:
        for sock in select(readers, [], [])[0]:
            _take(sock, *readers[sock])


def _open(port: int, options: list[str]) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    given = dict(option.partition("=")[::2] for option in options)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, int(given.get("rcvbuf", 4 << 20)))
    if "no-checksum6" in given:
        sock.setsockopt(socket.IPPROTO_UDP, _UDP_NO_CHECK6_RX, 1)
    sock.bind(("::", port))
    return sock


def _take(sock: socket.socket, buffer_bytes: int, options: list[str]) -> None:
    """Reads what there is, and tells what the socket says of it."""
    if "tidy" not in options:
        tell(**_read(sock, buffer_bytes, options))
        return
    found = {}
    sock.settimeout(_SILENCE_S)
    try:
        while True:
            row = _read(sock, buffer_bytes, options)
            found[str(row["head"])] = row
    except TimeoutError:
        sock.settimeout(None)
    for head in sorted(found):
        tell(**found[head])


def _read(sock: socket.socket, buffer_bytes: int, options: list[str]) -> dict[str, object]:
    """Reads one datagram; what the socket says of it."""
    more: dict[str, object] = {}
    if "peek" in options:
        peek = socket.MSG_PEEK | socket.MSG_TRUNC  # returns the whole length
        more["peeked_bytes"] = sock.recv_into(bytearray(1), 1, peek)
    data, _, flags, source = sock.recvmsg(buffer_bytes)
    if "echo" in options:
        more["reply"] = _result(sock, data, source)
    return {
        "port": sock.getsockname()[1],
        "source": source[0].removeprefix("::ffff:"),
        "source_port": source[1],
        "got_bytes": len(data),
        "truncated": bool(flags & socket.MSG_TRUNC),
        "head": data[:_HEAD_BYTES].hex(),
        **more,
    }


def send(words: list[str]) -> None:
    """Sends datagrams of zeros; tells the result of each call (not of each of `--count`)."""
    options = {"--count": 1.0, "--ports": 1.0, "--gap-ms": 0.0}
    while words[0].startswith("--"):
        name = words.pop(0)
        options[name] = 1.0 if name in _FLAGS else float(words.pop(0))
    host, port, *sizes = words
    sock = _sender(host, int(port), options)
    number = 0
    for size in map(int, sizes):
        for _ in range(int(options["--count"]) * int(options["--ports"])):
            data = number.to_bytes(4, "big") if "--numbered" in options else b""
            target = None
            if "--connect" not in options:
                target = host, int(port) + number % int(options["--ports"])
            result = _result(sock, data.ljust(size, b"\0"), target)
            number += 1
            time.sleep(options["--gap-ms"] / 1e3)
        more = _reply(sock, options["--reply-s"]) if "--reply-s" in options else {}
        row = {"host": host, "port": int(port), "sport": sock.getsockname()[1], "size_bytes": size}
        tell(**row, df="--df" in options, result=result, **more)


def _sender(host: str, port: int, options: dict[str, float]) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        how = _PMTUDISC_DO if "--df" in options else _PMTUDISC_DONT
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, how)
    if "--no-checksum" in options:
        sock.setsockopt(socket.SOL_SOCKET, _SO_NO_CHECK, 1)
    if "--sndbuf" in options:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, int(options["--sndbuf"]))
    if "--from" in options:
        sock.bind(("", int(options["--from"])))
    if "--connect" in options:
        sock.connect((host, port))
    return sock


def _result(sock: socket.socket, data: bytes, target: tuple[str, int] | None) -> str:
    """`sent`, or the error's name."""
    try:
        if target:
            sock.sendto(data, target)
        else:
            sock.send(data)
    except OSError as error:
        return _name(error)
    return "sent"


def _reply(sock: socket.socket, wait_s: float) -> dict[str, object]:
    """What came in answer, `none` or an error's name, and where from."""
    sock.settimeout(wait_s)
    try:
        data, source = sock.recvfrom(_EVERYTHING_BYTES)
    except TimeoutError:
        return {"reply": "none"}
    except OSError as error:
        return {"reply": _name(error)}
    return {"reply": f"{len(data)} bytes", "reply_from": f"{source[0]}:{source[1]}"}


def _name(error: OSError) -> str:
    import errno

    return errno.errorcode.get(error.errno or 0, "?")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        os._exit(0)
