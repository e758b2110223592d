"""Somebody in the middle, whom the client does not trust, or does, or does not look at."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, claim, same, tls_steps

from . import visits
from .talk import PATH, accepted, certificates, read, report, requests, words

ACCOUNT = "https /account"
SEEN = f"https {visits.SITE}/account {visits.SECRET}"
"""What r1 writes down of a request that it has read."""

MALLORY, ISSUING = "Mallory's Root", "Example Issuing CA"
NO_PIN = 90
"""curl's exit code if the server's key is not the pinned one."""


class Middle(Experiment):
    """Somebody in the middle, whom the client does not trust, or does, or does not look at."""

    @claim(
        "Somebody who takes over a connection has no certificate that the client trusts: the "
        "client refuses, and sends nothing.",
        source="RFC 9110 §4.3.4, §17.1; RFC 5280 §6.1",
    )
    def strangers_are_refused(self, tables: Tables) -> Verdict:
        """r1 answers for the site, with a certificate of its own authority."""
        chain = certificates(tables, "middle")
        return all_of(
            same(chain["issuer"].tolist(), [MALLORY], "issuer"),
            same(int(report(tables, "middle")["error"]), 20, words(tables, "middle")),
            same(tls_steps.alert(tables, "middle"), ("client", "unknown_ca"), "alert"),
            same(requests(tables, "middle"), [], "requests"),
        ).because("certificate", chain)

    @claim(
        "If the client trusts that authority, nothing looks wrong: the page comes, and whoever is "
        "in the middle reads everything.",
        source="RFC 9110 §17.1; RFC 5280 §8",
    )
    def a_trusted_root_reads_everything(self, tables: Tables) -> Verdict:
        """Both connections, and what r1 wrote down."""
        near, far = (
            certificates(tables, "middle-trusted", where)["issuer"].iloc[0]
            for where in ("h1-eth0", PATH)
        )
        return all_of(
            accepted(tables, "middle-trusted"),
            same([near, far], [MALLORY, ISSUING], "issuer towards h1, towards h2"),
            same(read(tables, "middle-trusted"), [SEEN], "r1 read"),
        ).because("certificate", certificates(tables, "middle-trusted"))

    @claim(
        "A client that checks nothing (curl -k, or a user who clicks the warning away) "
        "encrypts, but for whoever answers.",
        source="RFC 9110 §4.3.4; RFC 8446 appendix C.4",
    )
    def without_checks_encryption_is_worthless(self, tables: Tables) -> Verdict:
        """The same refusal, ignored."""
        chain = certificates(tables, "middle-ignored")
        return all_of(
            same(int(report(tables, "middle-ignored")["error"]), 20, "reason"),
            same(chain["issuer"].tolist(), [MALLORY], "issuer"),
            same(read(tables, "middle-ignored"), [SEEN], "r1 read"),
            accepted(tables, "middle-ignored"),
        ).because("certificate", chain)

    @claim(
        "A client that knows the server's public key (a pin) notices even an authority that it "
        "trusts.",
        source="RFC 7469 §1, §2.6",
    )
    def pins_stop_trusted_roots(self, tables: Tables) -> Verdict:
        """With the pin: the real server, and r1 with its trusted root."""
        chain = certificates(tables, "middle-pinned")
        return all_of(
            same(requests(tables, "pinned"), [ACCOUNT], "requests to the real server"),
            accepted(tables, "pinned"),
            same(chain["issuer"].tolist(), [MALLORY], "issuer"),
            same(
                int(report(tables, "middle-pinned")["code"]), NO_PIN, words(tables, "middle-pinned")
            ),
            same(requests(tables, "middle-pinned"), [], "requests to r1"),
        ).because("certificate", chain)
