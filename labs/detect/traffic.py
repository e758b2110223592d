"""One round of traffic at the edge of a site: honest users, and attacks among them.

Everything is drawn from the round's number: who attacks whom, when, how fast, and with which part
of the round's `Material`. Servers, connections and answers are real; senders are forged where an
attacker would forge them. All packets are counted beforehand, and stay in a guest without any way
out.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from testbed import SeededRandom, crafted

if TYPE_CHECKING:
    from testbed import RunningNetwork

_ABOUT = b"the traffic of the lab detect"
KINDS = (
    "syn_flood",
    "port_scan",
    "password_guessing",
    "sql_injection",
    "dns_amplification",
    "arp_poisoning",
)
ROUND_S, PAUSE_S = 60.0, 30.0
"""How long a round is, and the silence behind it, in which the kernel's repetitions end."""

INSIDE, OUTSIDE = 7, 11
"""Number of hosts on either side."""

NAMES = ("www", "mail", "files", "news")
DNS_PORT, WEB_PORT = 53, 80
LIMIT_S = 3.0
"""For each answer."""

SHOP = "/sqlite"
"""Where the shop's pages are."""

USERS = {"alice": "rosebud", "bob": "swordfish", "o'brien": "tomato"}
"""The shop's own accounts."""

MOST_GUESSES, MOST_INJECTIONS = 40, 6
"""In one attack."""


@dataclass(frozen=True)
class Material:
    """What a round is made of.

    Attributes:
        searches: for what honest people search.
        injections: fields that are more than a text, at least `MOST_INJECTIONS`.
        guesses: wrong passwords, at least `MOST_GUESSES`.
        forged: the network of a flood's senders, in which nobody is.
        long_name: the name with a long TXT record.
        watched: the ports that the monitor looks at.
    """

    searches: Sequence[str]
    injections: Sequence[str]
    guesses: Sequence[str]
    forged: IPv4Network
    long_name: str
    watched: Sequence[int]


PUBLIC = Material(
    searches=(
        "kettle",
        "baker's",
        "rock 'n' roll",
        "select a union",
        "tin or kettle",
        "next year's",
    ),
    injections=(
        "' OR '1'='1",
        "' UNION SELECT name, password FROM accounts --",
        "x'; DROP TABLE accounts; --",
        "%' OR hidden --",
        "' AND (SELECT substr(password, 1, 1) FROM accounts) = 'r' --",
        "' or 1=1 --",
        "zzz' union select name, password from accounts where name = 'bob",
    ),
    guesses=tuple(
        f"{word}{number}"
        for word in ("123456", "password", "qwerty", "letmein", "dragon", "monkey", "sunshine")
        for number in range(10)
    ),
    forged=IPv4Network("198.18.0.0/16"),
    long_name="all.example.org",
    watched=(22, WEB_PORT, 443),
)
"""Of the practice captures. What is in the hidden ones is not in the bundle."""

BUNDLED = {"web": "h1", "insider": "h2", "scanner": "o9", "reflected": "o1"}
"""Who is who in the bundle's capture: in other rounds somebody else, so its answers fit none."""

_SYN, _MSS, _WINDOW = 0x02, (2, 4, 1460), 64_240
_TCP = struct.Struct("!HHIIBBHHHBBH")
_ETHER, _ARP_TYPE, _ARP = struct.Struct("!6s6sH"), 0x0806, struct.Struct("!HHBBH6s4s6s4s")
_REPLY, _EVERYBODY = 2, b"\xff" * 6
_TXT, _A, _IN, _OPT, _EDNS_BYTES = 16, 1, 1, 41, 4096

Act = Callable[[], object]


@dataclass(frozen=True)
class Attack:
    """What happens, and what a program has to say of it.

    Attributes:
        kind: one of `KINDS`.
        attacker: its address; empty if the senders are forged.
        victim: whose address.
        acts: when, in seconds from the round's begin, and what; in order.
    """

    kind: str
    attacker: str
    victim: str
    acts: tuple[tuple[float, Act], ...]


def servers(number: int) -> tuple[list[str], str]:
    """The nodes with web servers, two, and the one with the name server, drawn from a number."""
    random = SeededRandom(_ABOUT, "servers", str(number))
    first, second, dns = random.sample([f"h{n}" for n in range(1, INSIDE + 1)], 3)
    return [first, second], dns


