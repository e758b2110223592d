"""The system calls of a script, and the Python code that sees TCP_INFO."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import inspect
import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

from testbed.peers.symbols import TCP_INFO, symbol
from testbed.peers.values import ANY, DiffersError, UnsupportedError, Values

_WAIT_S = 10.0
_BAD_VALUES = (TypeError, ValueError, LookupError, ArithmeticError, MemoryError, struct.error)
"""What Python raises for values of a script that a call cannot take."""

_Time = Callable[[], float]
_Allowed = Callable[[float], float]


class _Blocking(threading.Thread):
    """A call that the script lets block, in a thread of its own."""

    def __init__(self, step: dict[str, Any], call: Callable[[], int], end_us: int) -> None:
        super().__init__(daemon=True)
        self.step, self.call, self.end_us = step, call, end_us
        self.result, self.error, self.ended_us = 0, "", 0.0
        self.failure: Exception | None = None

    def start_at(self, time_us: _Time) -> None:
        self.time_us = time_us
        self.start()

    def run(self) -> None:
        """Makes the call."""
        try:
            self.result, self.error = _outcome(self.call)
        except (DiffersError, UnsupportedError) as failure:
            self.failure = failure
        self.ended_us = self.time_us()


def _outcome(call: Callable[[], int]) -> tuple[int, str]:
    """Result and the name of the error, as a C program sees them."""
    try:
        return call(), ""
    except OSError as error:
        return -1, errno.errorcode.get(error.errno or 0, str(error.errno))


@contextlib.contextmanager
def _ended_in_time(step: dict[str, Any]) -> Iterator[None]:
    """Ends a call that blocks although the script does not say so."""

    def give_up(*_: object) -> None:
        raise DiffersError(step["text"], f"it has not returned after {_WAIT_S:g} s", step["line"])

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, _WAIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class Calls(Values):
    """The system calls; see `Values`.

    Attributes:
        connects: True after the first call that makes a socket connect.
    """

    def __init__(self, local: str, remote: str, port: int) -> None:
        super().__init__(local, remote, port)
        self._epolls: dict[int, select.epoll] = {}
        self.connects = self._listens = False
        self._connected = -1  # the script's number of the socket that TCP_INFO is asked of
        self._blocking: list[tuple[_Blocking, _Allowed]] = []

    def listens(self) -> bool:
        """True once after each ``listen``: the next packet begins a connection."""
        listens, self._listens = self._listens, False
        return listens

    # ---- running calls

    def run(
        self, step: dict[str, Any], end_us: int | None, time_us: _Time, allowed: _Allowed
    ) -> None:
        """Makes a call and checks its result; one with an end runs on its own until `finish`."""
        method = getattr(self, f"_call_{step['name']}", None)
        if method is None:
            raise UnsupportedError(f"the system call {step['name']}")
        try:
            bound = inspect.signature(method).bind(step, *step["arguments"])
        except TypeError as error:
            raise UnsupportedError(f"the arguments of {step['name']}: {error}") from None

        def call() -> int:
            try:
                return int(method(*bound.args))
            except _BAD_VALUES as error:
                why = f"{type(error).__name__}: {error}".rstrip(": ")
                raise UnsupportedError(f"the arguments of {step['name']}: {why}") from None

        if end_us is None:
            with _ended_in_time(step):
                result = _outcome(call)
            self._check(step, *result)
            return
        thread = _Blocking(step, call, end_us)
        self._blocking.append((thread, allowed))
        thread.start_at(time_us)

    def finish(self, _time_us: _Time) -> None:
        """Waits for the calls that block, and checks result and end of each."""
        while self._blocking:
            thread, allowed = self._blocking.pop(0)
            thread.join(_WAIT_S)
            step = thread.step
            if thread.is_alive():
                raise DiffersError(step["text"], "it has not ended", step["line"])
            if thread.failure:
                raise thread.failure
            if abs(thread.ended_us - thread.end_us) > allowed(thread.end_us):
                came = f"it ended at {thread.ended_us / 1e6:.6f} s"
                raise DiffersError(step["text"], came, step["line"])
            self._check(step, thread.result, thread.error)

    def _check(self, step: dict[str, Any], result: int, error: str) -> None:
        expected, name = step["result"], step["error"] or ""
        same = getattr(errno, error, 0) == getattr(errno, name, 0)  # some have two names
        same |= step["error"] is None
        if expected != ANY and not (result == expected and same):
            came = f"{result} {error}".strip()
            raise DiffersError(step["text"], f"it returned {came}", step["line"])

    # ---- sockets

    def _socket_of(self, value: Any, default: int) -> int:
        return default if value == ANY else self._value(value)

    def _call_socket(self, step: dict[str, Any], *what: Any) -> int:
        family = self._socket_of(what[0], socket.AF_INET)
        if family != socket.AF_INET:
            raise UnsupportedError("sockets of another family than AF_INET")
        return self._new(step, socket.socket(family, *(self._value(w) for w in what[1:])))

    def _call_bind(self, _step: Any, number: Any, address: Any, _size: Any) -> int:
        self._socket(number).bind(self._address(address, self.local))
        return 0

    def _call_listen(self, _step: Any, number: Any, backlog: Any) -> int:
        self._socket(number).listen(self._value(backlog))
        self._listens = True
        return 0

    def _call_accept(self, step: dict[str, Any], number: Any, *_address: Any) -> int:
        accepted = self._new(step, self._socket(number).accept()[0])
        self._connected = accepted
        return accepted

    def _call_accept4(self, step: dict[str, Any], number: Any, *_rest: Any) -> int:
        return self._call_accept(step, number)

    def _call_connect(self, _step: Any, number: Any, address: Any, _size: Any) -> int:
        self.connects, self._connected = True, self._value(number)
        self._socket(number).connect(self._address(address, self.remote))
        return 0

    def _call_shutdown(self, _step: Any, number: Any, how: Any) -> int:
        self._socket(number).shutdown(self._value(how))
        return 0

    def _call_close(self, _step: Any, number: Any) -> int:
        file = self._files.pop(self._value(number), None)
        if file is None:
            raise OSError(errno.EBADF, "not open")
        if epoll := self._epolls.pop(self._value(number), None):
            epoll.close()
        elif isinstance(file, int):
            os.close(file)
        else:
            file.close()
        return 0

    # ---- data

    def _call_write(self, _step: Any, number: Any, data: Any, size: Any) -> int:
        return os.write(self._descriptor(number), self._octets(data, size))

    def _call_send(self, _step: Any, number: Any, data: Any, size: Any, flags: Any) -> int:
        return self._socket(number).send(self._octets(data, size), self._value(flags))

    def _call_sendto(
        self, _step: Any, number: Any, data: Any, size: Any, flags: Any, *address: Any
    ) -> int:
        octets = self._octets(data, size)
        if not address or address[0] in (0, {"word": "NULL"}):
            return self._socket(number).send(octets, self._value(flags))
        self.connects, self._connected = True, self._value(number)
        to = self._address(address[0], self.remote)
        return self._socket(number).sendto(octets, self._value(flags), to)

    def _call_sendmsg(self, _step: Any, number: Any, message: Any, flags: Any) -> int:
        fields = self._fields(message)
        if fields.get("msg_control"):
            raise UnsupportedError("sendmsg with msg_control")
        parts = [self._octets(*part["fields"]) for part in fields["msg_iov"]]
        return self._socket(number).sendmsg(parts, [], self._value(flags))

    def _call_read(self, step: dict[str, Any], number: Any, data: Any, size: Any) -> int:
        return self._got(step, data, os.read(self._descriptor(number), self._value(size)))

    def _call_recv(
        self, step: dict[str, Any], number: Any, data: Any, size: Any, flags: Any
    ) -> int:
        octets = self._socket(number).recv(self._value(size), self._value(flags))
        return self._got(step, data, octets)

    def _call_recvfrom(
        self, step: dict[str, Any], number: Any, data: Any, size: Any, flags: Any, *_address: Any
    ) -> int:
        return self._call_recv(step, number, data, size, flags)

    @staticmethod
    def _got(step: dict[str, Any], data: Any, octets: bytes) -> int:
        if isinstance(data, dict) and "text" in data:
            wanted = str(data["text"]).encode("latin-1")
            if octets != wanted[: len(octets)]:
                raise DiffersError(step["text"], f"it read {octets[:40]!r}", step["line"])
        return len(octets)

    # ---- options and states of files

    def _call_setsockopt(
        self, _step: Any, number: Any, level: Any, name: Any, value: Any, size: Any
    ) -> int:
        where = self._value(level), self._value(name)
        self._socket(number).setsockopt(*where, self._option(value, size))
        return 0

    def _option(self, value: Any, size: Any) -> int | bytes:
        if isinstance(value, dict) and "text" in value:
            return str(value["text"]).encode("latin-1")
        if isinstance(value, dict) and "fields" in value:
            numbers = [self._value(f["value"] if "name" in f else f) for f in value["fields"]]
            return struct.pack(f"{len(numbers)}i", *numbers)
        number = self._value(value)
        return number if self._value(size) >= 4 else bytes([number & 0xFF])

    def _call_getsockopt(
        self, step: dict[str, Any], number: Any, level: Any, name: Any, value: Any, _size: Any
    ) -> int:
        where = self._value(level), self._value(name)
        got = self._socket(number).getsockopt(*where)
        if value != ANY and self._value(value) != got:
            raise DiffersError(step["text"], f"the option is {got}", step["line"])
        return 0

    def _call_fcntl(self, _step: Any, number: Any, command: Any, value: Any = 0) -> int:
        return int(fcntl.fcntl(self._descriptor(number), self._value(command), self._value(value)))

    def _call_ioctl(self, step: dict[str, Any], number: Any, request: Any, value: Any) -> int:
        got = fcntl.ioctl(self._descriptor(number), self._value(request), struct.pack("i", 0))
        if value != ANY and self._value(value) != struct.unpack("i", got)[0]:
            raise DiffersError(step["text"], f"the value is {struct.unpack('i', got)[0]}")
        return 0

    def _call_poll(self, step: dict[str, Any], entries: Any, _count: Any, timeout_ms: Any) -> int:
        poll, expected = select.poll(), {}
        for entry in entries:
            fields = {f["name"]: self._value(f["value"]) for f in entry["fields"]}
            descriptor = self._descriptor(fields["fd"])
            poll.register(descriptor, fields["events"])
            expected[descriptor] = fields.get("revents", 0)
        found = dict(poll.poll(self._value(timeout_ms)))
        wrong = {f: found.get(f, 0) for f, e in expected.items() if e != found.get(f, 0)}
        if wrong:
            came = ", ".join(f"revents {value:#x}" for value in wrong.values())
            raise DiffersError(step["text"], came, step["line"])
        return len(found)

    def _call_epoll_create(self, step: dict[str, Any], _size: Any) -> int:
        number = self._new(step, (epoll := select.epoll()).fileno())
        self._epolls[number] = epoll
        return number

    def _epoll(self, number: Any) -> select.epoll:
        found = self._epolls.get(self._value(number))
        if found is None:
            raise OSError(errno.EBADF, "no epoll")
        return found

    def _call_epoll_ctl(self, _step: Any, epoll: Any, what: Any, number: Any, event: Any) -> int:
        poll, descriptor = self._epoll(epoll), self._descriptor(number)
        if self._value(what) == symbol("EPOLL_CTL_DEL"):
            poll.unregister(descriptor)
            return 0
        change = poll.register if self._value(what) == symbol("EPOLL_CTL_ADD") else poll.modify
        change(descriptor, self._value(self._fields(event)["events"]))
        return 0

    def _call_epoll_wait(
        self, step: dict[str, Any], epoll: Any, event: Any, most: Any, timeout_ms: Any
    ) -> int:
        wait_s = self._value(timeout_ms) / 1000
        found = self._epoll(epoll).poll(wait_s if wait_s >= 0 else None, self._value(most))
        if found and event != ANY:
            wanted = self._value(self._fields(event)["events"])
            if found[0][1] != wanted:
                raise DiffersError(step["text"], f"events {found[0][1]:#x}", step["line"])
        return len(found)

    # ---- code

    def code(self, text: str) -> None:
        """Runs the script's Python code, with the fields of TCP_INFO.

        Raises:
            DiffersError: an assertion fails.
        """
        import textwrap

        known = {name: symbol(name) for name in TCP_INFO.states}
        file = self._files.get(self._connected)
        if isinstance(file, socket.socket):
            known |= TCP_INFO.read(file.getsockopt(socket.IPPROTO_TCP, TCP_INFO.option, 256))
        try:
            exec(textwrap.dedent(text), dict(known))
        except AssertionError as error:
            raise DiffersError(" ".join(text.split()), f"{error or 'it is false'}") from None
        except SyntaxError as error:
            raise UnsupportedError(f"the code: {error.msg}") from None
        except NameError as error:
            raise UnsupportedError(f"the code's {error.name}") from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 (the script's own mistakes)
            came = f"{type(error).__name__}: {error}"
            raise DiffersError(" ".join(text.split()), came) from None
