"""Chains: from a server's certificate to a root that the client has."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, claim, same, tls_steps
from testbed.daemons.certificate_cases import authorities, host

from .talk import accepted, certificates, refused, report, requests
from .visits import WILD, WILDCARDS

ROOT, ISSUING = (one.subject for one in authorities())
UNTRUSTED = ("self-signed", "unknown-issuer", "root-sent")
ONE_ADDRESS = {
    **{name: host(name) for name in ("valid", "self-signed", "expired", "revoked")},
    "wildcard": f"*.{WILD}",
}
"""Step → DNS name in its certificate."""


class Chains(Experiment):
    """Chains: from a server's certificate to a root that the client has."""

    @claim(
        "A server sends its certificate and those of the authorities in between, each signed by "
        "the next; the root is missing, since the client must have it already.",
        source="RFC 5246 §7.4.2; RFC 5280 §6.1",
    )
    def chain_leads_to_the_root(self, tables: Tables) -> Verdict:
        """Subjects, issuers and signatures of what was sent, and that the client accepts it."""
        chain = certificates(tables, "valid")
        return all_of(
            same(chain["subject"].tolist(), [host("valid"), ISSUING], "sent"),
            same(chain["issuer"].tolist(), [ISSUING, ROOT], "signed by"),
            same(chain["signed_by_next"].tolist()[:-1], [True], "signature fits the next key"),
            same([bool(x) for x in chain["is_ca"]], [False, True], "is an authority"),
            accepted(tables, "valid"),
        ).because("certificates", chain)

    @claim(
        "If the server does not send the intermediate certificate, only clients that have it can "
        "build the chain; the others refuse the server.",
        source="RFC 5246 §7.4.2; RFC 5280 §6.1",
    )
    def missing_intermediate_breaks_the_chain(self, tables: Tables) -> Verdict:
        """One server, a client with the root alone, and one that has the intermediate, too."""
        sent = certificates(tables, "missing-intermediate")["issuer"].tolist()
        return all_of(
            same(sent, [ISSUING], "issuers of what was sent"),
            refused(tables, ["missing-intermediate"]),
            accepted(tables, "with-intermediate"),
        )

    @claim(
        "Trust cannot be sent: a certificate that the server signed itself, or whose root the "
        "client does not have, is refused, even if the server sends that root, too.",
        source="RFC 5280 §6.1; RFC 8446 §6.2 (unknown_ca)",
    )
    def trust_is_not_sent(self, tables: Tables) -> Verdict:
        """Self-signed, unknown issuer, unknown issuer sent along."""
        own = certificates(tables, "self-signed")["self_signed"].tolist()
        sent = certificates(tables, "root-sent")["self_signed"].tolist()
        return all_of(
            same(own, [True], "self-signed: signed by its own key"),
            same(sent[-1], True, "root-sent: the last one is a root"),
            refused(tables, UNTRUSTED),
        )

    @claim(
        "A certificate that was changed after it was signed is refused.",
        source="RFC 5280 §6.1.3 (a)(1)",
    )
    def changed_certificates_are_refused(self, tables: Tables) -> Verdict:
        """One bit of the signature; the issuer's key shows that it no longer fits."""
        chain = certificates(tables, "damaged")
        return all_of(
            same(chain["signed_by_next"].tolist()[:1], [False], "signature fits"),
            refused(tables, ["damaged"]),
        ).because("certificates", chain)

    @claim(
        "Many sites with different certificates share one address and port: the server name in "
        "the first message chooses.",
        source="RFC 6066 §3; RFC 9110 §4.3.4",
    )
    def server_name_chooses(self, tables: Tables) -> Verdict:
        """Name asked for, name in the certificate, and the address, of some of the steps."""
        hellos = {s: tls_steps.message(tables, s, "ClientHello") for s in ONE_ADDRESS}
        names = {step: certificates(tables, step)["names"].iloc[0] for step in ONE_ADDRESS}
        asked = {step: hello.get("server_name") for step, hello in hellos.items()}
        places = {(hello.get("ip_dst"), hello.get("tcp_dport")) for hello in hellos.values()}
        return all_of(
            same(asked, {step: WILDCARDS.get(step, host(step)) for step in asked}, "asked for"),
            same(names, ONE_ADDRESS, "in the certificate"),
            same(len(places), 1, "addresses and ports"),
        ).because("first message", tls_steps.said(tables, "expired", message="ClientHello"))

    @claim(
        "A client that refuses a certificate ends the handshake with an alert, before it has "
        "asked for anything; a client that compares names itself finishes the handshake "
        "first, and then closes without an error alert.",
        source="RFC 8446 §6.2; RFC 9110 §4.3.4",
    )
    def refusals_come_before_requests(self, tables: Tables) -> Verdict:
        """curl and OpenSSL's own client at a server with another name."""
        alerts = {
            step: tls_steps.alert(tables, step) for step in ("wrong-name", "wrong-name-openssl")
        }
        certificates(tables, "wrong-name")
        finished = tls_steps.said(tables, "wrong-name", message="Finished")["side"].tolist()
        wanted = {"wrong-name": ("", ""), "wrong-name-openssl": ("client", "bad_certificate")}
        return all_of(
            same(alerts, wanted, "alerts"),
            same(finished, ["client", "server"], "curl: the handshake is finished by"),
            same(int(report(tables, "wrong-name")["code"]), 60, "curl's exit code"),
            same(requests(tables, "wrong-name"), [], "requests"),
        ).because("handshake", tls_steps.said(tables, "wrong-name"))
