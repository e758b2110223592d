"""QUIC connections in a capture: which packets belong together, and what is inside (RFC 9000 §5).

Packets are known by their connection ids, so a connection goes on when an address changes. Initial
packets are opened by what they say themselves; all others need the secrets of a key log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from analysis.quic import frames as quic_frames
from analysis.quic import headers, protection
from analysis.quic.assembly import Assembly
from analysis.quic.frames import CRYPTO, NEW_CONNECTION_ID, Frame
from analysis.quic.headers import HANDSHAKE, INITIAL, ONE_RTT, VERSIONS, ZERO_RTT, Header
from analysis.quic.protection import Keys, Opened
from analysis.tls import hello
from analysis.tls.hello import Hello
from analysis.tls.key_log import KeyLog
from analysis.tls.suites import NotOpenedError, library_is_there

Address = tuple[str, int]

_CLIENT, _SERVER = 0, 1
_LABELS = {
    HANDSHAKE: ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET"),
    ZERO_RTT: ("CLIENT_EARLY_TRAFFIC_SECRET",),
    ONE_RTT: ("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"),
}
_SPACES = {ZERO_RTT: ONE_RTT}
"""0-RTT packets are numbered with those of 1-RTT (RFC 9000 §12.3)."""

_MOST_HELLO_BYTES = 1 << 16


@dataclass(frozen=True)
class Datagram:
    """A UDP datagram.

    Attributes:
        frame: its number in the capture.
        source, target: addresses and ports.
        data: its payload.
        cut: the capture lacks the payload's end.
    """

    frame: int
    source: Address
    target: Address
    data: bytes
    cut: bool = False


@dataclass(frozen=True)
class Packet:
    """A QUIC packet.

    Attributes:
        datagram: that it came in.
        connection: its number, from 0.
        from_client: whether the client sent it.
        header: what everybody can read.
        version: of the connection.
        opened: the packet without its protection; None: it stays closed.
        frames: of an opened packet.
        hello: the client's, at the packet that completes it.
        alpn: what the connection's client offered so far.
    """

    datagram: Datagram
    connection: int
    from_client: bool
    header: Header
    version: int
    opened: Opened | None
    frames: tuple[Frame, ...]
    hello: Hello | None
    alpn: tuple[str, ...]


@dataclass
class _Direction:
    """The keys of one sender at one level."""

    keys: Keys
    following: Keys | None = None
    previous: Keys | None = None

    def open(self, header: Header, data: bytes, largest: int) -> Opened | None:
        """A packet; a key update shows by keys that fit no longer (RFC 9001 §6.3)."""
        if (found := _try(self.keys, header, data, largest)) or header.type != ONE_RTT:
            return found
        self.following = self.following or self.keys.next()
        if found := _try(self.following, header, data, largest):
            self.previous, self.keys, self.following = self.keys, self.following, None
        elif self.previous:
            found = _try(self.previous, header, data, largest)
        return found


@dataclass
class _Connection:
    number: int
    client: Address
    server: Address
    version: int
    ids: dict[bytes, int] = field(default_factory=dict)
    """Connection id → who takes packets with it."""
    keys: dict[tuple[str, int], _Direction] = field(default_factory=dict)
    """By level and sender."""
    largest: dict[tuple[str, int], int] = field(default_factory=dict)
    """Packet number by space and sender."""
    said: Assembly = field(default_factory=Assembly)
    greeting: bytearray = field(default_factory=bytearray)
    """What the client's Initial packets carry: its hello."""
    greeted: bool = False
    """The hello is whole; what comes again says nothing new."""
    hello: Hello | None = None
    established: bool = False

    def side(self, datagram: Datagram, header: Header) -> int:
        """Who sent a packet."""
        taker = self.ids.get(header.target)
        if taker is not None:
            return 1 - taker
        return _SERVER if datagram.source == self.server else _CLIENT

    def listen(self, frame: Frame) -> None:
        """Puts the client's hello together."""
        if self.greeted or len(self.greeting) > _MOST_HELLO_BYTES:
            return
        self.greeting += self.said.add(frame.about["offset"], frame.data)
        size = 4 + int.from_bytes(self.greeting[1:4], "big")
        if len(self.greeting) >= size:
            self.hello = hello.parse(bytes(self.greeting[:size])) or self.hello
            self.greeted = True

    def begin(self, keys: tuple[Keys, Keys]) -> None:
        """The client's first packet, or its first one behind a Retry."""
        self.keys[INITIAL, _CLIENT] = _Direction(keys[_CLIENT])
        self.keys[INITIAL, _SERVER] = _Direction(keys[_SERVER])
        self.said, self.greeting, self.greeted = Assembly(), bytearray(), False


