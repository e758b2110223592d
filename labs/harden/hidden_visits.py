"""What attackers, and honest visitors of the hidden part, send to the site of the hardening lab."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labs.harden.lab import APP_PORT, ATTACKER, CLIENT, DATA, SERVER, WEB_PORT, Lab, Visit
from testbed import SeededRandom, param

if TYPE_CHECKING:
    from testbed import RunningNetwork

PLANTED = "planted0001"
"""A session id that an attacker makes somebody use."""

EVIL = {"Origin": "http://evil.example", "Referer": "http://evil.example/game"}
BYPASSES = (("alice' --", "x"), ("x' OR '1'='1' --", "x"), ("alice", "' OR 'a'='a"))
"""Name and password that are no name and no password."""

LINKS = {
    "a link with a script": "javascript:steal('MARK1')",
    "a link with a script, spelt otherwise": " JaVaScRiPt:steal('MARK2')",
    "a link with an attribute": "https://club.example/\" onmouseover=\"steal('MARK3')",
    "a link with a page": "data:text/html,<script>MARK4</script>",
}
"""What it is → what is sent; MARK stands for the variant's mark, here and below."""

TEXTS = {
    "a message with a script": "<script>steal('MARK11')</script>",
    "a message with an image": "<img src=x onerror=\"steal('MARK12')\">",
    "a message with a drawing": '<svg><a xlink:href="javascript:MARK13"><text>go</text></a></svg>',
    "a message with half a script": "<ScRiPt>MARK14",
}
"""The last one may end the page, so nothing is looked at behind it."""

WORDS = {
    "a word with an image": "<img src=x onerror=steal('MARK21')>",
    "a word with a script": '"><script>MARK22</script>',
    "a word with an attribute": "\" autofocus onfocus=\"steal('MARK23')",
}
MARKUP = "1 < 2 & \"3\" > '2' <b>bold</b> MARK11 MARK21"
"""Marks as honest text: who leaves out marks leaves out this."""

HARMLESS_LINK = "http://club.example/MARK1"
QUOTED = "it's || fine -- really; 网络"
LONG = "a long story " * 150
CONNECTIONS, HELD_S, EVERY_S = 300, 20.0, 2.0
"""More than the server can have; for how long they are held, and how often a line is sent."""

SLOW = {
    "slow-header": (b"GET / HTTP/1.1\r\n", b"Host: h2\r\n", b"Connection: close\r\n\r\n"),
    "slow-body": (
        b"POST /login HTTP/1.1\r\nHost: h2\r\nConnection: close\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 31\r\n\r\n",
        b"user=nobody",
        b"&password=x",
        b"&again=x1",
    ),
}
"""Honest visitors with slow lines: what they send, with a second between the pieces."""


AGAIN = 5
"""How often an honest member comes again, between the attacks and after most of them."""

_LETTERS = "bcdfghjkmnpqrstvwxz"
_MOST_NUMBER = 10**9


