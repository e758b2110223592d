"""One connection's TLS: what was agreed on, and its records, opened as far as secrets are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from analysis.streams import Conversation, Stream
from analysis.tls import hello, schedule
from analysis.tls.hello import Hello
from analysis.tls.key_log import MASTER_SECRET, KeyLog
from analysis.tls.records import ALERT, APPLICATION, CHANGE_CIPHER, HANDSHAKE, Record, records
from analysis.tls.suites import SUITES, NotOpenedError, Protection, Suite, require_library

END_OF_EARLY_DATA, ENCRYPTED_EXTENSIONS, FINISHED, KEY_UPDATE = 5, 8, 20, 24
HEADER_BYTES = 4
CLIENT, SERVER = 0, 1


@dataclass(frozen=True)
class Opened:
    """A record and what is in it.

    Attributes:
        record: as sent.
        content: type of its content; of a record that stays closed the header's.
        data: its content; None: closed.
        protected: it was encrypted.
        early: 0-RTT data (RFC 8446 §2.3).
        refused: early data that the server passes over without reading it (§4.2.10).
    """

    record: Record
    content: int
    data: bytes | None
    protected: bool = False
    early: bool = False
    refused: bool = False


@dataclass(frozen=True)
class Session:
    """One connection's TLS.

    Attributes:
        client_hello: the first.
        server_hello: the one that is no retry request; None: the server sent none.
        retried: the server asked for another client hello.
        swapped: the conversation's second side is the TLS client.
        sides: records of the client and of the server.
    """

    client_hello: Hello
    server_hello: Hello | None
    retried: bool
    swapped: bool
    sides: tuple[tuple[Opened, ...], tuple[Opened, ...]]

    @property
    def version(self) -> int:
        """Agreed on; without a server hello the highest offered."""
        return (self.server_hello or self.client_hello).version

    @property
    def cipher(self) -> int | None:
        """The cipher suite's number; None: no agreement."""
        return self.server_hello.ciphers[0] if self.server_hello else None


def read(conversation: Conversation, keys: KeyLog | None = None) -> Session | None:
    """A connection's TLS; None if it does not speak TLS, or its hellos are not in the capture.

    Args:
        conversation: the connection.
        keys: secrets; without the connection's, protected records stay closed.
    """
    sides = tuple(tuple(records(stream)) for stream in conversation.sides)
    hellos = [list(_hellos(side)) for side in sides]
    swapped = not (hellos[0] and hellos[0][0].client)
    if swapped:
        if not (hellos[1] and hellos[1][0].client):
            return None
        sides, hellos = sides[::-1], hellos[::-1]
    client_hello = hellos[CLIENT][0]
    answers = [one for one in hellos[SERVER] if not one.client]
    final = next((one for one in answers if not one.retry), None)
    opening = _Opening(client_hello, final, keys)
    client, server = opening.walk(sides)
    if _refuses_early_data(server):
        client = tuple(replace(one, refused=one.early) for one in client)
    retried = any(one.retry for one in answers)
    return Session(client_hello, final, retried, swapped, (client, server))


def _refuses_early_data(server: tuple[Opened, ...]) -> bool:
    """True if a server that answered in TLS 1.3 did not say that it takes early data."""
    pending = bytearray()
    for one in server:
        if one.protected and one.content == HANDSHAKE and one.data is not None:
            pending += one.data
            for message in whole_messages(pending):
                if message[0] == ENCRYPTED_EXTENSIONS:
                    return not hello.takes_early_data(message[HEADER_BYTES:])
    return False


def plain_messages(side: tuple[Record, ...]) -> Iterator[bytes]:
    """Handshake messages sent before encryption began, with their headers."""
    pending, changed = bytearray(), False
    for record in side:
        changed = changed or record.content in (CHANGE_CIPHER, APPLICATION)
        if record.content == HANDSHAKE and (not changed or is_one_hello(record.body)):
            pending += record.body
            yield from whole_messages(pending)


def _hellos(side: tuple[Record, ...]) -> Iterator[Hello]:
    for message in plain_messages(side):
        if found := hello.parse(message):
            yield found


