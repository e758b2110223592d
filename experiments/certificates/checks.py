"""What a client checks in a certificate: names, dates, and what its issuers may do."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, claim, same, tls_steps
from testbed.daemons.certificate_cases import host

from . import visits
from .talk import accepted, certificates, refused, report, requests

PERIOD = {"too-early": 9, "in-time": 0, "too-late": 10}
"""Step → OpenSSL's reason against the same certificate."""

WILD = {"wildcard": 0, "two-labels": 60, "no-label": 60}
"""Step → curl's exit code; 60: the certificate is refused."""


class Checks(Experiment):
    """What a client checks in a certificate: names, dates, and what its issuers may do."""

    @claim(
        "The name that the client asked for must be among the certificate's DNS names.",
        source="RFC 9525 §6.1, §6.3; RFC 6125 §6.4",
    )
    def names_must_match(self, tables: Tables) -> Verdict:
        """A certificate for another name, signed as it should be."""
        chain = certificates(tables, "wrong-name")
        return all_of(
            same(chain["names"].iloc[0], host("other"), "names"),
            same(chain["signed_by_next"].iloc[0], True, "signature fits"),
            refused(tables, ["wrong-name"]),
        )

    @claim(
        "The common name does not count where a certificate has DNS names.",
        source="RFC 9525 §2; RFC 6125 §6.4.4",
    )
    def common_names_do_not_count(self, tables: Tables) -> Verdict:
        """The right common name, and a wrong DNS name."""
        own = certificates(tables, "common-name").iloc[0]
        return all_of(
            same(own["subject"], host("common-name"), "common name"),
            same(own["names"], host("other"), "DNS names"),
            refused(tables, ["common-name"]),
        )

    @claim(
        "A wildcard stands for exactly one label: *.wild.example.org covers "
        "one.wild.example.org, and neither wild.example.org nor one.two.wild.example.org.",
        source="RFC 9525 §6.3",
    )
    def wildcards_cover_one_label(self, tables: Tables) -> Verdict:
        """Three names of a server with one certificate."""
        names = {step: certificates(tables, step)["names"].iloc[0] for step in WILD}
        found = {step: int(report(tables, step)["code"]) for step in WILD}
        return all_of(
            same(names, dict.fromkeys(WILD, f"*.{visits.WILD}"), "names"),
            same(found, WILD, "curl's exit code"),
            same(requests(tables, "no-label"), [], "requests"),
        ).because("certificate", certificates(tables, "wildcard"))

    @claim(
        "A certificate is valid from one date to another: before and after, clients refuse it, "
        "even though its signature fits.",
        source="RFC 5280 §4.1.2.5, §6.1.3 (a)(2)",
    )
    def certificates_are_valid_for_a_time(self, tables: Tables) -> Verdict:
        """One certificate, visited three times while the clock goes on, and two more."""
        fits = {certificates(tables, step)["signed_by_next"].iloc[0] for step in PERIOD}
        serials = {certificates(tables, step)["serial"].iloc[0] for step in PERIOD}
        found = {step: int(report(tables, step)["error"]) for step in PERIOD}
        alerts = [tls_steps.alert(tables, step)[1] for step in PERIOD]
        wanted = ["bad_certificate", "", "certificate_expired"]
        return all_of(
            same(len(serials), 1, "certificates"),
            same(fits, {True}, "signature fits"),
            same(found, PERIOD, "reasons"),
            same(alerts, wanted, "alerts"),
            refused(tables, ("expired", "not-yet-valid")),
        ).because("handshake", tls_steps.said(tables, "too-late"))

    @claim(
        "A server's certificate is no authority: what was signed with its key is refused.",
        source="RFC 5280 §4.2.1.9, §6.1.4 (k)",
    )
    def servers_are_no_authorities(self, tables: Tables) -> Verdict:
        """The key of another server signed it, and its certificate is sent along."""
        chain = certificates(tables, "issued-by-server")
        return all_of(
            same([bool(x) for x in chain["is_ca"]], [False, False, True], "is an authority"),
            same(chain["signed_by_next"].iloc[0], True, "signature fits"),
            refused(tables, ["issued-by-server"]),
        ).because("certificates", chain)

    @claim(
        "An authority can be limited: to a number of authorities below it, or to some domains.",
        source="RFC 5280 §4.2.1.9, §4.2.1.10, §6.1.3 (b), §6.1.4 (g), (l), (m)",
    )
    def authorities_are_limited(self, tables: Tables) -> Verdict:
        """A path one too long, and a name outside the permitted domain."""
        longer = certificates(tables, "path-too-long")["path_length"].tolist()
        domains = certificates(tables, "outside-its-domain")["permitted"].iloc[-1]
        return all_of(
            same(longer[-1], 0, "authorities allowed below the last"),
            same(domains, "example.net", "permitted"),
            refused(tables, ["path-too-long", "outside-its-domain"]),
        )

    @claim(
        "A certificate says what its key is for; one for mail is refused at a web server.",
        source="RFC 5280 §4.2.1.12",
    )
    def usage_is_checked(self, tables: Tables) -> Verdict:
        """The extended key usage, and the refusal."""
        usages = certificates(tables, "wrong-usage")["usages"].iloc[0]
        return all_of(same(usages, "mail", "usages"), refused(tables, ["wrong-usage"]))

    @claim(
        "Short keys and old hashes are refused: RSA below 2048 bits, signatures over SHA-1.",
        source="RFC 9325 §4.5; RFC 9155",
    )
    def weak_cryptography_is_refused(self, tables: Tables) -> Verdict:
        """A certificate with each; everything else about them is right."""
        key = certificates(tables, "short-key")["key"].iloc[0]
        kind = certificates(tables, "weak-hash")["hash"].iloc[0]
        return all_of(
            same(key, "RSA 1024", "key"),
            same(kind, "sha1", "hash"),
            refused(tables, ["short-key", "weak-hash"]),
            accepted(tables, "valid"),
        )
