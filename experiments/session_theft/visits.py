"""The steps: what the victim does on h1, and what the attacker makes of it on h3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from testbed import Action

from .attacks import (
    AGENT,
    KEPT_S,
    MALLORY,
    SESSIONS,
    SHORT_S,
    TOKEN_S,
    TOKENS,
    VICTIM,
    fits,
    guesses,
    step,
    victim_step,
)
from .clients import Client, form, id_in, token_in, with_jar
from .thief import NODE, Thief

if TYPE_CHECKING:
    from testbed import RunningNetwork
    from testbed.daemons.certificates import Files

UPDATED = AGENT.replace("140", "141")
"""The victim's browser after an update."""

OTHER_HOST = 77
"""The last number of the address to which the victim moves."""

SETTLE_S = 3.0
"""How long the lies need to be believed."""


class Visits:
    """All steps; what the attacker learns in one is used in the next."""

    def __init__(self, net: RunningNetwork, made: Mapping[str, Files], *, tls: bool) -> None:
        self.net = net
        self.victim, self.mallory = (Client(net, n, made, tls=tls) for n in ("h1", NODE))
        self.thief = Thief(net)
        self._trap = "none"
        self._tokens: dict[str, dict[str, str]] = {}

    def steps(self, *, poisons: bool) -> dict[str, Action]:
        """Steps by name."""
        every: dict[str, Action] = {
            victim_step("login", "calm"): lambda _: self._login("none"),
            "poisoning": lambda _: self._poison(poisons),
        }
        for defence in SESSIONS:
            every |= self._session_steps(defence)
        every |= self._binding_steps()
        for defence in TOKENS:
            every |= self._token_steps(defence)
        late = step("token-expired", "none")
        return every | {late: lambda _: self._use_token("none", TOKEN_S)}

    def _poison(self, poisons: bool) -> None:
        if poisons:
            self.thief.poison(self.net.address("h1"), self.net.address("r1"))
        self.net.sleep(SETTLE_S)

    # ---- sessions

    def _session_steps(self, defence: str) -> dict[str, Action]:
        every: dict[str, Action] = {
            victim_step("login", defence): lambda _: self._login(defence),
            step("sniffed", defence): lambda _: self._replay(defence),
        }
        if fits(defence, "own-address"):
            every[step("own-address", defence)] = lambda _: self._replay_as_victim(defence)
        if fits(defence, "plain-link"):
            every[victim_step("link", defence)] = lambda _: self._follow_plain_link(defence)
            every[step("plain-link", defence)] = lambda _: self._replay(defence)
        every[victim_step("trap", defence)] = lambda _: self._spring_trap(defence)
        every[step("fixation", defence)] = lambda _: self._replay(defence, self._trap)
        every[step("guessed", defence)] = lambda _: self._guess(defence)
        return every

    def _login(self, defence: str) -> None:
        """The victim logs in, and looks at the account."""
        url = self.victim.url(defence, "login")
        with self.thief.listening():
            self.victim.ask((*with_jar(self.victim.jar(defence)), *form(VICTIM), url))

    def _replay(self, defence: str, number: str = "", *options: str, agent: str = AGENT) -> None:
        """The attacker asks for the account with an id; default: the last one that it read."""
        cookie = f"session={number or self.thief.session}"
        url = self.mallory.url(defence, "account")
        self.mallory.ask(("--cookie", cookie, *options, url), agent=agent)

    def _replay_as_victim(self, defence: str) -> None:
        """The same from the victim's address; answers come, since r1 believes the lie."""
        address = self.net.address("h1")
        self.net.exec(NODE, "ip", "address", "add", address, "dev", "lo")
        self._replay(defence, "", "--interface", address)
        self.net.exec(NODE, "ip", "address", "del", address, "dev", "lo")

    def _follow_plain_link(self, defence: str) -> None:
        """The victim, who is logged in, opens an old link to the site: one without TLS."""
        url = self.victim.url(defence, "account", plain=True)
        with self.thief.listening():
            self.victim.ask((*with_jar(self.victim.jar(defence)), url))

    def _spring_trap(self, defence: str) -> None:
        """The attacker gets a session, and the victim logs in by a link that has its id."""
        mine, own = self.mallory.jar(f"trap-{defence}"), self.victim.jar(f"trap-{defence}")
        self.mallory.ask((*with_jar(mine), self.mallory.url(defence)))
        self._trap = id_in(mine)
        link = self.victim.url(defence, f"?session={self._trap}")
        login = self.victim.url(defence, "login")
        self.victim.ask((*with_jar(own), link), (*with_jar(own), *form(VICTIM), login))

    def _guess(self, defence: str) -> None:
        """The attacker logs in with an account of its own, and tries ids near its own."""
        jar, url = self.mallory.jar(defence), self.mallory.url(defence, "login")
        self.mallory.ask((*with_jar(jar), *form(MALLORY), url))
        account = self.mallory.url(defence, "account")
        tried = [("--cookie", f"session={number}", account) for number in guesses(id_in(jar))]
        self.mallory.ask(*tried)

    # ---- what a binding stops and costs

    def _binding_steps(self) -> dict[str, Action]:
        """Another browser, and another address."""
        return {
            victim_step("visit", "agent"): lambda _: self._visit("agent"),
            step("as-curl", "agent"): lambda _: self._replay("agent", agent="curl"),
            victim_step("update", "agent"): lambda _: self._visit("agent", agent=UPDATED),
            victim_step("move", "none"): lambda _: self._move("none"),
            victim_step("move", "address"): lambda _: self._move("address"),
        }

    def _visit(self, defence: str, *options: str, agent: str = AGENT) -> None:
        """The victim, who is logged in, looks at the account."""
        url = self.victim.url(defence, "account")
        jar = with_jar(self.victim.jar(defence))
        with self.thief.listening():
            self.victim.ask((*jar, *options, url), agent=agent)

    def _move(self, defence: str) -> None:
        """The same from another address of the LAN, as after a new lease."""
        other = f"{self.net.address('h1').rsplit('.', 1)[0]}.{OTHER_HOST}"
        self.net.exec("h1", "ip", "address", "add", f"{other}/24", "dev", "h1-eth0")
        self._visit(defence, "--interface", other)
        self.net.exec("h1", "ip", "address", "del", f"{other}/24", "dev", "h1-eth0")
        self.net.sleep(SETTLE_S)  # r1 asked h1 for the new address, and told it the truth

    # ---- tokens

    def _token_steps(self, defence: str) -> dict[str, Action]:
        every: dict[str, Action] = {
            victim_step("token", defence): lambda _: self._get_token(defence),
            step("token", defence): lambda _: self._use_token(defence),
        }
        if defence == "short-lived":
            every[victim_step("renewal", defence)] = lambda _: self._renew(defence)
            every[step("token-late", defence)] = lambda _: self._use_token(defence)
        every[victim_step("logout", defence)] = lambda _: self._log_out(defence)
        every[step("token-kept", defence)] = lambda _: self._use_token(defence, KEPT_S)
        return every

    def _get_token(self, defence: str) -> None:
        """The victim gets a token and uses it."""
        said = self.victim.ask((*form(VICTIM), self.victim.url(defence, "token")))
        self._tokens[defence] = token_in(said)
        with self.thief.listening():
            self.victim.ask(self._with_token(self.victim, defence, "api"))
        self._tokens[f"stolen {defence}"] = {"token": self.thief.token}

    def _use_token(self, defence: str, wait_s: float = 0.0) -> None:
        """The attacker uses the token that it read."""
        self.net.sleep(wait_s)
        self.mallory.ask(self._with_token(self.mallory, defence, "api", "stolen "))

    def _with_token(
        self, client: Client, defence: str, page: str, whose: str = ""
    ) -> tuple[str, ...]:
        token = self._tokens[f"{whose}{defence}"]["token"]
        return ("--header", f"Authorization: Bearer {token}", client.url(defence, page))

    def _renew(self, defence: str) -> None:
        """The victim's token ends; the victim renews it and goes on."""
        self.net.sleep(SHORT_S + 1)
        said = self.victim.ask(
            self._with_token(self.victim, defence, "api"), self._renewal(defence)
        )
        self._tokens[defence] = token_in(said)
        self.victim.ask(self._with_token(self.victim, defence, "api"))

    def _renewal(self, defence: str) -> tuple[str, ...]:
        renewal = self._tokens[defence]["refresh"]
        return ("--data", f"refresh={renewal}", self.victim.url(defence, "refresh"))

    def _log_out(self, defence: str) -> None:
        """The victim logs out; then nothing can be renewed."""
        leave = ("--data", "", *self._with_token(self.victim, defence, "revoke"))
        self.victim.ask(leave, self._renewal(defence))