def is_one_hello(body: bytes) -> bool:
    """A second hello may follow a change of ciphers that changes none (RFC 8446 §D.4)."""
    length = int.from_bytes(body[1:4], "big") + HEADER_BYTES
    return body[:1] in (b"\1", b"\2") and length == len(body)


def whole_messages(pending: bytearray) -> Iterator[bytes]:
    """Takes the whole handshake messages off the front."""
    while len(pending) >= HEADER_BYTES:
        end = HEADER_BYTES + int.from_bytes(pending[1:4], "big")
        if end > len(pending):
            return
        yield bytes(pending[:end])
        del pending[:end]


class _Opening:
    """Opens the records of both sides."""

    def __init__(self, client: Hello, server: Hello | None, keys: KeyLog | None) -> None:
        self.client, self.server = client, server
        self.keys = keys if keys and keys.knows(client.random) else None
        if self.keys:
            require_library()
        self.suite = _suite(server)

    def of_1_2(self, client: Hello, server: Hello) -> tuple[Protection, Protection] | None:
        """The client's and the server's protection by the master secret of a handshake."""
        master = self.keys.get(MASTER_SECRET, client.random) if self.keys else None
        suite = _suite(server)
        if master is None or suite is None or server.version != hello.TLS_1_2:
            return None
        return schedule.protections_1_2(
            suite,
            master,
            (client.random, server.random),
            encrypt_then_mac=hello.ENCRYPT_THEN_MAC in server.extensions,
        )

    def _secret(self, label: str) -> bytes | None:
        return self.keys.get(label, self.client.random) if self.keys else None

    def walk(self, sides: Sequence[tuple[Record, ...]]) -> tuple[tuple[Opened, ...], ...]:
        """The records of the client and of the server."""
        if self.server is None or self.server.version >= hello.TLS_1_3:
            return tuple(tuple(_Side13(self, n).walk(side)) for n, side in enumerate(sides))
        return _walk_1_2(self, sides)

    def protection(self, label: str, suite: Suite | None = None) -> Protection | None:
        """The protection by a secret of TLS 1.3."""
        secret, suite = self._secret(label), suite or self.suite
        return schedule.protection_1_3(suite, secret) if secret and suite else None

    @property
    def early_offered(self) -> bool:
        """The client may send 0-RTT data."""
        return hello.EARLY_DATA in self.client.extensions

    def early(self) -> Protection | None:
        """0-RTT data's protection: by the suite of the session that is resumed."""
        secret = self._secret("CLIENT_EARLY_TRAFFIC_SECRET") if self.early_offered else None
        if secret is None:
            return None
        fitting = {"sha256": 32, "sha384": 48}
        for number in (self.server.ciphers if self.server else ()) + self.client.ciphers:
            suite = SUITES.get(number)
            if suite and number >> 8 == 0x13 and fitting[suite.hash] == len(secret):
                return self.protection("CLIENT_EARLY_TRAFFIC_SECRET", suite)
        return None


def _suite(server: Hello | None) -> Suite | None:
    """What a server chose, if it can be opened."""
    return SUITES.get(server.ciphers[0]) if server and server.ciphers else None


def _walk_1_2(
    opening: _Opening, sides: Sequence[tuple[Record, ...]]
) -> tuple[tuple[Opened, ...], ...]:
    """Epoch by epoch: plain first, and after a renegotiation with new keys (RFC 5246 §6.1, §7.4.1).

    The hellos of an epoch say which keys the next one has.
    """
    found: tuple[list[Opened], list[Opened]] = ([], [])
    rest, plain = [iter(side) for side in sides], True
    both: tuple[Protection, Protection] | None = None
    while True:
        epochs = [
            _epoch_1_2(side, both[number] if both else None, plain=plain)
            for number, side in enumerate(rest)
        ]
        if not any(epochs):
            return tuple(map(tuple, found))
        for side, epoch in zip(found, epochs, strict=True):
            side.extend(epoch)
        client, server = map(_last_hello, epochs)
        both = opening.of_1_2(client, server) if client and server else None
        plain = False


