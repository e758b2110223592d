"""What attackers, and honest visitors of the hidden part, send to the site of the hardening lab."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from labs.harden.lab import APP_PORT, ATTACKER, CLIENT, SERVER, WEB_PORT, Lab, Visit

if TYPE_CHECKING:
    from testbed import RunningNetwork

PLANTED = "planted0001"
"""A session id that an attacker makes somebody use."""

EVIL = {"Origin": "http://evil.example", "Referer": "http://evil.example/game"}
BYPASSES = (("alice' --", "x"), ("x' OR '1'='1' --", "x"), ("alice", "' OR 'a'='a"))
"""Name and password that are no name and no password."""

LINKS = (
    "javascript:steal('mark1')",
    " JaVaScRiPt:steal('mark2')",
    "https://club.example/\" onmouseover=\"steal('mark3')",
    "data:text/html,<script>mark4</script>",
)
TEXTS = (
    "<script>steal('mark11')</script>",
    "<img src=x onerror=\"steal('mark12')\">",
    '<svg><a xlink:href="javascript:mark13"><text>more</text></a></svg>',
    "<ScRiPt>mark14",
)
"""The last one may end the page, so nothing is looked at behind it."""

WORDS = (
    "<img src=x onerror=steal('mark21')>",
    '"><script>mark22</script>',
    "\" autofocus onfocus=\"steal('mark23')",
)
MARKUP = "1 < 2 & \"3\" > '2' <b>bold</b>"
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


class HiddenVisits(Lab):
    """The hidden visits."""

    passwords: Mapping[str, str] = {
        "alice": "marigold7",
        "bob": "Zaphod42",
        "dora": "it's \"me\" -- or '1'='1",
        "eve": "Trillian5",
    }

    def run(self, net: RunningNetwork) -> None:
        """The public visits, then hidden honest ones, then attacks."""
        super().run(net)
        self.visit(net, "honest", self._honest())
        attacks = [*self._sessions(), *self._forgeries(), *self._errors(), *self._injections()]
        self.visit(net, "attacks", [*attacks, *self._scripts()])
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
            self.find("markup", MARKUP),
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
            self.say("say-markup", "eve", MARKUP, "http://club.example/"),
            self.say("say-quoted", "eve", QUOTED),
            self.say("say-long", "eve", LONG),
            self.give("tab-one", "eve", "carol"),
            self.give("tab-two", "eve", "dave", stale=True),
            self.look("eve-after", "eve"),
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

    def _scripts(self) -> list[Visit]:
        return [
            *(self.find(f"reflected-{number}", word) for number, word in enumerate(WORDS, 1)),
            *(self.say(f"link-{number}", "eve", "look", u) for number, u in enumerate(LINKS, 1)),
            self.look("links"),
            *(self.say(f"text-{number}", "eve", text) for number, text in enumerate(TEXTS, 1)),
            self.look("texts"),
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
