"""QUIC: connections that encrypt, outlive addresses, and keep their streams apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbed import LinkShape, Tables, param, steps
from testbed.daemons import certificates, start
from topologies.line import Line

from . import talk, visits
from .handshakes import Handshakes
from .moves import Moves
from .path import OnThePath
from .priorities import Priorities
from .streams import Streams

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork, ScenarioData

FAULTS = (
    "none",
    "long-certificate",
    "no-resumption",
    "amplify",
    "no-retry",
    "known-version",
    "stay",
    "fixed-address",
    "same-id",
    "old-keys",
    "patient",
    "one-file",
    "late-loss",
    "wide-window",
    "no-table",
    "no-alt-svc",
    "usual-port",
    "equal",
)


class Quic(Handshakes, OnThePath, Moves, Streams, Priorities):
    """QUIC: connections that encrypt, outlive addresses, and keep their streams apart.

    h1 fetches files from h2 over HTTP/3, with a new connection and a resumed one, from a server
    that asks for proof of the address, with a long certificate and with an unknown version. In the
    middle of a download h1's address changes, over QUIC and over TCP. One packet of twelve parallel
    files is lost.

    Server and client are aioquic's; nginx and curl speak HTTP/2 for comparison. Both ends of QUIC
    write their secrets down, so that the captures can be opened. `faults` break things on purpose.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(20.0, "delay of the path, one way", unit="ms", low=10, high=60)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("curl", "ip", "nft", "nginx", "ping")
    extras = ("quic", "tls")

    # ---- in the network

    def topology(self) -> Line:
        """h1 and h2 in LANs of their own, two routers between them."""
        shape = LinkShape(delay_ms=self.params.delay_ms, rate_mbps=visits.RATE_MBPS)
        return Line(2, shape)

    def run(self, net: RunningNetwork) -> None:
        """Makes certificates, starts the servers and the client, and does all steps."""
        faults = self.params.faults
        visits.write_files()
        made = certificates.make(net, "h2", visits.CERTIFICATES)
        visit = visits.Visits(net, made, faults)
        start(net, {"h2": visits.servers(net, made, faults), "h1": [visit.client]})
        net.capture(talk.CLIENT)
        steps.play(net, visit.steps(), quiet_s=0.3)
        net.capture(talk.SERVER)
        steps.play(net, {"lost": visit.losing(), "update": visit.updating}, quiet_s=0.3)
        net.sleep(0.5)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and frames by step: as the ends know them, and as the path reads them."""
        read = {
            "http3": talk.read_http3,
            "http2": talk.read_http2,
            "http": talk.read_http,
            "quic_on_path": talk.read_on_path,
            "quic": talk.read,
        }
        found = steps.measure(data, talk.columns(), read)
        moves = data.events("move")
        moves["step"] = steps.step_at(found["steps"], moves["time_s"])
        told = steps.json_logs(data, found["steps"], "h1-http3-client")
        told = told.reindex(columns=["time_s", "step", "stream", "bytes", "ended", "reason"])
        return {
            **found,
            "moves": moves,
            "delivered": told[told["bytes"].notna()],
            "ends": told[told["ended"].notna()],
        }

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, str]:
        """Ladders of some of the steps.

        Figures:
            1_open: A new connection. The handshake takes one round trip; the request goes with the
                client's answer to it.
            2_early: The same server once more. The request goes with the first datagram (0-RTT).
            3_retry: The server has the client prove its address first.
            4_versions: The server does not know the version, and names those that it knows.
            5_long: A long certificate. The server may send three datagrams, and then waits.
            6_move: The client's address changes in the middle of a download. The server challenges
                the new address and goes on.
            7_keys: The key phase changes, and both sides use new keys.
        """
        kept = {"1_open": "open", "2_early": "early", "3_retry": "retry", "4_versions": "versions"}
        kept |= {"5_long": "long", "7_keys": "keys"}
        ladders = {name: _ladder(tables, step, protocol="UDP") for name, step in kept.items()}
        moving = _ladder(tables, "move", frame=talk.around_moves(tables, "move"))
        return dict(sorted({**ladders, "6_move": moving}.items()))


def _ladder(tables: Tables, step: str, **equals: Any) -> str:
    return steps.ladder(tables, step, talk.CLIENT, hosts=("h1", "h2"), keep=12, **equals)