class Round:
    """One round.

    Attributes:
        flooder: the node from which forged packets leave.
        insider: the node in the LAN that may lie.
    """

    def __init__(
        self,
        net: RunningNetwork,
        number: int,
        places: tuple[Sequence[str], str],
        material: Material,
    ) -> None:
        self.net, self.random = net, SeededRandom(_ABOUT, "round", str(number))
        self.material = material
        webs, dns = places
        own = {*webs, dns}
        hosts = [f"h{n}" for n in range(1, INSIDE + 1) if f"h{n}" not in own]
        while True:
            inside = self.random.shuffled(hosts)
            outside = self.random.shuffled([f"o{n}" for n in range(1, OUTSIDE + 1)])
            web = self.random.choice(webs)
            self.insider, self.target = inside[:2]
            self.visitors, self.proxy, self.monitor = outside[:4], outside[4], outside[5]
            self.scanner, self.guesser, self.thief, self.flooder, self.reflected = outside[6:]
            cast = {"web": web, **{name: getattr(self, name) for name in tuple(BUNDLED)[1:]}}
            if not cast.items() & BUNDLED.items():
                break
        self.web, self.dns = net.address(web), net.address(dns)

    # ---- attacks

    def attacks(self, out: crafted.Sender, wire: socket.socket) -> list[Attack]:
        """One of each kind.

        Args:
            out: sends forged packets from `flooder`.
            wire: sends frames from `insider`.
        """
        return [
            self._flood(out),
            self._scan(),
            self._guess(),
            self._inject(),
            self._amplify(out),
            self._poison(wire),
        ]

    def _times(self, count: int, low_ms: int, high_ms: int) -> list[float]:
        """Moments from a random begin, with random gaps; all end within the round."""
        gaps = [self.random.integer(low_ms, high_ms) / 1e3 for _ in range(count - 1)]
        begin = 4 + self.random.integer(0, int(1e3 * (ROUND_S - 10 - sum(gaps)))) / 1e3
        return [begin + sum(gaps[:number]) for number in range(count)]

    def _flood(self, out: crafted.Sender) -> Attack:
        count, forged = self.random.integer(150, 250), self.material.forged
        acts = []
        for number, when_s in enumerate(self._times(count, 20, 50)):
            source = forged[self.random.integer(1, forged.num_addresses - 2)]
            packet = syn(source, self.random.integer(1024, 60_000), IPv4Address(self.web), number)
            acts.append((when_s, partial(out.send, packet)))
        return Attack("syn_flood", "", self.web, tuple(acts))

    def _scan(self) -> Attack:
        """Ports of the web server or of another host, by connections that end at once."""
        victim = self.random.choice((self.web, self.net.address(self.target)))
        ports = self.random.sample(range(1, 1024), self.random.integer(40, 70))
        times = self._times(len(ports), 80, 250)
        acts = [
            (when_s, partial(self.tcp, self.scanner, victim, port, b""))
            for when_s, port in zip(times, ports, strict=True)
        ]
        return Attack("port_scan", self.net.address(self.scanner), victim, tuple(acts))

    def _guess(self) -> Attack:
        user = self.random.choice(("alice", "bob"))
        times = self._times(self.random.integer(25, MOST_GUESSES), 150, 500)
        guesses = self.random.sample(self.material.guesses, len(times))
        acts = [
            (when_s, partial(self.login, self.guesser, user, guess))
            for when_s, guess in zip(times, guesses, strict=True)
        ]
        return Attack("password_guessing", self.net.address(self.guesser), self.web, tuple(acts))

    def _inject(self) -> Attack:
        words = self.random.sample(
            self.material.injections, self.random.integer(4, MOST_INJECTIONS)
        )
        acts: list[tuple[float, Act]] = []
        for when_s, word in zip(self._times(len(words), 800, 2000), words, strict=True):
            if self.random.integer(0, 3):
                acts.append((when_s, partial(self.find, self.thief, word)))
            else:
                acts.append((when_s, partial(self.login, self.thief, word, "x")))
        return Attack("sql_injection", self.net.address(self.thief), self.web, tuple(acts))

    def _amplify(self, out: crafted.Sender) -> Attack:
        victim = self.net.address(self.reflected)
        port = self.random.integer(1024, 60_000)
        count = self.random.integer(60, 90)
        acts = []
        for number, when_s in enumerate(self._times(count, 50, 150)):
            asked = question(self.material.long_name, _TXT, self.random.integer(0, 65_535))
            ends = (IPv4Address(victim), port), (IPv4Address(self.dns), DNS_PORT)
            packet = crafted.udp_packet(*ends, asked, number)
            acts.append((when_s, partial(out.send, packet)))
        return Attack("dns_amplification", "", victim, tuple(acts))

    def _poison(self, wire: socket.socket) -> Attack:
        """The insider tells everybody that an address is at its own card."""
        victim = self.random.choice((self.web, self.net.address(self.target)))
        own = wire.getsockname()[4]
        lie = announcement(own, IPv4Address(victim))
        times = self._times(self.random.integer(12, 20), 400, 1000)
        acts = [(when_s, partial(wire.send, lie)) for when_s in times]
        return Attack("arp_poisoning", own.hex(":"), victim, tuple(acts))

    # ---- honest users

    def honest(self, wires: Sequence[socket.socket]) -> Iterator[crafted.Timed]:
        """Everything else: some of it looks like an attack, but is not one."""
        for person in self.visitors:
            user = self.random.choice(tuple(USERS))
            searches = self.material.searches
            for word, when_s in zip(searches, self._anytime(len(searches)), strict=True):
                yield when_s, partial(self.find, person, word)
            for when_s in self._anytime(3):
                yield when_s, partial(self.login, person, user, USERS[user])
            for when_s in self._anytime(6):
                name = f"{self.random.choice(NAMES)}.example.org"
                yield when_s, partial(self.ask, person, name, _A)
        yield from self._look_alikes()
        for wire in wires:  # hosts announce themselves, as after they were switched on
            name, *_, own = wire.getsockname()
            mine = announcement(own, IPv4Address(self.net.address(name.removesuffix("-eth0"))))
            for when_s in (0.5, *self._anytime(2)):
                yield when_s, partial(wire.send, mine)

    def _look_alikes(self) -> Iterator[crafted.Timed]:
        """A forgetful user, a proxy's crowd, a monitor, a careful administrator."""
        begin_s = self.random.integer(5, 40)
        for number in range(3):  # the right password comes to mind in the end
            yield begin_s + 2.0 * number, partial(self.login, self.visitors[0], "bob", "sword")
        yield begin_s + 7.0, partial(self.login, self.visitors[0], "bob", USERS["bob"])
        begin_s = self.random.integer(5, 50)
        for number in range(40):
            yield begin_s + number / 20, partial(self.item, self.proxy, 1 + number % 3)
        begin_s = self.random.integer(5, 45)
        for number in range(20):  # many members behind one address
            user = tuple(USERS)[number % len(USERS)]
            yield begin_s + number / 2, partial(self.login, self.proxy, user, USERS[user])
        for number in range(14):
            for place, port in enumerate(self.material.watched):
                act = partial(self.tcp, self.monitor, self.web, port, b"")
                yield 2 + 4 * number + place / 10, act
        for when_s in self._anytime(4):
            yield when_s, partial(self.ask, self.visitors[1], self.material.long_name, _TXT)
        begin_s = self.random.integer(5, 45)
        for number in range(50):
            name = f"{self.random.choice(NAMES)}.example.org"
            yield begin_s + number / 8, partial(self.ask, self.proxy, name, _A)

    def _anytime(self, count: int) -> list[float]:
        return [3 + self.random.integer(0, int(1e3 * (ROUND_S - 5))) / 1e3 for _ in range(count)]

    # ---- requests

    def find(self, node: str, word: str) -> None:
        """Searches in the shop."""
        self._http(node, f"GET {SHOP}/search?{urlencode({'word': word})}")

    def item(self, node: str, number: int) -> None:
        """Looks at one item."""
        self._http(node, f"GET {SHOP}/item?number={number}")

    def login(self, node: str, user: str, password: str) -> None:
        """Logs in, or does not."""
        body = urlencode({"user": user, "password": password})
        self._http(node, f"POST {SHOP}/login", body)

    def _http(self, node: str, line: str, body: str = "") -> None:
        head = [f"{line} HTTP/1.1", "Host: shop.example.org", "Connection: close"]
        if body:
            head += ["Content-Type: application/x-www-form-urlencoded"]
            head += [f"Content-Length: {len(body)}"]
        self.tcp(node, self.web, WEB_PORT, "\r\n".join([*head, "", body]).encode())

    def tcp(self, node: str, address: str, port: int, data: bytes) -> None:
        """A connection: sends, reads to the end, closes; whatever fails, fails."""
        with self.net.inside(node, socket.socket) as made:
            made.settimeout(LIMIT_S)
            try:
                made.connect((address, port))
                if data:
                    made.sendall(data)
                    while made.recv(65_536):
                        pass
            except OSError:
                return

    def ask(self, node: str, name: str, kind: int) -> None:
        """Asks a name server."""
        with self.net.inside(node, partial(socket.socket, type=socket.SOCK_DGRAM)) as made:
            made.settimeout(LIMIT_S)
            made.sendto(question(name, kind, self.random.integer(0, 65_535)), (self.dns, DNS_PORT))
            try:
                made.recv(65_536)
            except OSError:
                return


