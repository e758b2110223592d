"""Revocation and HSTS in the browser."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, claim, same, steps, tls_steps

from . import visits
from .outcomes import REVOKED, SERVER, SHOWN, are, chain, document, handshake, ports, requests


class Protection(Experiment):
    """Revocation and HSTS in the browser."""

    @claim(
        "The browser asks nobody whether a certificate was revoked. It believes an answer that the "
        "server staples; a thief staples none.",
        source="RFC 6066 §8; RFC 6960 §1; RFC 7633 §1",
    )
    def revocation_needs_a_stapled_answer(self, tables: Tables) -> Verdict:
        """Two revoked certificates, and one that demands an answer; one server has an answer.

        All three name the addresses where their issuer's web server would answer.
        """
        wanted = {"revoked": REVOKED, visits.SILENT: SHOWN, visits.FORGOTTEN: SHOWN}
        flag = bool(chain(tables, visits.FORGOTTEN)["must_staple"].iloc[0])
        named = {name: list(chain(tables, name).loc[0, ["crl", "ocsp"]]) for name in wanted}
        issuer = steps.address(tables, SERVER)
        addresses = [f"http://{issuer}/{visits.CRL}", f"http://{issuer}/ocsp"]
        asked = {port for name in wanted for port in ports(tables, name)}
        return all_of(
            are(tables, wanted),
            same(named, dict.fromkeys(wanted, addresses), "named for questions"),
            same(flag, True, f"{visits.FORGOTTEN}: must-staple"),
            same(sorted(asked), [443], "ports"),
        ).because("handshake", handshake(tables, "revoked"))

    @claim(
        "After one visit to a site with HSTS, the browser itself turns http:// into https://, and "
        "sends nothing in the clear; a site without it is asked over HTTP.",
        source="RFC 6797 §5.3, §8.3",
    )
    def hsts_stays_in_the_browser(self, tables: Tables) -> Verdict:
        """Two visits to one site, the second by http://, and one to another site."""
        chain_of = tables.rows("requests", visit=visits.LATER, type="Document")
        inside = [str(one) for one in chain_of["served_from"]]
        found = {name: ports(tables, name) for name in (visits.FIRST, visits.LATER, visits.OTHER)}
        wanted = {visits.FIRST: [443], visits.LATER: [443], visits.OTHER: [80]}
        return all_of(
            are(tables, dict.fromkeys(wanted, SHOWN)),
            same(found, wanted, "ports"),
            same(inside, ["hsts", "network"], "answered by"),
            same(str(document(tables, visits.LATER)["url"])[:6], "https:", "at last"),
            same(requests(tables, visits.LATER), 1, "requests"),
        ).because("handshake", tls_steps.said(tables, visits.LATER))
