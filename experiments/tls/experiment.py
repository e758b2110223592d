"""TLS: what it hides, how two strangers agree on keys, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.dissect import http
from testbed import LinkShape, Tables, param, steps
from testbed.daemons import certificates, start
from topologies.line import Line

from . import talk, visits
from .attacks import Attacks
from .cost import Cost
from .handshakes import Handshakes
from .resumption import Resumption
from .secrecy import Secrecy

if TYPE_CHECKING:
    import pandas as pd

    from testbed import Action, RunningNetwork, ScenarioData

FAULTS = ("none", "swapped", "weak-server", "no-rsa", "no-cause", "anybody", "nothing-common")


class Tls(Secrecy, Handshakes, Resumption, Attacks, Cost):
    """TLS: what it hides, how two strangers agree on keys, and what that costs.

    h1 gets a page from nginx on h2 over HTTP and over HTTPS, then with handshakes of TLS 1.2 (RSA
    key exchange, ECDHE) and TLS 1.3, with resumed sessions, early data, ALPN and a client
    certificate. r1, on the path, reads what it can; it also relays connections, and then records,
    replays or changes them. h1 writes its secrets down, so that the captures can be opened.

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
    programs = ("nginx", "curl", "openssl", "socat")
    extras = ("tls",)

    # ---- in the network

    def topology(self) -> Line:
        """h1 and h2 in LANs of their own, two routers between them."""
        return Line(2, LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """Makes certificates, starts the servers, and does all steps."""
        faults = self.params.faults
        visits.write_page()
        made = certificates.make(net, "h2", visits.CERTIFICATES)
        settings = visits.STRONG
        if "weak-server" in faults:
            settings = visits.WEAK
        elif "no-rsa" in faults:
            settings = visits.NO_RSA
        elif "nothing-common" in faults:
            settings = visits.NOTHING_COMMON
        nginx = visits.site(made, settings)
        start(net, visits.servers(net, nginx, made, "anybody" not in faults))
        client = visits.Client(net, made)
        net.capture(talk.CLIENT, talk.PATH)
        acts: dict[str, Action] = {
            "http": client.curl("https" if "swapped" in faults else "http"),
            "https": client.curl("http" if "swapped" in faults else "https"),
            **visits.exchanges(client),
            **visits.refusals(client, cause="no-cause" not in faults),
        }
        steps.play(net, acts, quiet_s=0.3)
        net.sleep(0.5)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by step: as the endpoints know them, and as others read them."""
        key = data.path / "certificates" / "www.key"
        read = {
            "tls": talk.read,
            "http": talk.read_http,
            "http_in_the_clear": talk.read_without_keys,
            "tls_with_private_key": lambda p: talk.read_with_private_key(p, key),
        }
        found = steps.measure(data, http.COLUMNS, read)
        return {**found, "served": talk.served(data.log("h2-nginx"))}

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, str]:
        """Ladders of some of the steps.

        Figures:
            1_http: The page over HTTP. r1 reads all of it.
            2_https: The same page over HTTPS, opened with the client's secrets.
            3_rsa: TLS 1.2 with RSA key exchange. The secret is in ClientKeyExchange, under the
                server's public key; two round trips pass before the request.
            4_ecdhe: TLS 1.2 with ECDHE. Both sides send a public value; the server signs its own.
            5_tls13: TLS 1.3. Everything behind ServerHello is encrypted; one round trip.
            6_resumed: A resumed session of TLS 1.2 needs no certificate, and one round trip less.
            7_early: Early data of TLS 1.3. The request comes with the first message.
            8_flipped: One bit was changed on the way; the client ends the connection.
        """
        return {
            "1_http": _ladder(tables, "http"),
            "2_https": _ladder(tables, "https"),
            "3_rsa": _ladder(tables, "rsa"),
            "4_ecdhe": _ladder(tables, "ecdhe"),
            "5_tls13": _ladder(tables, "tls13"),
            "6_resumed": _ladder(tables, "id-resumed"),
            "7_early": _ladder(tables, "early"),
            "8_flipped": _ladder(tables, "flipped"),
        }


def _ladder(tables: Tables, step: str) -> str:
    """All packets of a step's connection, at the client."""
    hosts = ("h1", "r1", "h2")
    return steps.ladder(tables, step, talk.CLIENT, hosts=hosts, keep=20, protocol="TCP")