class Connections:
    """Takes datagrams in their order, gives packets."""

    def __init__(self, keys: KeyLog | None) -> None:
        self.log, self.opens = keys or KeyLog(), library_is_there()
        self._by_id: dict[bytes, _Connection] = {}
        self._by_path: dict[frozenset[Address], _Connection] = {}
        self._count = 0

    def packets(self, datagram: Datagram) -> Iterator[Packet]:
        """The QUIC packets of a datagram; none if it is not QUIC."""
        connection = self._find(datagram)
        if connection is None:
            return
        for header in headers.read(datagram.data, connection.ids):
            yield self._packet(connection, datagram, header)

    # ---- whose it is

    def _find(self, datagram: Datagram) -> _Connection | None:
        data, path = datagram.data, frozenset((datagram.source, datagram.target))
        known = self._by_path.get(path)
        if headers.is_long(data):
            target = data[6 : 6 + data[5]]
            found = self._by_id.get(target, known) if target else known
            if found is None and headers.negotiates(data):
                return None  # nobody asked
            if found is None or (found is known and self._begins_anew(found, datagram, target)):
                found = self._new(datagram)
        else:
            found = known or self._by_short(data)
        if found is not None:
            self._by_path[path] = found
        return found

    def _by_short(self, data: bytes) -> _Connection | None:
        """From another address: by the id alone."""
        if not data or data[0] & 0xC0 != 0x40:
            return None
        return self._by_id.get(headers.known_id(data, 1, self._by_id))

    @staticmethod
    def _begins_anew(known: _Connection, datagram: Datagram, target: bytes) -> bool:
        """The same ports are used for another connection."""
        foreign = known.established and target not in known.ids
        return foreign and datagram.source == known.client and bool(target)

    def _new(self, datagram: Datagram) -> _Connection:
        """A connection by its first packet; where that is not the client's first, the server has
        the lower port."""
        source, target = datagram.source, datagram.target
        client_first = source[1] >= target[1]
        first = next(headers.read(datagram.data, ()), None)
        if first is not None and first.type == INITIAL and self.opens:
            keys = protection.initial(first.target, first.version or 0)
            with_client = _try(keys[_CLIENT], first, datagram.data) is not None
            client_first = client_first or with_client
        ends = (source, target) if client_first else (target, source)
        version = first.version if first is not None and first.version in VERSIONS else 0
        self._count += 1
        return _Connection(self._count - 1, *ends, version or headers.VERSION_1)

    def _remember(self, connection: _Connection, one: bytes | None, taker: int) -> None:
        if one:
            connection.ids.setdefault(one, taker)
            self._by_id[one] = connection

    # ---- what is inside

    def _packet(self, connection: _Connection, datagram: Datagram, header: Header) -> Packet:
        side = connection.side(datagram, header)
        self._remember(connection, header.source, side)
        if header.source is not None:
            self._remember(connection, header.target, 1 - side)
        if header.version in VERSIONS:
            connection.version = header.version or connection.version
        connection.established |= header.type == ONE_RTT
        opened = self._open(connection, side, header, datagram.data)
        before = connection.hello
        found = tuple(quic_frames.read(opened.payload)) if opened else ()
        for frame in found:
            if frame.type == NEW_CONNECTION_ID:
                self._remember(connection, bytes.fromhex(frame.about["id"]), side)
            elif frame.type == CRYPTO and header.type == INITIAL and side == _CLIENT:
                connection.listen(frame)
        new = connection.hello if connection.hello is not before else None
        alpn = connection.hello.alpn if connection.hello else ()
        sender = side == _CLIENT
        ours = (datagram, connection.number, sender, header, connection.version)
        return Packet(*ours, opened, found, new, alpn)

    def _open(
        self, connection: _Connection, side: int, header: Header, data: bytes
    ) -> Opened | None:
        if not self.opens or header.type not in (INITIAL, *_LABELS):
            return None
        level, space = (header.type, side), (_SPACES.get(header.type, header.type), side)
        largest = connection.largest.get(space, -1)
        direction = connection.keys.get(level)
        opened = direction.open(header, data, largest) if direction else None
        if opened is None and header.type == INITIAL and side == _CLIENT:
            keys = protection.initial(header.target, connection.version)
            if opened := _try(keys[_CLIENT], header, data, largest):
                connection.begin(keys)
        elif direction is None:
            for candidate in self._candidates(connection, side, header.type):
                if opened := _try(candidate, header, data, largest):
                    connection.keys[level] = _Direction(candidate)
                    break
        if opened is not None:
            connection.largest[space] = max(largest, opened.number)
        return opened

    def _candidates(self, connection: _Connection, side: int, level: str) -> list[Keys]:
        """Keys from the log, one for each cipher that there may be."""
        labels = _LABELS.get(level, ())
        if connection.hello is None or side >= len(labels):
            return []
        secret = self.log.get(labels[side], connection.hello.random)
        return protection.candidates(secret, connection.version) if secret else []


def _try(keys: Keys, header: Header, data: bytes, largest: int = -1) -> Opened | None:
    try:
        return keys.open(header, data, largest)
    except NotOpenedError:
        return None
