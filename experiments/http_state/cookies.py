"""Cookies: what the client sends back, where, and for how long."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, at_least, claim, near, same

from .requests import COOKIES, given_cookies, messages, names, outcome, sent_cookies, shown, status


class Cookies(Experiment):
    """Cookies: what the client sends back, where, and for how long."""

    @claim(
        "HTTP is stateless: to the server, two requests on one connection have nothing to do with "
        "each other.",
        source="RFC 9110 §3.3",
    )
    def requests_are_independent(self, tables: Tables) -> Verdict:
        """A login, and a question that does not mention it, on the same connection."""
        asked = messages(tables, "stateless", "request")
        codes = [int(row["status"]) for row in messages(tables, "stateless", "response")]
        ports = {int(row["tcp_sport"]) for row in asked}
        return all_of(
            near(len(ports), 1, abs=0, unit="connection"),
            same(codes, [303, 401], "login and question"),
        ).because("both", shown(tables, "stateless"))

    @claim(
        "A cookie that Set-Cookie gives comes back in Cookie, as name and value alone.",
        source="RFC 6265 §3.1, §5.4; draft-ietf-httpbis-rfc6265bis §5.8",
    )
    def cookies_come_back(self, tables: Tables) -> Verdict:
        """All attributes stay with the client."""
        given = {name: text.split(";")[0] for name, text in given_cookies(tables, "set").items()}
        back = sent_cookies(tables, "same-host")
        return all_of(
            same(sorted(given), sorted(COOKIES), "given"),
            at_least(len(back), 3, unit="cookies came back"),
            same(back, {name: given.get(name) for name in back}, "values"),
        ).because("question and cookies", shown(tables, "set", "same-host"))

    @claim(
        "Path: a cookie goes to URLs below its path, and to no others.", source="RFC 6265 §5.1.4"
    )
    def path_limits_cookies(self, tables: Tables) -> Verdict:
        """A URL above and one below."""
        found = {step: "path" in names(tables, step) for step in ("same-host", "deep")}
        return same(found, {"same-host": False, "deep": True}, "sent").because(
            "requests", shown(tables, *found)
        )

    @claim(
        "Domain: a cookie with it goes to all hosts of that domain, one without it to its own host "
        "alone; for another domain a server cannot set any.",
        source="RFC 6265 §5.1.3, §5.3 (5–6)",
    )
    def domain_limits_cookies(self, tables: Tables) -> Verdict:
        """www and shop of example.org, and example.net."""
        found = {
            step: [n for n in names(tables, step) if n in ("plain", "domain", "foreign")]
            for step in ("same-host", "sibling", "other-domain")
        }
        wanted = {"same-host": ["domain", "plain"], "sibling": ["domain"], "other-domain": []}
        return same(found, wanted, "sent").because("requests", shown(tables, *found))

    @claim(
        "Secure: a cookie with it does not travel over plain HTTP, and is not taken from there.",
        source="RFC 6265 §5.4; draft-ietf-httpbis-rfc6265bis §5.7 (13)",
    )
    def secure_cookies_need_tls(self, tables: Tables) -> Verdict:
        """Set over plain HTTP together with others."""
        steps = ("same-host", "deep", "sibling")
        seen = [step for step in steps if "secure" in names(tables, step)]
        others = [len(names(tables, step)) for step in steps]
        return all_of(
            same(seen, [], "sent in"), at_least(min(others), 1, unit="other cookies in each")
        ).because("requests", shown(tables, *steps))

    @claim(
        "Max-Age and Expires end a cookie: it is sent until then and not after; a date in the past "
        "removes it at once.",
        source="RFC 6265 §4.1.2.1–2, §5.3",
    )
    def cookies_expire(self, tables: Tables) -> Verdict:
        """Ten seconds, eight years, and twenty years ago."""
        found = {
            step: [n for n in names(tables, step) if n in ("short", "dated", "past")]
            for step in ("same-host", "later")
        }
        wanted = {"same-host": ["dated", "short"], "later": ["dated"]}
        return same(found, wanted, "sent").because("requests", shown(tables, *found))

    @claim(
        "A cookie without a date dies with the client's session; one with a date survives.",
        source="RFC 6265 §5.3 (3)",
    )
    def session_cookies_die_with_the_client(self, tables: Tables) -> Verdict:
        """The same client before and after a restart."""
        found = {
            step: [n for n in names(tables, step) if n in ("plain", "dated")]
            for step in ("later", "restarted")
        }
        return same(found, {"later": ["dated", "plain"], "restarted": ["dated"]}, "sent").because(
            "requests", shown(tables, *found)
        )

    @claim(
        "A session is on the server: the cookie holds an id that says nothing about its user.",
        source="RFC 6265 §8.4",
    )
    def session_is_on_the_server(self, tables: Tables) -> Verdict:
        """The cookie after a login, and who the server says it is."""
        given = given_cookies(tables, "login").get("session", "").split(";")[0]
        return all_of(
            at_least(len(given), 32, unit="characters of id"),
            same("alice" in given, False, "has the user's name"),
            same(sent_cookies(tables, "account"), {"session": given}, "sent"),
            same(outcome(tables, "account"), (200, "alice"), "the server knows"),
        ).because("login and question", shown(tables, "login", "account"))

    @claim(
        "A session ends on the server after its time, whatever the client still sends.",
        source="RFC 6265 §8.4",
    )
    def sessions_expire(self, tables: Tables) -> Verdict:
        """The same cookie within the session's time, and after it."""
        codes = [status(tables, step) for step in ("second-account", "too-late")]
        same_cookie = sent_cookies(tables, "second-account") == sent_cookies(tables, "too-late")
        return all_of(
            same(codes, [200, 401], "status"), same(same_cookie, True, "same cookie")
        ).because("questions", shown(tables, "second-account", "too-late"))