class HiddenVisits(Lab):
    """The hidden visits."""

    @dataclass(frozen=True)
    class Parameters(Lab.Parameters):
        """And what students do not know."""

        hidden: int = param(1, "passwords and marks of the hidden part", low=0, high=_MOST_NUMBER)

    params: Parameters
    secret_files = (DATA, "plan-*.json", "logs/visits-*.log", "captures/*", "out/*/nginx.log")

    @classmethod
    def variant(cls, random: SeededRandom) -> Mapping[str, Any]:
        """One more number."""
        return {**super().variant(random), "hidden": random.integer(2, _MOST_NUMBER)}

    def _word(self, name: str) -> str:
        """A word that nobody can guess."""
        random = SeededRandom(b"the hidden visits", name, str(self.params.hidden))
        return "".join(random.choice(_LETTERS) for _ in range(8))

    @property
    def mark(self) -> str:
        """The variant's own."""
        return self._word("mark")

    def marked(self, text: str) -> str:
        """A text with the variant's marks."""
        return text.replace("MARK", self.mark)

    @property
    def passwords(self) -> Mapping[str, str]:
        """Other ones than students know, and one with everything in it that is special in SQL."""
        words = {name: self._word(name) for name in ("alice", "bob", "dora", "eve")}
        return {**words, "dora": f"{words['dora']}'s \"me\" -- or '1'='1"}

    def run(self, net: RunningNetwork) -> None:
        """The public visits, then hidden honest ones, then attacks."""
        super().run(net)
        self.visit(net, "honest", self._honest())
        kinds = (self._sessions, self._forgeries, self._errors, self._injections, self._links)
        attacks = [
            visit
            for number, kind in enumerate(kinds, 1)
            for visit in (*kind(), *self._again(number))
        ]
        self.visit(net, "attacks", [*attacks, *self._texts()])
        for name, pieces in SLOW.items():
            net.event("slow", name=name, answer=self._slowly(net, pieces))
        self.visit(net, "direct", [self.look("direct")], port=APP_PORT)
        held = b"GET / HTTP/1.1\r\nHost: h2\r\n"
        self._besiege(net, "many-headers", held, b"X-More: x\r\n")
        body = b"POST /login HTTP/1.1\r\nHost: h2\r\nContent-Length: 500\r\n\r\nuser="
        self._besiege(net, "many-bodies", body, b"")

    # ---- visits

    def _honest(self) -> list[Visit]:
        """What too strict a cure breaks."""
        return [
            self.find("quote", "o'clock"),
            self.find("words", "Selection of union"),
            self.find("by-price", "e", **{self.params.order: "price"}),
            self.find("by-title", "e", **{self.params.order: "title"}),
            self.find("markup", self.marked(MARKUP)),
            self.open_item("third", "3"),
            self.login("login-dora", "dora", who="dora"),
            self.look("dora", "dora"),
            self.login("wrong", "bob", "rosebud", who="wrong"),
            self.look("as-wrong", "wrong"),
            self.login("login-first", "alice", who="first"),
            self.login("login-second", "alice", who="second"),
            self.look("first", "first"),
            self.look("second", "second"),
            self.login("login-eve", "eve", who="eve"),
            self.say("say-markup", "eve", self.marked(MARKUP), self.marked(HARMLESS_LINK)),
            self.say("say-quoted", "eve", QUOTED),
            self.say("say-long", "eve", LONG),
            self.give("tab-one", "eve", "carol"),
            self.give("tab-two", "eve", "dave", stale=True),
            self.look("eve-after", "eve"),
        ]

    def _again(self, number: int) -> list[Visit]:
        """An honest member comes again: nobody is locked out for what others did."""
        who = f"again-{number}"
        return [
            self.find(f"search-{number}", "tea"),
            self.open_item(f"item-{number}", "3"),
            self.login(f"login-{number}", "alice", who=who),
            self.say(f"say-{number}", who, f"Visit {number} was fine."),
            self.give(f"give-{number}", who, "frank", f"{10 + number}"),
            self.look(who, who),
        ]

    def _sessions(self) -> list[Visit]:
        return [
            self.login("fix", "bob", who="victim", cookie=PLANTED),
            self.look("fixed", cookie=PLANTED),
            self.look("before-login", "early", keep="old"),
            self.login("late-login", "bob", who="early"),
            self.look("not-renewed", cookie="$old"),
            self.login("login-alice", "alice", who="alice", keep="gone"),
            self.login("login-next", "eve", who="eve"),
            self.look("guessed", cookie="$eve-1"),
            {"name": "logout-alice", "who": "alice", "form": "/logout"},
            self.look("kept", cookie="$gone"),
        ]

    def _forgeries(self) -> list[Visit]:
        p = self.params

        def fields(name: str) -> dict[str, str]:
            return {p.payee: name, "amount": "5"}

        post = {"method": "POST", "who": "alice", "path": f"/{p.pay}"}
        text = {"text": "a forged message", "link": ""}
        return [
            self.login("login-again", "alice", who="alice"),
            {"name": "foreign", **post, "fields": fields("mallory1"), "headers": EVIL},
            {"name": "bare", **post, "fields": fields("mallory2")},
            {"name": "by-get", "who": "alice", "path": f"/{p.pay}", "query": fields("mallory3")},
            self.give("others-form", "eve", "mallory4", cookie="$alice"),
            {**post, "name": "write", "path": f"/{p.write}", "fields": text, "headers": EVIL},
            self.look("alice-after", "alice"),
        ]

    def _errors(self) -> list[Visit]:
        return [
            self.open_item("bad-number", "abc'"),
            self.find("bad-order", "e", **{self.params.order: "nonsense"}),
            {"name": "no-fields", "path": "/login", "method": "POST", "fields": {}},
            self.give("bad-amount", "eve", "bob", "much"),
        ]

    def _injections(self) -> list[Visit]:
        p = self.params
        bypasses: list[Visit] = []
        for number, (user, password) in enumerate(BYPASSES, 1):
            who = f"nobody-{number}"
            bypasses += [self.login(who, user, password, who=who), self.look(f"as-{who}", who)]
        stolen = f"(SELECT password FROM {p.accounts} WHERE name = 'bob')"
        guess = f"CASE WHEN substr({stolen}, 1, 1) = '%s' THEN title ELSE price END"
        right = self.passwords["bob"][0]
        union = f"zzz' UNION SELECT 1, name, password FROM {p.accounts} --"
        return [
            *bypasses,
            self.find("union", union),
            self.find("hidden", "%' OR hidden = 1 --"),
            self.open_item("item-union", f"0 UNION SELECT password, 1 FROM {p.accounts}"),
            self.open_item("item-hidden", "-1 OR hidden = 1"),
            self.find("guess-right", "e", **{p.order: guess % right}),
            self.find("guess-wrong", "e", **{p.order: guess % "-"}),
            self.say("say-stolen", "eve", f"x' || {stolen} || '"),
            self.look("stolen"),
        ]

    def _links(self) -> list[Visit]:
        links = [self.marked(link) for link in LINKS.values()]
        return [
            *(self.find(name, self.marked(word)) for name, word in WORDS.items()),
            *(self.say(f"link-{number}", "eve", "look", u) for number, u in enumerate(links, 1)),
            self.look("links"),
        ]

    def _texts(self) -> list[Visit]:
        """Behind them, only pages without messages are looked at."""
        texts = [self.marked(text) for text in TEXTS.values()]
        return [
            *(self.say(f"text-{number}", "eve", text) for number, text in enumerate(texts, 1)),
            self.look("texts"),
            self.find("search-last", "tea"),
            self.open_item("item-last", "3"),
            {"name": "script", "path": "/site.js"},
        ]

    # ---- the server

    def _slowly(self, net: RunningNetwork, pieces: Sequence[bytes]) -> str:
        """Sends a request in pieces; the response's first line."""
        with net.inside(CLIENT, socket.socket) as made, contextlib.suppress(OSError):
            made.settimeout(10)
            made.connect((net.address(SERVER), WEB_PORT))
            for piece in pieces:
                made.sendall(piece)
                net.sleep(1)
            return made.recv(1000).decode(errors="replace").split("\r\n")[0]
        return ""

    def _besiege(self, net: RunningNetwork, name: str, first: bytes, more: bytes) -> None:
        """Holds many unfinished requests; after a while an honest visitor comes."""
        made = [net.inside(ATTACKER, socket.socket) for _ in range(CONNECTIONS)]
        for one in made:
            one.setblocking(False)
            one.connect_ex((net.address(SERVER), WEB_PORT))
        net.sleep(0.5)
        for number in range(int(HELD_S / EVERY_S)):
            for one in made:
                with contextlib.suppress(OSError):  # those that the server has closed
                    one.send(more if number else first)
            net.sleep(EVERY_S)
        self.visit(net, name, [self.look(name)])
        for one in made:
            one.close()
        net.sleep(1)
