"""UDP end points that report what the socket reports; one JSON object per line.

udp.py receive PORT[/BUFFER_BYTES]...   prints {"ready": true}, then each datagram received
udp.py send [--df] [--count N] [--ports N] [--gap-ms T] HOST PORT SIZE_BYTES...
"""

import json
import os
import socket
import sys
import time

_IP_MTU_DISCOVER, _PMTUDISC_DO, _PMTUDISC_DONT = 10, 2, 0
_EVERYTHING_BYTES = 65_536


def main(arguments: list[str]) -> None:
    """Does what the first word says."""
    word, rest = arguments[0], arguments[1:]
    if word == "receive":
        receive(rest)
    else:
        send(rest)


def tell(**row: object) -> None:
    """One line of output, at once."""
    print(json.dumps({"time_ns": time.time_ns(), **row}), flush=True)  # noqa: T201 (its output)


def receive(ports: list[str]) -> None:
    """Receives at all ports, from IPv4 and IPv6, until it is ended."""
    from select import select

    buffers = {}
    for word in ports:
        port, _, buffer = word.partition("/")
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind(("::", int(port)))
        buffers[sock] = int(buffer or _EVERYTHING_BYTES)
    tell(ready=True)
    while True:
        for sock in select(buffers, [], [])[0]:
            data, _, flags, source = sock.recvmsg(buffers[sock])
            tell(
                port=sock.getsockname()[1],
                source=source[0].removeprefix("::ffff:"),
                got_bytes=len(data),
                truncated=bool(flags & socket.MSG_TRUNC),
            )


def send(words: list[str]) -> None:
    """Sends datagrams of zeros; tells the result of each call (not of each of `--count`).

    With `--ports`, to this many ports, starting with the given one.
    """
    options = {"--df": False, "--count": 1, "--ports": 1, "--gap-ms": 0.0}
    while words[0].startswith("--"):
        name = words.pop(0)
        options[name] = True if name == "--df" else float(words.pop(0))
    host, port, *sizes = words
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        how = _PMTUDISC_DO if options["--df"] else _PMTUDISC_DONT
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, how)
    for size in map(int, sizes):
        for number in range(int(options["--count"]) * int(options["--ports"])):
            target = host, int(port) + number % int(options["--ports"])
            result = _send(sock, bytes(size), target)
            time.sleep(options["--gap-ms"] / 1e3)
        tell(host=host, port=int(port), size_bytes=size, df=options["--df"], result=result)


def _send(sock: socket.socket, data: bytes, target: tuple[str, int]) -> str:
    try:
        sock.sendto(data, target)
    except OSError as error:
        import errno

        return errno.errorcode.get(error.errno or 0, "?")
    return "sent"


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        os._exit(0)