def _epoch_1_2(
    side: Iterator[Record], protection: Protection | None, *, plain: bool
) -> list[Opened]:
    """One side's next records up to its change of ciphers; all of them where that stays closed."""
    found: list[Opened] = []
    for record in side:
        if plain:
            found.append(Opened(record, record.content, record.body))
        else:
            found.append(_open_1_2(record, protection))
            protection = protection if found[-1].data is not None else None
        if record.content == CHANGE_CIPHER and found[-1].data is not None:
            break
    return found


def _open_1_2(record: Record, protection: Protection | None) -> Opened:
    try:
        if protection is None:
            raise NotOpenedError
        return Opened(record, *protection.open(record.content, record.header, record.body), True)
    except NotOpenedError:
        return Opened(record, record.content, None, True)


def _last_hello(epoch: Sequence[Opened]) -> Hello | None:
    """The hello of the handshake that ends an epoch."""
    pending = b"".join(one.data for one in epoch if one.content == HANDSHAKE and one.data)
    found = [hello.parse(message) for message in whole_messages(bytearray(pending))]
    return next((one for one in reversed(found) if one), None)


class _Side13:
    """One side's records of TLS 1.3 through its epochs: early data, handshake, traffic."""

    def __init__(self, opening: _Opening, number: int) -> None:
        self.opening, self.name = opening, ("CLIENT", "SERVER")[number]
        self.pending = bytearray()
        self.may_be_early = number == CLIENT and opening.early_offered
        early = opening.early() if number == CLIENT else None
        self.epoch = "early" if early else "handshake"
        self.protection = early or self._of("HANDSHAKE_TRAFFIC_SECRET")
        self.began = False

    def _of(self, label: str) -> Protection | None:
        return self.opening.protection(f"{self.name}_{label}")

    def walk(self, side: tuple[Record, ...]) -> Iterator[Opened]:
        """All records, in their order."""
        for record in side:
            if record.content != APPLICATION:
                yield Opened(record, record.content, record.body)
                continue
            early = self.epoch == "early"
            found = self._open(record)
            if found is None and early:  # the early data's end was not told: they were refused
                self._begin_handshake()
                early, found = False, self._open(record)
            if found is None:
                if self.began:
                    self.protection = None
                early = self.may_be_early and self.protection is not None and not self.began
                yield Opened(record, record.content, None, True, early)
                continue
            content, data = found
            yield Opened(record, content, data, True, early)
            if content == HANDSHAKE:
                self._follow(data)

    def _open(self, record: Record) -> tuple[int, bytes] | None:
        if self.protection is None:
            return None
        try:
            found = self.protection.open(record.content, record.header, record.body)
        except NotOpenedError:
            return None
        self.began = True
        return found

    def _begin_handshake(self) -> None:
        self.epoch, self.began = "handshake", False
        self.protection = self._of("HANDSHAKE_TRAFFIC_SECRET")

    def _follow(self, data: bytes) -> None:
        """Takes the next keys when a message says so."""
        self.pending += data
        for message in whole_messages(self.pending):
            if message[0] == END_OF_EARLY_DATA and self.epoch == "early":
                self._begin_handshake()
            elif message[0] == FINISHED and self.epoch == "handshake":
                self.epoch, self.secret_number = "traffic", 0
                self.secret = self.opening._secret(f"{self.name}_TRAFFIC_SECRET_0")
                self.protection = self._of("TRAFFIC_SECRET_0")
            elif message[0] == KEY_UPDATE and self.epoch == "traffic":
                self._update()

    def _update(self) -> None:
        suite = self.opening.suite
        if self.secret and suite:
            self.secret = schedule.next_secret(suite, self.secret)
            self.protection = schedule.protection_1_3(suite, self.secret)


def unread(stream: Stream, side: tuple[Opened, ...]) -> bool:
    """True if a stream goes on behind its last record that could be read as one."""
    return stream.end > (side[-1].record.end if side else 0)


__all__ = ["ALERT", "Opened", "Session", "read"]
