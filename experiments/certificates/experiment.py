"""Certificates: whom a client believes, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.dissect import http, tls_certificates
from analysis.plots import certificates as plots
from testbed import LinkShape, Tables, nothing, param, steps, tls_steps
from testbed.daemons import certificate_cases, certificates, start
from topologies.line import Line

from . import pictures, talk, visits
from .chains import Chains
from .checks import Checks
from .https_only import HttpsOnly
from .middle import Middle
from .revocation import Revocation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

FAULTS = (
    "none",
    "flawless",
    "wrong-root",
    "one-certificate",
    "no-stapling",
    "no-attacker",
    "no-hsts",
    "long-hsts",
    "hint-over-https",
)


class Certificates(HttpsOnly, Middle, Revocation, Checks, Chains):
    """Certificates: whom a client believes, and why.

    nginx on h2 has one name and one certificate per case: a sound one, and others with one thing
    wrong each. h1 (curl, and OpenSSL's own client) trusts one root, visits all of them, and says
    why it refuses. Then it asks about revocation, meets r1, which takes over its connections,
    and uses what helps against that: a pin, and HSTS. The clock goes on to where a certificate
    begins and ends.

    `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(5.0, "delay of the path, one way", unit="ms", low=0, high=1000)
        life_s: int = param(
            600,
            "how long the short-lived certificate, OCSP responses and HSTS are valid",
            unit="s",
            low=400,
            high=86_400,
        )
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("nginx", "curl", "gnutls-cli", "openssl", "nft")
    extras = ("tls",)

    # ---- in the network

    def topology(self) -> Line:
        """h1 and h2 in LANs of their own, two routers between them."""
        return Line(2, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """Makes certificates, starts the servers, and does all steps."""
        faults, life_s = self.params.faults, self.params.life_s
        cases = list(certificate_cases.cases())
        if "flawless" in faults:
            cases = certificate_cases.flawless()
        crl = f"http://{net.address('h2')}/{visits.CRL}"
        made = certificates.make(net, "h2", visits.wanted(cases, crl, life_s))
        visits.write_pages(made)
        max_age_s = 10 * life_s if "long-hsts" in faults else life_s
        start(net, visits.servers(net, visits.site(made, cases, faults, max_age_s), made))
        client = visits.Client(net, made, faults)
        attack = nothing if "no-attacker" in faults else visits.intercept
        net.capture(talk.CLIENT, talk.PATH)
        acts = {
            **client.look("too-early", certificate_cases.host("timed")),
            **visits.refusals(client, certificate_cases.cases()),
            **visits.revocation(client),
            **visits.in_the_middle(client, attack),
            **visits.https_only(client, attack, life_s),
            **visits.over_time(client, life_s),
        }
        steps.play(net, acts, quiet_s=0.3)
        net.sleep(0.5)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by step, certificates, and what clients and r1 say."""
        import pandas as pd

        read = {"tls": tls_steps.read, "http": tls_steps.read_http}
        found = steps.measure(data, http.COLUMNS, read)
        return {
            **found,
            "certificates": tls_certificates.read(found["tls"]),
            "statuses": tls_certificates.statuses(found["tls"]),
            "reports": talk.reports(data),
            "read": talk.read_by_r1(data, found["steps"]),
            "setting": pd.DataFrame({"life_s": [self.params.life_s]}),
        }

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure | str]:
        """Chains, a table of refusals, and ladders of some of the steps.

        Figures:
            1_chains: Chains as the client sees them. Whatever the server sends, the chain must
                end at a root that the client already has.
            2_refusals: What is wrong with each certificate, what the client says, and the alert
                that it sends. Lines in green are accepted.
            3_expired: A refusal. The client ends the handshake before it asks for anything.
            4_list: The client fetches the list of revoked certificates in the middle of the
                handshake.
            5_stapled: The server brings its issuer's answer along (CertificateStatus).
            6_middle: r1 takes over the connection of a client that trusts its root. Seen at h1,
                all is well.
            7_first: The first visit by http:// meets r1, which answers in plain text.
            8_later: The client remembers that the site wants HTTPS. It tries no other port, and
                refuses r1.
        """
        return {
            "1_chains": plots.chains(pictures.chains(tables)),
            "2_refusals": plots.refusals(talk.table_of_refusals(tables)),
            "3_expired": _ladder(tables, "expired"),
            "4_list": _ladder(tables, "revoked-list"),
            "5_stapled": _ladder(tables, "good-status"),
            "6_middle": _ladder(tables, "middle-trusted"),
            "7_first": _ladder(tables, "first-attacked"),
            "8_later": _ladder(tables, "later-attacked"),
        }


def _ladder(tables: Tables, step: str) -> str:
    """All packets of a step's connections, at the client."""
    return steps.ladder(tables, step, talk.CLIENT, hosts=("h1", "h2"), keep=20, protocol="TCP")
