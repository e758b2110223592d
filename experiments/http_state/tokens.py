"""Tokens, and what others can do with a cookie or a token that is not theirs."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from analysis.dissect import http
from testbed import Experiment, Tables, Verdict, all_of, at_least, at_most, claim, same

from .requests import PATH, messages, outcome, sent_cookies, shown, status, token_of


class Tokens(Experiment):
    """Tokens, and what others can do with a cookie or a token that is not theirs."""

    @claim(
        "A stolen cookie works from anywhere, until the session ends: by logging out, or by its "
        "time.",
        source="RFC 6265 §8.3–8.4",
    )
    def stolen_cookies_work_until_logout(self, tables: Tables) -> Verdict:
        """r1 reads h1's cookie and sends it as its own, before and after h1 logs out."""
        read = sent_cookies(tables, "account", PATH).get("session", "none")
        used = [sent_cookies(tables, s, PATH).get("session") for s in ("theft", "theft-too-late")]
        before = outcome(tables, "theft", PATH)
        after = status(tables, "theft-too-late", PATH)
        return all_of(
            same(used, [read, read], "cookie of the thief"),
            same(before, (200, "alice"), "before"),
            same(after, 401, "after"),
        ).because("r1's questions", shown(tables, "theft", "theft-too-late", capture=PATH))

    @claim(
        "A token holds what the server needs to know: it works when the server has forgotten "
        "everything, while a session is lost.",
        source="RFC 7519 §1, §4.1; RFC 6750 §2.1",
    )
    def tokens_need_no_memory(self, tables: Tables) -> Verdict:
        """Both before and after the server's restart; and what the token says to everybody."""
        steps = ("token-account", "token-restarted", "third-account", "session-restarted")
        codes = {step: status(tables, step) for step in steps}
        wanted = dict(zip(steps, (200, 200, 200, 401), strict=True))
        claims = http.token_claims(token_of(outcome(tables, "token")[1]))
        return all_of(
            same(codes, wanted, "status"),
            same(claims.get("sub"), "alice", "readable in the token"),
        ).because("questions", shown(tables, *steps))

    @claim(
        "A token with a changed claim is refused: its signature no longer fits.",
        source="RFC 7515 §5.2, RFC 7519 §7.2",
    )
    def changed_tokens_are_refused(self, tables: Tables) -> Verdict:
        """alice's token with bob's name and alice's signature."""
        good, bad = (_sent(tables, step) for step in ("token-account", "token-changed"))
        names = [http.token_claims(token).get("sub") for token in (good, bad)]
        return all_of(
            same(names, ["alice", "bob"], "name in the token"),
            same(good.split(".")[-1] == bad.split(".")[-1], True, "same signature"),
            same(status(tables, "token-account"), 200, "status"),
            same(status(tables, "token-changed"), 401, "changed"),
        ).because("questions", shown(tables, "token-account", "token-changed"))

    @claim("A token ends by its own expiry date.", source="RFC 7519 §4.1.4")
    def tokens_expire(self, tables: Tables) -> Verdict:
        """The same token within its time, and after it, as the dates of the responses say."""
        codes = [status(tables, step) for step in ("token-account", "token-too-late")]
        unchanged = _sent(tables, "token-account") == _sent(tables, "token-too-late") != ""
        left_s = [_left_s(tables, step) for step in ("token-account", "token-too-late")]
        return all_of(
            same(codes, [200, 401], "status"),
            same(unchanged, True, "same token"),
            at_least(left_s[0], 1, unit="s before exp"),
            at_most(left_s[1], 0, unit="s before exp, refused"),
        ).because("questions", shown(tables, "token-account", "token-too-late"))

    @claim(
        "A stolen token works until it expires, and its owner's logout does not end it.",
        source="RFC 6750 §5.1–5.2; RFC 7519 §11",
    )
    def logout_does_not_end_a_token(self, tables: Tables) -> Verdict:
        """r1 reads h1's token and sends it after h1 has logged out."""
        read, used = (_sent(tables, step, PATH) for step in ("token-account", "token-theft"))
        return all_of(
            same(status(tables, "logout"), 303, "logout"),
            same(read == used != "", True, "the thief's token is the one read on the path"),
            same(outcome(tables, "token-theft", PATH), (200, "alice"), "afterwards"),
        ).because("r1's question", shown(tables, "token-theft", capture=PATH))


def _sent(tables: Tables, step: str, *capture: str) -> str:
    """The token in a step's last request."""
    asked = messages(tables, step, "request", *capture)
    return http.header(asked[-1], "Authorization").removeprefix("Bearer ")


def _left_s(tables: Tables, step: str) -> float | None:
    """From a step's last response, by its Date, to the expiry of the token that was sent, in s."""
    answers = messages(tables, step, "response")
    expires = http.token_claims(_sent(tables, step)).get("exp")
    date = http.header(answers[-1], "Date") if answers else ""
    if not date or not isinstance(expires, int):
        return None
    return expires - parsedate_to_datetime(date).timestamp()
