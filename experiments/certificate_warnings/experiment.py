"""Certificate warnings: what a browser refuses, and which words it has for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.dissect import http, tls_certificates
from analysis.plots import certificates as plots
from testbed import LinkShape, Tables, nothing, param, steps, tls_steps
from testbed.daemons import certificate_cases, certificates, start
from testbed.daemons.browser import PROGRAMS
from topologies.line import Line

from . import outcomes, visits
from .protection import Protection
from .warnings import Warnings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from testbed import RunningNetwork, ScenarioData

FAULTS = ("none", "flawless", "wrong-root", "no-hsts", "no-stapling", "careful-user", "asking")


class CertificateWarnings(Protection, Warnings):
    """Certificate warnings: what a browser refuses, and which words it has for that.

    nginx on h2 has one name and one certificate per case: a sound one, and others with one thing
    wrong each, the same as in `certificates`. On h1, Chromium trusts one root and visits all of
    them. Then its user ignores a warning, visits a site with HSTS twice, and comes back to a
    certificate while it is valid and when it has ended.

    `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(5.0, "delay of the path, one way", unit="ms", low=0, high=1000)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("nginx", "gnutls-cli", *PROGRAMS)
    extras = ("tls", "browser")

    # ---- in the network

    def topology(self) -> Line:
        """h1 and h2 in LANs of their own, two routers between them."""
        return Line(2, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """Makes certificates, starts the servers, and does all visits."""
        faults = self.params.faults
        cases = list(certificate_cases.cases())
        if "flawless" in faults:
            cases = certificate_cases.flawless()
        made = certificates.make(net, "h2", visits.wanted(cases, net.address("h2")))
        visits.write_pages(made)
        start(net, {"h2": [visits.site(made, cases, faults)]})
        net.capture(tls_steps.CLIENT)
        chromium = visits.browser(net, made, faults)
        ask = visits.asking(net, made) if "asking" in faults else nothing
        steps.play(net, visits.visits(chromium, cases, faults, ask))
        chromium.close()

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by step, certificates, and what the browser did."""
        read = {"tls": tls_steps.read, "http": tls_steps.read_http}
        found = steps.measure(data, http.COLUMNS, read)
        sent = tls_certificates.read(found["tls"])
        return {**found, **data.browser(), "certificates": sent}

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Figure | str]:
        """A table of warnings, and ladders of two visits.

        Figures:
            1_warnings: What is wrong with each certificate, what Chromium says, and the alert that
                it sends. Lines in green are accepted.
            2_expired: A refusal. The handshake is encrypted (TLS 1.3); the client ends it before it
                asks for anything.
            3_hsts: A visit by http:// to a site with HSTS. Nothing goes to port 80.
        """
        return {
            "1_warnings": plots.refusals(outcomes.table(tables)),
            "2_expired": _ladder(tables, "expired"),
            "3_hsts": _ladder(tables, visits.LATER),
        }


def _ladder(tables: Tables, visit: str) -> str:
    """All packets of a visit, at the client."""
    return steps.ladder(tables, visit, tls_steps.CLIENT, hosts=("h1", "h2"), protocol="TCP")
