"""Tokens: a stolen one works until it ends, and what makes that sooner."""

from __future__ import annotations

from analysis.dissect import http
from testbed import Experiment, Tables, Verdict, all_of, at_least, at_most, claim, same

from .attacks import KEPT_S, SHORT_S, TOKEN_S, VICTIM, step, victim_step
from .outcomes import (
    CLIENT,
    answers,
    from_victim,
    last_answer,
    last_sent,
    overheard,
    requests,
    shown,
    works,
)


class Tokens(Experiment):
    """Tokens: a stolen one works until it ends, and what makes that sooner."""

    @claim(
        "⚠ A stolen token works as a stolen cookie does, and longer: its owner's logout does not "
        "end it, only its expiry date does.",
        source="RFC 6750 §5.1–5.2; RFC 7519 §4.1.4; RFC 8725 §2",
    )
    def stolen_tokens_work_until_they_expire(self, tables: Tables) -> Verdict:
        """The token that h3 read: used at once, after the logout, and after its end."""
        names = [step(one, "none") for one in ("token", "token-kept", "token-expired")]
        read = list(overheard(tables, victim_step("token", "none"))["secret"])[-1:]
        sent = [last_sent(tables, n, "Authorization").removeprefix("Bearer ") for n in names]
        left = victim_step("logout", "none")
        found = [last_answer(tables, name)[0] for name in names]
        age_s = [_asked_s(tables, name) - _asked_s(tables, left) for name in names[1:]]
        return all_of(
            same(sorted(set(sent)), read, "tokens"),
            same(answers(tables, left, CLIENT)[0][0], 200, "the owner's logout"),
            same(found, [200, 200, 401], "h3 gets"),
            at_least(age_s[0], KEPT_S, unit="s after the logout"),
            at_least(age_s[1], TOKEN_S - 1, unit="s after the logout, refused"),
        ).because("the attacker's requests", shown(tables, *names))

    @claim(
        "Tokens that live for seconds, and a second secret that renews them: the owner goes on, "
        "the stolen token ends by itself, and after a logout nothing is renewed.",
        source="RFC 6749 §1.5, §10.4; RFC 9700 §2.2.2, §4.14",
    )
    def short_lives_end_theft_sooner(self, tables: Tables) -> Verdict:
        """The owner renews its token; the attacker has the old one."""
        renewal, left = (victim_step(what, "short-lived") for what in ("renewal", "logout"))
        owner = [status for status, _ in answers(tables, renewal, CLIENT)]
        thief = [
            last_answer(tables, step(one, "short-lived"))[0]
            for one in ("token", "token-late", "token-kept")
        ]
        late_s = _asked_s(tables, step("token-late", "short-lived")) - _asked_s(
            tables, step("token", "short-lived")
        )
        return all_of(
            same(owner, [401, 200, 200], "owner with the old token, renewing, with the new one"),
            same(thief, [200, 401, 401], "attacker at once, later, after the logout"),
            at_least(late_s, SHORT_S, unit="s from the first use to the refusal"),
            at_most(late_s, 2 * SHORT_S, unit="s, of a life of"),
            same(last_answer(tables, left, CLIENT)[0], 400, "renewing after the logout"),
        ).because("renewal and thefts", shown(tables, renewal, step("token-late", "short-lived")))

    @claim(
        "A list of revoked tokens ends a stolen one at its owner's logout. The price is what "
        "tokens were to save: the server remembers something, until the token would have ended.",
        source="RFC 7009 §2; RFC 7519 §4.1.7",
    )
    def revocation_ends_tokens(self, tables: Tables) -> Verdict:
        """The same theft; how many tokens the server says it remembers."""
        kept = {d: _remembered(tables, d) for d in ("none", "revocation")}
        thief = [last_answer(tables, step(one, "revocation"))[0] for one in ("token", "token-kept")]
        return all_of(
            same(thief, [200, 401], "attacker at once, after the logout"),
            same(kept, {"none": 0, "revocation": 1}, "tokens that the server remembers"),
        ).because(
            "logout and theft",
            shown(tables, victim_step("logout", "revocation"), step("token-kept", "revocation")),
        )

    @claim(
        "HTTPS hides tokens as it hides cookies: nothing to steal passes through the attacker.",
        source="RFC 6750 §5.2–5.3 (TLS is required)",
    )
    def https_hides_tokens(self, tables: Tables) -> Verdict:
        """The owner's request over TLS."""
        name = victim_step("token", "https")
        passed = from_victim(tables, name)
        said = http.token_claims(last_sent(tables, name, "Authorization").removeprefix("Bearer "))
        return all_of(
            at_least(len(passed), 5, unit="h1's segments at h3"),
            same(len(overheard(tables, name)), 0, "with a token"),
            same(said.get("sub"), VICTIM[0], "inside is the token of"),
            same(works(tables, "https", "token"), False, "the attacker is alice"),
        ).because("h1's packets at h3", passed)


def _asked_s(tables: Tables, name: str) -> float:
    """When a step's last request came to the site."""
    return float(requests(tables, name)[-1]["time_s"])


def _remembered(tables: Tables, defence: str) -> int:
    """What the server answers to a logout."""
    return int(answers(tables, victim_step("logout", defence), CLIENT)[0][1])
