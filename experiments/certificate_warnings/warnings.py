"""What the browser refuses, and with which words."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, claim, same, tls_steps
from testbed.daemons.certificate_cases import host

from . import visits
from .outcomes import (
    AUTHORITY,
    DATE,
    INVALID,
    NAME,
    REASONS,
    SHOWN,
    are,
    chain,
    handshake,
    outcome,
    requests,
)

UNTRUSTED = ("self-signed", "unknown-issuer", "root-sent", "missing-intermediate", "damaged")
LIMITS = ("issued-by-server", "path-too-long", "outside-its-domain", "wrong-usage")
NEVER = {"valid": 1, **dict.fromkeys(REASONS, 0)}
"""Visit → requests that the server gets."""


class Warnings(Experiment):
    """What the browser refuses, and with which words."""

    @claim(
        "A browser shows no page if the chain does not lead to a root that it has: self-signed, an "
        "unknown issuer, a missing intermediate, a signature that does not fit.",
        source="RFC 5280 §6.1; RFC 9110 §4.3.4",
    )
    def unknown_issuers_get_a_warning(self, tables: Tables) -> Verdict:
        """Five servers, and the sound one."""
        own = [bool(one) for one in chain(tables, "self-signed")["self_signed"]]
        return all_of(
            same(own, [True], "self-signed: signed by its own key"),
            are(tables, {**dict.fromkeys(UNTRUSTED, AUTHORITY), "valid": SHOWN}),
        ).because("handshake", handshake(tables, "self-signed"))

    @claim(
        "A browser shows no page before a certificate begins to be valid, and none after its end.",
        source="RFC 5280 §4.1.2.5, §6.1.3 (a)(2)",
    )
    def dates_get_a_warning(self, tables: Tables) -> Verdict:
        """Two servers, and a third that is visited three times while the clock goes on."""
        times = dict(zip(visits.TIMES, (DATE, SHOWN, DATE), strict=True))
        serials = {chain(tables, name)["serial"].iloc[0] for name in times}
        return all_of(
            same(len(serials), 1, "certificates"),
            are(tables, {"expired": DATE, "not-yet-valid": DATE, **times}),
        ).because("handshake", handshake(tables, visits.TIMES[-1]))

    @claim(
        "A browser looks for the site's name among the certificate's DNS names alone; a common "
        "name does not count, even if there is nothing else.",
        source="RFC 9525 §2, §6.3; RFC 9110 §4.3.4",
    )
    def names_get_a_warning(self, tables: Tables) -> Verdict:
        """Another name, the right name in the old place, and no DNS name at all."""
        only = chain(tables, visits.ONLY_COMMON).iloc[0]
        wanted = dict.fromkeys(("wrong-name", "common-name", visits.ONLY_COMMON), NAME)
        return all_of(
            same([only["subject"], only["names"]], [host(visits.ONLY_COMMON), ""], "names"),
            are(tables, {**wanted, "valid": SHOWN}),
        ).because("certificate", chain(tables, visits.ONLY_COMMON))

    @claim(
        "A browser refuses signatures over SHA-1. RSA keys of 1024 bits get no warning in "
        "Chromium, if an authority signed them that its user installed.",
        source="RFC 9155 §2; RFC 9325 §4.5",
    )
    def old_hashes_get_a_warning(self, tables: Tables) -> Verdict:
        """A certificate with each; everything else about them is right."""
        kind = chain(tables, "weak-hash")["hash"].iloc[0]
        key = chain(tables, "short-key")["key"].iloc[0]
        return all_of(
            same([kind, key], ["sha1", "RSA 1024"], "hash and key"),
            are(tables, {"weak-hash": INVALID, "short-key": SHOWN}),
        ).because("certificate", chain(tables, "weak-hash"))

    @claim(
        "A browser refuses what nobody was allowed to sign: with a server's key, below an "
        "authority's limit, outside its domain, or for another use.",
        source="RFC 5280 §4.2.1.9, §4.2.1.10, §4.2.1.12, §6.1.3, §6.1.4",
    )
    def limits_get_a_warning(self, tables: Tables) -> Verdict:
        """Four servers; the signatures of all fit."""
        fits = {name: chain(tables, name)["signed_by_next"].iloc[0] for name in LIMITS}
        return all_of(
            same(fits, dict.fromkeys(LIMITS, True), "signature fits"),
            are(tables, dict.fromkeys(LIMITS, INVALID)),
        ).because("certificates", chain(tables, "path-too-long"))

    @claim(
        "Before it warns, the browser has asked for nothing: it ends the handshake with an alert, "
        "which is the same for all reasons.",
        source="RFC 8446 §6.2 (certificate_unknown); RFC 9110 §4.3.4",
    )
    def warnings_come_before_requests(self, tables: Tables) -> Verdict:
        """Requests and alerts of all refused visits, and of the sound one."""
        asked = {name: requests(tables, name) for name in NEVER}
        alerts = {tls_steps.alert(tables, name) for name in REASONS}
        return all_of(
            same(asked, NEVER, "requests"),
            same(alerts, {("client", "certificate_unknown")}, "alerts"),
        ).because("handshake", handshake(tables, "expired"))

    @claim(
        "A user who clicks the warning away gets the page, and sends the request to whoever holds "
        "the key.",
        source="RFC 9110 §4.3.4; RFC 6797 §12.1",
    )
    def ignored_warnings_protect_nobody(self, tables: Tables) -> Verdict:
        """The same server twice: the warning is heeded, then ignored."""
        both = (visits.WARNED, visits.IGNORED)
        return all_of(
            same([outcome(tables, name) for name in both], [AUTHORITY, SHOWN], "page"),
            same([requests(tables, name) for name in both], [0, 1], "requests"),
        ).because("request", handshake(tables, visits.IGNORED))
