"""HSTS: how a site gets clients to use HTTPS before anything is sent."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, at_least, claim, pick, same

from . import visits
from .talk import CLIENT, accepted, ports, read, report, requests

PLAIN = "http /account"
STRIPPED = f"http {visits.SITE}/account {visits.SECRET}"
OTHER = f"http {visits.OTHER}/account {visits.SECRET}"


class HttpsOnly(Experiment):
    """HSTS: how a site gets clients to use HTTPS before anything is sent."""

    @claim(
        "A first visit by http:// is open to attack: whoever is in the middle answers it in plain "
        "text, and the redirection to HTTPS never arrives.",
        source="RFC 6797 §2.3.1.3, §14.6",
    )
    def first_visits_are_open(self, tables: Tables) -> Verdict:
        """What the client sends and gets, and what r1 read."""
        return all_of(
            same(ports(tables, "first-attacked"), [80], "ports"),
            accepted(tables, "first-attacked"),
            same(int(report(tables, "first-attacked")["status"]), 200, "status"),
            same(read(tables, "first-attacked"), [STRIPPED], "r1 read"),
        ).because("requests", pick(tables, "first-attacked", CLIENT, table="http"))

    @claim(
        "A site asks for HTTPS by Strict-Transport-Security. From then on the client turns "
        "http:// into https:// itself, and an attacker gets nothing to read.",
        source="RFC 6797 §5.3, §6.1, §8.3",
    )
    def hsts_upgrades_later_visits(self, tables: Tables) -> Verdict:
        """A visit without the attacker, then one with; both began with http://."""
        found = {step: ports(tables, step) for step in ("first", "later-attacked")}
        return all_of(
            same(requests(tables, "first"), [PLAIN, "https /account"], "first requests"),
            same(found, {"first": [80, 443], "later-attacked": [443]}, "ports"),
            same(int(report(tables, "later-attacked")["error"]), 20, "reason"),
            same(requests(tables, "later-attacked"), [], "later requests"),
        ).because("requests", pick(tables, "first", CLIENT, table="http"))

    @claim(
        "includeSubDomains covers the names below the site; other sites are not covered.",
        source="RFC 6797 §6.1.2, §8.2",
    )
    def hsts_covers_subdomains(self, tables: Tables) -> Verdict:
        """A name below, and another domain; the client has been at neither."""
        found = {step: ports(tables, step) for step in ("subdomain", "other-domain")}
        return all_of(
            same(found, {"subdomain": [443], "other-domain": [80]}, "ports"),
            same(requests(tables, "subdomain"), [], "requests to the subdomain"),
            same(int(report(tables, "subdomain")["error"]), 20, "reason"),
            same(read(tables, "other-domain"), [OTHER], "r1 read"),
        ).because("first segment", pick(tables, "subdomain", CLIENT, protocol="TCP").head(1))

    @claim(
        "The client forgets after max-age seconds; the next visit is as open as the first.",
        source="RFC 6797 §6.1.1, §8.1",
    )
    def hsts_expires(self, tables: Tables) -> Verdict:
        """The same visit, max-age seconds later."""
        when = [
            float(pick(tables, step, CLIENT, protocol="TCP")["time_s"].iloc[0])
            for step in ("first", "forgotten")
            if ports(tables, step)
        ]
        return all_of(
            at_least(when[1] - when[0], tables.of("setting")["life_s"].iloc[0], unit="s"),
            same(ports(tables, "forgotten"), [80], "ports"),
            accepted(tables, "forgotten"),
            same(read(tables, "forgotten"), [STRIPPED], "r1 read"),
        ).because("requests", pick(tables, "forgotten", CLIENT, table="http"))

    @claim(
        "Strict-Transport-Security over plain HTTP is ignored: anybody could have written it.",
        source="RFC 6797 §7.2, §8.1",
    )
    def hsts_needs_https(self, tables: Tables) -> Verdict:
        """The header comes over HTTP; the next visit is by HTTP again."""
        told = pick(tables, "hint", CLIENT, table="http", kind="response")
        sent = [str(name).lower() for head in told["headers"] for name, _ in head]
        return all_of(
            same(sent.count("strict-transport-security"), 1, "headers sent"),
            same(told["tcp_sport"].astype(int).tolist(), [80], "port"),
            same(ports(tables, "hint-again"), [80], "ports of the next visit"),
            same(int(report(tables, "hint-again")["status"]), 200, "status"),
        ).because("response", told)
