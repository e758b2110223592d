"""Opens ports, or knocks at them: doors.py open|knock KIND:[ADDRESS:]PORT...

    doors.py open tcp:80 udp:53            answers what comes, until it is ended
    doors.py knock tcp:10.0.0.4:80 udp:10.0.0.4:53

Knocking tries all doors at once, for two seconds; whether anybody answers is for captures to tell.
"""

import selectors
import socket
import sys
import time

_KNOCK_S = 2.0
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def main(arguments: list[str]) -> None:
    """Does what the first word says."""
    doors = [word.split(":") for word in arguments[1:]]
    if arguments[0] == "open":
        _open([(kind, int(port)) for kind, port in doors])
    else:
        _knock([(kind, address, int(port)) for kind, address, port in doors])


def _open(doors: list[tuple[str, int]]) -> None:
    selector = selectors.DefaultSelector()
    for kind, port in doors:
        sock = socket.socket(socket.AF_INET, _KINDS[kind])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", port))
        if kind == "tcp":
            sock.listen()
        selector.register(sock, selectors.EVENT_READ, kind)
    sys.stdout.write("open\n")
    sys.stdout.flush()
    while True:
        for key, _ in selector.select():
            sock = key.fileobj  # type: ignore[assignment]
            if key.data == "tcp":
                sock.accept()[0].close()
            else:
                data, sender = sock.recvfrom(2048)
                sock.sendto(data, sender)


def _knock(doors: list[tuple[str, str, int]]) -> None:
    socks = []
    for kind, address, port in doors:
        sock = socket.socket(socket.AF_INET, _KINDS[kind])
        sock.setblocking(False)
        sock.connect_ex((address, port))
        if kind == "udp":
            sock.send(b"knock")
        socks.append(sock)
    time.sleep(_KNOCK_S)


if __name__ == "__main__":
    main(sys.argv[1:])
