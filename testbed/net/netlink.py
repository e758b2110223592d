"""The part of netlink that the engine needs: encode, send many at once, read answers.

Encoding a message takes about 10 µs, so that a thousand links can be built in a second; the general
library (pyroute2) takes about 1 ms, and 0.2 s to load. Layouts are the kernel's own:
``linux/netlink.h``, ``linux/rtnetlink.h``; the message bodies are in `testbed.net.rtnl`.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from testbed.core.errors import TestbedError

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NEW = NLM_F_CREATE | NLM_F_EXCL

NLA_F_NESTED = 0x8000
_NLA_TYPE_MASK = 0x3FFF

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_CAPPED, _NLM_F_ACK_TLVS = 0x100, 0x200
_NLMSGERR_ATTR_MSG = 1
_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 270, 10, 11

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr: length, type
_BATCH_BYTES = 32_768
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class NetlinkError(TestbedError):
    """The kernel refused one request.

    Attributes:
        what: the request, in words.
        errno: the kernel's answer.
    """

    def __init__(self, what: str, number: int, detail: str = "") -> None:
        self.what, self.errno, self.detail = what, number, detail
        reason = os.strerror(number) + (f": {detail}" if detail else "")
        super().__init__(f"{what}: the kernel says: {reason}")


@dataclass(slots=True, frozen=True)
class Message:
    """One request.

    Attributes:
        kind: message type, e.g. ``RTM_NEWLINK``.
        flags: in addition to ``NLM_F_REQUEST``.
        body: everything after the netlink header.
        what: the request, in words; begins error messages.
        forgive: error numbers that mean the wanted state already exists.
    """

    kind: int
    flags: int
    body: bytes
    what: str
    forgive: tuple[int, ...] = ()


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute (``struct nlattr``), padded to four bytes."""
    size = len(payload) + 4
    return _ATTRIBUTE.pack(size, kind) + payload + _PADDING[size & 3]


def text(kind: int, value: str) -> bytes:
    """An attribute that holds a string ended by a zero byte."""
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """An attribute that holds an unsigned 32-bit number."""
    return attribute(kind, value.to_bytes(4, "little"))


def number64(kind: int, value: int, signed: bool = False) -> bytes:
    """An attribute that holds a 64-bit number."""
    return attribute(kind, value.to_bytes(8, "little", signed=signed))


def nest(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def attributes(data: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    """The attributes in `data` as (type, payload)."""
    view, at = memoryview(data), 0
    while at + 4 <= len(view):
        size, kind = _ATTRIBUTE.unpack_from(view, at)
        if size < 4:
            return
        yield kind & _NLA_TYPE_MASK, view[at + 4 : at + size]
        at += (size + 3) & ~3


class NetlinkSocket:
    """A netlink socket of the namespace in which it was created; by default for routes and links.

    One `send` puts many requests into each system call; the kernel has executed them all when the
    call returns. It answers only refusals and the last request.
    """

    def __init__(self, family: int = socket.NETLINK_ROUTE) -> None:
        flags = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, flags, family)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> NetlinkSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, messages: Iterable[Message]) -> None:
        """Make the kernel execute `messages` in order.

        Raises:
            NetlinkError: the first one that was refused (later ones may have been tried).
        """
        batch: list[Message] = []
        size = 0
        for message in messages:
            if size + len(message.body) > _BATCH_BYTES:
                self._exchange(batch)
                batch, size = [], 0
            batch.append(message)
            size += len(message.body) + _HEADER.size
        if batch:
            self._exchange(batch)

    def _exchange(self, batch: list[Message]) -> None:
        first = self._sequence + 1
        self._sequence += len(batch)
        parts = []
        for offset, message in enumerate(batch):
            flags = message.flags | NLM_F_REQUEST
            if offset == len(batch) - 1:
                flags |= NLM_F_ACK
            size = _HEADER.size + len(message.body)
            parts.append(_HEADER.pack(size, message.kind, flags, first + offset, 0))
            parts.append(message.body + _PADDING[size & 3])
        self._socket.send(b"".join(parts))
        refused: NetlinkError | None = None
        for kind, flags, sequence, body in self._answers():
            if kind != _NLMSG_ERROR or sequence < first:
                continue
            message = batch[sequence - first]
            refused = refused or _refusal(message, flags, body)
            if sequence == self._sequence:
                break
        if refused:
            raise refused

    def dump(self, kind: int, body: bytes) -> Iterator[tuple[int, memoryview]]:
        """Everything the kernel lists for one request, as (type, body after the header)."""
        self._sequence += 1
        size = _HEADER.size + len(body)
        flags = NLM_F_REQUEST | NLM_F_DUMP
        self._socket.send(_HEADER.pack(size, kind, flags, self._sequence, 0) + body)
        for answer, flags, sequence, data in self._answers():
            if sequence != self._sequence:
                continue
            if answer == _NLMSG_DONE:
                return
            if answer == _NLMSG_ERROR:
                refusal = _refusal(Message(kind, 0, body, f"list {kind}"), flags, data)
                if refusal:
                    raise refusal
                return
            yield answer, data

    def _answers(self) -> Iterator[tuple[int, int, int, memoryview]]:
        while True:
            view, at = memoryview(self._socket.recv(1 << 17)), 0
            while at + _HEADER.size <= len(view):
                size, kind, flags, sequence, _ = _HEADER.unpack_from(view, at)
                yield kind, flags, sequence, view[at + _HEADER.size : at + size]
                at += (size + 3) & ~3


def _refusal(message: Message, flags: int, body: memoryview) -> NetlinkError | None:
    """The error in an ``NLMSG_ERROR`` (``struct nlmsgerr``); None for an acknowledgement."""
    code = -struct.unpack_from("=i", body)[0]
    if code == 0 or code in message.forgive:
        return None
    detail = ""
    if flags & _NLM_F_ACK_TLVS:
        inner = _HEADER.unpack_from(body, 4)[0]
        start = 4 + (_HEADER.size if flags & _NLM_F_CAPPED else (inner + 3) & ~3)
        for kind, payload in attributes(body[start:]):
            if kind == _NLMSGERR_ATTR_MSG:
                detail = bytes(payload).rstrip(b"\0").decode(errors="replace")
    return NetlinkError(message.what, code or errno.EINVAL, detail)
