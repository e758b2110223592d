"""A packet's parts as a tree of nodes, each with a name, a value and its place among the bytes."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

MOST_PARTS = 512
"""Options, records and the like that one layer lists."""


@dataclass
class Node:
    """One field, or a layer with its fields.

    Attributes:
        name: of the field, as the protocol's specification has it.
        value: as people read it, with its meaning where numbers have names; printable.
        start, length: its bytes in the packet.
        children: what it consists of.
        problem: why the rest of it is missing, or empty.
    """

    name: str
    value: str = ""
    start: int = 0
    length: int = 0
    children: list[Node] = field(default_factory=list)
    problem: str = ""

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Node]]:
        """This node and all below, each with its depth."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)


class Cut(Exception):
    """A field goes over the end of the bytes that there are."""


Names = Mapping[int, str]


class Part:
    """Takes fields off the front of a packet's bytes, and hangs them below a node.

    Attributes:
        data: the whole packet.
        at: where the next field begins.
        end: where this part ends by what its carrier says; not behind the captured bytes.
        node: what the fields belong to.
    """

    def __init__(self, data: bytes, at: int, end: int, node: Node) -> None:
        self.data, self.at, self.node = data, at, node
        self.end = max(at, min(end, len(data)))

    @property
    def left(self) -> int:
        """Bytes not taken yet."""
        return self.end - self.at

    def peek(self, count: int, ahead: int = 0) -> bytes:
        """The next bytes, perhaps fewer, without taking them."""
        return self.data[self.at + ahead : min(self.at + ahead + count, self.end)]

    def octets(self, size: int) -> bytes:
        """The next bytes, without a node."""
        if size < 0 or self.at + size > self.end:
            raise Cut
        self.at += size
        return self.data[self.at - size : self.at]

    def take(self, name: str, size: int, words: Callable[[bytes], str]) -> bytes:
        """The next `size` bytes as a field; `words` makes its value.

        Raises:
            Cut: there are fewer.
        """
        start = self.at
        raw = self.octets(size)
        self.node.children.append(Node(name, words(raw), start, size))
        return raw

    def uint(self, name: str, size: int, names: Names | None = None, unit: str = "") -> int:
        """An unsigned number in network order, with its name or unit."""

        def words(raw: bytes) -> str:
            number = int.from_bytes(raw, "big")
            meaning = (names or {}).get(number, "unknown" if names else "")
            return f"{number}{f' {unit}' if unit else ''}{f' ({meaning})' if meaning else ''}"

        return int.from_bytes(self.take(name, size, words), "big")

    def hexa(self, name: str, size: int, names: Names | None = None) -> int:
        """A number that people write in hexadecimal."""

        def words(raw: bytes) -> str:
            number = int.from_bytes(raw, "big")
            meaning = (names or {}).get(number, "")
            return f"0x{raw.hex()}{f' ({meaning})' if meaning else ''}"

        return int.from_bytes(self.take(name, size, words), "big")

    def mac(self, name: str) -> str:
        """A MAC address."""
        return self.take(name, 6, lambda raw: raw.hex(":")).hex(":")

    def ip4(self, name: str) -> str:
        """An IPv4 address."""
        return str(ipaddress.IPv4Address(self.take(name, 4, ip_text)))

    def ip6(self, name: str) -> str:
        """An IPv6 address."""
        return str(ipaddress.IPv6Address(self.take(name, 16, ip_text)))

    def text(self, name: str, size: int) -> str:
        """Text in ASCII; other bytes are written out."""
        return self.take(name, size, octets_text).decode("latin-1")

    def raw(self, name: str, size: int) -> bytes:
        """Bytes that are not read further."""
        return self.take(name, size, lambda raw: f"{len(raw)} byte{'' if len(raw) == 1 else 's'}")

    def bits(self, size: int, *parts: tuple[str, int, Callable[[int], str] | None]) -> list[int]:
        """Fields of less than a byte, from the highest bit on.

        Args:
            size: bytes that hold them.
            parts: name, bits, and what makes the value's text (None: the number).
        """
        start = self.at
        number, shift, found = int.from_bytes(self.octets(size), "big"), 8 * size, []
        for name, width, words in parts:
            shift -= width
            value = number >> shift & ((1 << width) - 1)
            text = words(value) if words else str(value)
            self.node.children.append(Node(name, text, start, size))
            found.append(value)
        return found

    def below(self, name: str, size: int, value: str = "") -> Part:
        """A part of the next `size` bytes, with fields of its own; this part goes on behind it.

        Raises:
            Cut: there are fewer bytes.
        """
        start = self.at
        self.octets(size)
        node = Node(name, value, start, size)
        self.node.children.append(node)
        return Part(self.data, start, start + size, node)

    def each(self) -> Iterator[int]:
        """Counts while there are bytes left, up to `MOST_PARTS`; names what it leaves out."""
        for number in range(MOST_PARTS):
            if not self.left:
                return
            yield number
        if self.left:
            self.raw("not shown", self.left)


def ip_text(raw: bytes) -> str:
    """An address of 4 or 16 bytes."""
    return str(ipaddress.ip_address(raw))


def octets_text(raw: bytes) -> str:
    """Bytes as ASCII; what is not visible is written out later."""
    return raw.decode("latin-1")


def flags_text(names: Sequence[tuple[int, str]]) -> Callable[[int], str]:
    """Words for a number whose bits have names."""

    def words(number: int) -> str:
        found = ", ".join(name for bit, name in names if number & bit)
        return f"0x{number:x} ({found or 'none'})"

    return words