def syn(source: IPv4Address, sport: int, target: IPv4Address, number: int) -> bytes:
    """A SYN to the web server as an IP packet (RFC 9293 §3.1)."""
    words = (sport, WEB_PORT, 1000 * number, 0, (_TCP.size // 4) << 4, _SYN, _WINDOW)
    total = crafted.checksum(source, target, socket.IPPROTO_TCP, _TCP.pack(*words, 0, 0, *_MSS))
    segment = _TCP.pack(*words, total, 0, *_MSS)
    return crafted.ip_packet(source, target, socket.IPPROTO_TCP, segment, number)


def question(name: str, kind: int, number: int) -> bytes:
    """A question that takes large answers (RFC 1035 §4.1, RFC 6891 §6.1.2)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    head = struct.pack("!6H", number, 0, 1, 0, 0, 1)
    option = struct.pack("!BHHIH", 0, _OPT, _EDNS_BYTES, 0, 0)
    return head + labels + struct.pack("!BHH", 0, kind, _IN) + option


def announcement(mac: bytes, address: IPv4Address) -> bytes:
    """A reply that nobody asked for, as a frame to everybody (RFC 826, RFC 5227 §3)."""
    body = _ARP.pack(1, 0x0800, 6, 4, _REPLY, mac, address.packed, _EVERYBODY, address.packed)
    return _ETHER.pack(_EVERYBODY, mac, _ARP_TYPE) + body
