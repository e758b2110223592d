"""State on top of a stateless protocol: cookies, sessions, tokens."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from analysis.dissect import http
from testbed import Action, LinkShape, Tables, param, program, steps, wait
from testbed.daemons import start
from testbed.daemons.web_application import WebApplication
from topologies.line import Line

from . import remembering, requests
from .cookies import Cookies
from .remembering import Remembering
from .requests import COOKIES, LOGIN
from .tokens import Tokens

if TYPE_CHECKING:
    import pandas as pd

    from testbed import Process, RunningNetwork, ScenarioData

LASTS_S = 60
"""A session's and a token's time."""

FLAWS = ("by-address", "plain-session", "no-logout", "unverified", "kept-tokens")
"""Mistakes of the web application."""

FAULTS = ("none", "greedy", "long-lived", *FLAWS)


class HttpState(Cookies, Tokens, Remembering):
    """State in HTTP: cookies, sessions on the server, and tokens.

    h1 (curl, with a file of cookies as a browser has it) gets cookies with each attribute, then
    visits the same host, a path below, a sibling, another domain, comes back later and after a
    restart. It logs in with a session and with a token. r1, on the path, reads both and uses them.
    The server is restarted, and time passes. At the end many log in, with sessions and with tokens,
    and the server's memory is read.

    HttpOnly and SameSite matter to browsers alone, which curl is not. `faults` break things on
    purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(5.0, "delay of the path, one way", unit="ms", low=0, high=1000)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("curl",)

    # ---- in the network

    def topology(self) -> Line:
        """h1 and h2 in LANs of their own, two routers between them."""
        return Line(2, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """All steps, one after another; the jar of cookies lives across them."""
        self._server = self._start(net)
        net.capture(requests.CLIENT, requests.PATH)
        steps.play(net, {**self._visits(), **self._sessions(), **self._tokens()}, quiet_s=0.5)
        steps.play(net, remembering.steps_of(self._server, LASTS_S), quiet_s=0.5)
        net.sleep(1.0)

    def _restart(self, net: RunningNetwork) -> None:
        """Ends the application, and starts it with an empty memory."""
        self._server.stop()
        self._server = self._start(net)

    def _start(self, net: RunningNetwork) -> Process:
        """Starts the application."""
        faults = self.params.faults
        lasts_s = LASTS_S * 10 if "long-lived" in faults else LASTS_S
        basket = f"session_bytes={remembering.BASKET_BYTES}"
        options = (f"session_s={lasts_s}", f"token_s={lasts_s}", basket)
        flaws = [fault for fault in faults if fault in FLAWS]
        running = start(net, {"h2": [WebApplication(flaws=flaws, options=options)]})
        return running["h2", WebApplication.name].process

    def _curl(self, *words: str, host: str = "www.example.org", jar: str = "/tmp/jar") -> Action:
        """One visit of h1; `words` begin with the path."""
        path, *options = words
        keep: tuple[str, ...] = ("--cookie", jar, "--cookie-jar", jar)
        if "greedy" in self.params.faults and path.startswith("/echo"):
            keep = ("--cookie", "; ".join(f"{name}=all" for name in COOKIES))
        return _visit("h1", f"http://{host}:8000{path}", *keep, *options)

    def _visits(self) -> dict[str, Action]:
        query = "&".join(f"{name}={quote(words)}" for name, words in COOKIES.items())
        site = "http://www.example.org:8000"
        return {
            "stateless": _visit(
                "h1", f"{site}/login", "--data", LOGIN, "--next", *_QUIET, f"{site}/account"
            ),
            "set": self._curl(f"/cookies?{query}"),
            "same-host": self._curl("/echo"),
            "deep": self._curl("/echo/deep/below"),
            "sibling": self._curl("/echo", host="shop.example.org"),
            "other-domain": self._curl("/echo", host="www.example.net"),
            "later": wait(15, self._curl("/echo")),
            "restarted": self._curl("/echo", "--junk-session-cookies"),
        }

    def _sessions(self) -> dict[str, Action]:
        jar, second = "/tmp/session", "/tmp/second"
        return {
            "login": self._curl("/login", "--data", LOGIN, jar=jar),
            "account": self._curl("/account", jar=jar),
            "theft": self._steal(jar),
            "logout": self._curl("/logout", "--data", "", jar=jar),
            "theft-too-late": self._again,
            "second-login": self._curl("/login", "--data", LOGIN, jar=second),
            "second-account": self._curl("/account", jar=second),
            "too-late": wait(LASTS_S, self._curl("/account", jar=second)),
        }

    def _tokens(self) -> dict[str, Action]:
        third = "/tmp/third"
        return {
            "third-login": self._curl("/login", "--data", LOGIN, jar=third),
            "third-account": self._curl("/account", jar=third),
            "token": _visit("h1", f"{_SITE}/token", "--data", LOGIN, log="token"),
            "token-account": self._bearer("h1"),
            "token-changed": self._bearer("h1", changed=True),
            "token-logout": self._curl("/logout", "--data", "", jar=third),
            "token-theft": self._bearer("r1"),
            "fourth-login": self._curl("/login", "--data", LOGIN, jar=third),
            "restart": self._restart,
            "session-restarted": self._curl("/account", jar=third),
            "token-restarted": self._bearer("h1"),
            "token-too-late": wait(LASTS_S, self._bearer("h1")),
        }

    def _steal(self, jar: str) -> Action:
        """r1 sends the cookie that it read, which is the one in h1's jar."""

        def act(net: RunningNetwork) -> None:
            text = Path(jar).read_text() if Path(jar).exists() else "none"
            self._stolen = text.split()[-1]
            self._again(net)

        return act

    def _again(self, net: RunningNetwork) -> None:
        _visit("r1", f"{_SITE}/account", "--header", f"Cookie: session={self._stolen}")(net)

    def _bearer(self, node: str, *, changed: bool = False) -> Action:
        """Asks with the token that h1 got, or with another name in it."""

        def act(net: RunningNetwork) -> None:
            log = (net.path / "logs" / "token.log").read_text()
            token = _rewritten(requests.token_of(log)) if changed else requests.token_of(log)
            words = ("--header", f"Authorization: Bearer {token}")
            _visit(node, f"{_SITE}/api/account", *words)(net)

        return act

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by step, and the server's memory."""
        found = steps.measure(data, http.COLUMNS, {"http": requests.read})
        memory = steps.json_logs(data, found["steps"], remembering.MEMORY)
        return {**found, "memory": memory}

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, str]:
        """Ladders of some of the steps.

        Figures:
            1_set: The server sets eight cookies in one response.
            2_back: The client sends those back that fit the host, the path, the time and the
                protocol.
            3_theft: Somebody on the path sends a cookie that was read there; to the server it is
                the user.
        """
        ladder = steps.ladder
        return {
            "1_set": ladder(tables, "set", requests.CLIENT, hosts=("h1", "h2")),
            "2_back": ladder(tables, "same-host", requests.CLIENT, hosts=("h1", "h2")),
            "3_theft": ladder(tables, "theft", requests.PATH, hosts=("r1", "h2")),
        }


def _visit(node: str, url: str, *words: str, log: str = "") -> Action:
    """One run of curl; all names lead to h2."""

    def act(net: RunningNetwork) -> None:
        lead = ("--connect-to", f"::{net.address('h2')}:8000")
        options = [x for word in words for x in ((word, *lead) if word == "--next" else (word,))]
        program(node, "curl", *_QUIET, *lead, url, *options, log=log)(net)

    return act


def _rewritten(token: str) -> str:
    """A token with bob's name, and the signature as it was."""
    if token.count(".") != 2:
        return token
    head, claims, signature = token.split(".")
    found = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    changed = json.dumps({**found, "sub": "bob"}, separators=(",", ":")).encode()
    return f"{head}.{base64.urlsafe_b64encode(changed).decode().rstrip('=')}.{signature}"


_QUIET = ("--silent", "--show-error")
_SITE = "http://www.example.org:8000"
