"""One TCP flow with as much data as the network takes; its ends wait in the kernel, not in a loop.

bulk.py receive PORT                    prints {"listening": PORT}, then what came: one JSON line
bulk.py send [OPTIONS] ADDRESS PORT     prints what it handed over: one JSON line
    --seconds S      ends after that long, --bytes N after that much; one of both
    --cc NAME        congestion control (default: the system's)
    --sport PORT     source port

In a guest a system call is expensive, and iperf3 makes several for each packet that arrives. Here
one call takes megabytes: it sleeps in the kernel until the window opens, or throws away what came,
and the packets on the wire are those of any other sender and reader that keep up.
"""

import json
import mmap
import signal
import socket
import sys
import time

_CALL_BYTES = 1 << 26
_NO_RESERVE = 0x4000  # MAP_NORESERVE: an address range, no memory
_NO_COPY = socket.MSG_WAITALL | socket.MSG_TRUNC


def main(words: list[str]) -> None:
    """Does what the first word says."""
    if words[0] == "receive":
        receive(int(words[1]))
    else:
        *options, address, port = words[1:]
        send(address, int(port), dict(zip(options[::2], options[1::2], strict=True)))


def tell(**row: object) -> None:
    """One line of output, at once."""
    print(json.dumps(row), flush=True)  # noqa: T201 (its output)


def pages() -> mmap.mmap:
    """Zeros that take no memory while nobody writes to them."""
    return mmap.mmap(-1, _CALL_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE)


def receive(port: int) -> None:
    """Takes one connection until its end, and throws its bytes away."""
    with socket.create_server(("", port)) as server:
        tell(listening=port)
        flow, (source, sport) = server.accept()
    began_ns, got, there = time.time_ns(), 0, pages()
    while count := flow.recv_into(there, _CALL_BYTES, _NO_COPY):
        got += count
    tell(source=source, sport=sport, began_ns=began_ns, ended_ns=time.time_ns(), bytes=got)


class _OverError(Exception):
    """The time is up."""


def _over(*_: object) -> None:
    raise _OverError


def send(address: str, port: int, options: dict[str, str]) -> None:
    """Sends zeros for some time, or a number of them."""
    flow = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    if "--cc" in options:
        flow.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, options["--cc"].encode())
    if "--sport" in options:
        flow.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        flow.bind(("", int(options["--sport"])))
    flow.connect((address, port))
    began_ns, left = time.time_ns(), int(options.get("--bytes", 1 << 62))
    zeros = memoryview(pages())
    if "--seconds" in options:
        signal.signal(signal.SIGALRM, _over)
        signal.setitimer(signal.ITIMER_REAL, float(options["--seconds"]))
    sent = 0
    try:
        while sent < left:
            sent += flow.send(zeros[: left - sent])
    except _OverError:
        pass
    ended_ns = time.time_ns()
    flow.close()
    tell(began_ns=began_ns, ended_ns=ended_ns, sport=options.get("--sport"))


if __name__ == "__main__":
    main(sys.argv[1:])
