"""IP fragmentation: who cuts a packet, who puts it together, and what one lost piece costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.plots import exchanges as plots
from testbed import (
    Action,
    LinkShape,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    between,
    claim,
    filter_packets,
    in_order,
    near,
    nothing,
    own_program,
    param,
    pick,
    program,
    programs,
    same,
    steps,
    sysctl,
)
from topologies.site import Site

from .sending import (
    ETHERNET_MTU,
    FITS_BYTES,
    IP_HEADER,
    LARGEST_BYTES,
    PORT,
    SMALL_BUFFER_BYTES,
    SMALL_PORT,
    UDP_HEADER,
    Sending,
    _listed,
    _most,
)

if TYPE_CHECKING:
    from testbed import Process, RunningNetwork, ScenarioData


FRAGMENTS = 4
LOSSY_BYTES = FRAGMENTS * (ETHERNET_MTU - IP_HEADER) - UDP_HEADER
"""A datagram of exactly `FRAGMENTS` full fragments."""

WAY = ("h1", "r1", "r2", "r3", "h2")
"""Nodes in ladder diagrams, from left to right."""

TIME_EXCEEDED, REASSEMBLY, UNREACHABLE, TOO_BIG = 11, 1, 3, 4
V6_TOO_BIG = 2
QUIET_S = 5.0
REASSEMBLY_S = 30
"""Linux's net.ipv4.ipfrag_time; RFC 1122 §3.3.2 asks for 60 to 120 s. Linux's timers may expire up
to an eighth late."""

BREAKS: dict[str, Action] = {
    "none": nothing,
    "small-mtu": program("h1", "ip", "link", "set", "h1-eth0", "mtu", "1400"),
    "no-room": in_order(
        sysctl("h2", "net.ipv4.ipfrag_low_thresh", 100),
        sysctl("h2", "net.ipv4.ipfrag_high_thresh", 2000),
        sysctl("h3", "net.ipv4.ipfrag_low_thresh", 100),
        sysctl("h3", "net.ipv4.ipfrag_high_thresh", 2000),
    ),
    "patient": sysctl("h2", "net.ipv4.ipfrag_time", 3600),
    "silent": in_order(
        filter_packets("r2", "output", "icmp type destination-unreachable drop"),
        filter_packets("r2", "output", "icmpv6 type packet-too-big drop", "ip6"),
    ),
    "wide": nothing,  # the narrow link is not: see `topology`
    "lossless": nothing,  # see `_lossy`
    "no-df": nothing,  # see `_steps`
    "large-buffer": nothing,  # see `run`
}
"""Faults: what is broken on purpose."""


class Fragmentation(Sending):
    """IP fragmentation, from the byte that no longer fits to the loss of a whole datagram.

    h1 sends UDP datagrams of chosen sizes: to h3 on its own LAN, and to h2 behind a link with a
    smaller MTU, with DF clear and set, over a lossy link, and by IPv6. The receivers tell what
    their sockets gave them.

    `faults` break things on purpose: see which claims fall with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        mtu_bytes: int = param(1280, "MTU of the narrow link", unit="bytes", low=1280, high=1499)
        loss_percent: float = param(10.0, "loss of the lossy step", unit="%", low=0.1, high=60)
        datagrams: int = param(400, "datagrams in the lossy step", low=10, high=100_000)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=BREAKS
        )

    params: Parameters
    programs = ("nft", "ip")

    # ---- in the network

    def topology(self) -> Site:
        """h1's LAN, and the path to h2 with its narrow link."""
        p = self.params
        mtu = ETHERNET_MTU if "wide" in p.faults else p.mtu_bytes
        return Site(path=LinkShape(delay_ms=1), narrow=LinkShape(delay_ms=1, mtu_bytes=mtu))

    def run(self, net: RunningNetwork) -> None:
        """All steps, one after another, with silence between them."""
        small = 65_536 if "large-buffer" in self.params.faults else SMALL_BUFFER_BYTES
        receivers = [
            net.start(
                node,
                *programs.argv("udp", "receive", str(PORT), f"{SMALL_PORT}/{small}"),
                log=f"{node}-received",
            )
            for node in ("h2", "h3")
        ]
        for receiver in receivers:
            net.wait_until("receivers ready", partial(_is_ready, receiver), 10)
        for fault in self.params.faults:
            BREAKS[fault](net)
        net.capture("h1-eth0", "r3-eth0", "h2-eth0", "h3-eth0")
        steps.play(net, self._steps(net), quiet_s=QUIET_S)

    def _steps(self, net: RunningNetwork) -> dict[str, Action]:
        near_host, far = net.address("h3"), net.address("h2")
        far6 = next(str(a["ipv6"]) for a in net.network.addresses if a["node"] == "h2")
        far6 = far6.split("/")[0]
        df = () if "no-df" in self.params.faults else ("--df",)
        return {
            "fits": _send(near_host, PORT, FITS_BYTES),
            "too-long": _send(near_host, PORT, FITS_BYTES + 1),
            "large": _send(near_host, PORT, LARGEST_BYTES),
            "too-large": _send(near_host, PORT, LARGEST_BYTES + 1),
            "truncated": _send(near_host, SMALL_PORT, 10 * SMALL_BUFFER_BYTES, SMALL_BUFFER_BYTES),
            "df-local": _send(near_host, PORT, FITS_BYTES + 1, options=df),
            "router": _send(far, PORT, FITS_BYTES),
            "twice": _send(far, PORT, 3 * FITS_BYTES),
            "lossy": self._lossy(far),
            "df-path": _send(far, PORT, FITS_BYTES, FITS_BYTES, options=("--gap-ms", "500", *df)),
            "ipv6": _send(
                far6, PORT, FITS_BYTES - 20, FITS_BYTES - 20, options=("--gap-ms", "500")
            ),
        }

    def _lossy(self, far: str) -> Action:
        """Many datagrams of four fragments each over a link that loses some packets."""
        p = self.params
        loss = 0.0 if "lossless" in p.faults else p.loss_percent

        def act(net: RunningNetwork) -> None:
            sound = net.shape("r1-eth1")
            net.reshape("r1-eth1", replace(sound, loss_percent=loss))
            _send(far, PORT, LOSSY_BYTES, options=("--count", str(p.datagrams)))(net)
            net.sleep(2 * REASSEMBLY_S)
            net.reshape("r1-eth1", sound)

        return act

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets by step, what the sender's calls returned, what the receivers' sockets gave."""
        tables = steps.measure(data, ("ip6_extensions", "ip_checksum_ok"))
        for name, log, key in (
            ("sent", "h1-udp", "sport"),
            ("received", "h?-received", "got_bytes"),
        ):
            tables[name] = steps.json_logs(data, tables["steps"], log, having=key)
        return tables

    # ---- claims

    @claim(
        "With DF set a router drops what does not fit the next link and reports the MTU; the "
        "sender's next attempt fails at once.",
        source="RFC 791 p. 25, RFC 1191 §4",
    )
    def df_forbids_cutting_on_the_way(self, tables: Tables) -> Verdict:
        """1472 bytes with DF to h2, twice."""
        seen = self._sent_to(tables, "df-path", "h1-eth0", "h2-eth0")
        told = pick(tables, "df-path", "h1-eth0", icmp_type=UNREACHABLE, icmp_code=TOO_BIG)
        return (
            all_of(
                near(len(seen), 1, abs=0, unit="packet left"),
                _listed(told, "icmp_mtu", [self.params.mtu_bytes], "MTU told"),
                self._calls(tables, "df-path", ["sent", "EMSGSIZE"]),
                self._delivered(tables, "df-path", []),
            )
            .because("the packet", seen)
            .because("the error", told)
        )

    @claim(
        "A router cuts a packet that does not fit the next link; the pieces are put together at "
        "the destination only.",
        source="RFC 791 p. 8, 28; RFC 1812 §5.2.6",
    )
    def routers_cut_and_hosts_join(self, tables: Tables) -> Verdict:
        """1472 bytes leave whole, come as fragments through r3, and reach the socket whole."""
        left = self._sent_to(tables, "router", "h1-eth0", "h2-eth0")
        between = self._sent_to(tables, "router", "r3-eth0", "h2-eth0")
        came = self._sent_to(tables, "router", "h2-eth0", "h2-eth0")
        return all_of(
            near(len(left), 1, abs=0, unit="packet left h1"),
            near(len(between), 2, abs=0, unit="fragments reached r3"),
            near(len(came), 2, abs=0, unit="fragments reached h2"),
            at_most(_most(came, "ip_bytes"), self.params.mtu_bytes, unit="bytes each"),
            self._delivered(tables, "router", [FITS_BYTES]),
        ).because("on the way", pd.concat([left, between, came]))

    @claim(
        "Fragments may be cut again on the way; offsets stay those of the first datagram.",
        source="RFC 791 p. 26–27",
    )
    def fragments_are_cut_again(self, tables: Tables) -> Verdict:
        """4416 bytes: three fragments leave, more arrive, with one identification."""
        left = self._sent_to(tables, "twice", "h1-eth0", "h2-eth0")
        came = self._sent_to(tables, "twice", "h2-eth0", "h2-eth0").sort_values("ip_offset_bytes")
        carried = came["ip_bytes"] - came["ip_header_bytes"]
        gaps = int((carried.cumsum().shift(fill_value=0) != came["ip_offset_bytes"]).sum())
        return all_of(
            near(len(left), 3 if len(left) else 0, abs=0, unit="fragments left"),
            at_least(len(came), len(left) + 1, unit="fragments arrived"),
            at_most(gaps, 0, unit="gaps or overlaps"),
            same(set(came["ip_id"]), set(left["ip_id"]), "identification"),
            self._delivered(tables, "twice", [3 * FITS_BYTES]),
        ).because("as they left and arrived", pd.concat([left, came]))

    @claim(
        "A datagram is delivered if and only if all of its fragments arrive.",
        source="RFC 791 p. 28–29, RFC 1122 §3.3.2",
    )
    def all_fragments_or_nothing(self, tables: Tables) -> Verdict:
        """Sets of fragments that came to h2 whole, and datagrams its socket gave."""
        came = self._sent_to(tables, "lossy", "h2-eth0", "h2-eth0")
        bytes_of = (came["ip_bytes"] - came["ip_header_bytes"]).groupby(came["ip_id"]).sum()
        whole = int((bytes_of == LOSSY_BYTES + UDP_HEADER).sum())
        some = len(bytes_of)
        given = len(self._got(tables, "lossy"))
        return all_of(
            near(given, whole, abs=0, unit=f"delivered of {some} seen"),
            at_least(some - whole, 1, unit="datagrams with a fragment missing"),
        ).because("fragments", came.head(24))

    @claim(
        "If each packet is lost with probability p, a datagram of k fragments survives with "
        "(1 − p)^k.",
        source="arithmetic; Kent & Mogul 1987",
    )
    def loss_grows_with_fragments(self, tables: Tables) -> Verdict:
        """Share of datagrams delivered, within four standard deviations of the formula."""
        p = self.params
        survives = (1 - p.loss_percent / 100) ** FRAGMENTS
        slack = 4 * (survives * (1 - survives) / p.datagrams) ** 0.5
        share = len(self._got(tables, "lossy")) / p.datagrams
        left = len(self._sent_to(tables, "lossy", "h1-eth0", "h2-eth0"))
        return all_of(
            near(left / p.datagrams, FRAGMENTS, abs=0, unit="fragments a datagram"),
            near(share, survives, abs=slack, unit="of datagrams delivered"),
        ).because("receptions", self._got(tables, "lossy"), scenario="main")

    @claim(
        "A host that waits in vain for fragments gives up and reports it (type 11 code 1), if it "
        "has the first one.",
        source="RFC 792 p. 6, RFC 1122 §3.3.2",
        bears_stall_s=0.3,
    )
    def reassembly_times_out(self, tables: Tables) -> Verdict:
        """After the lossy step; Linux waits 30 s and limits the rate of errors."""
        told = pick(tables, "lossy", "h1-eth0", icmp_type=TIME_EXCEEDED, icmp_code=REASSEMBLY)
        begun = pick(tables, "lossy", "h2-eth0")["time_s"].min()
        waited_s = float(told["time_s"].min() - begun) if len(told) else None
        return all_of(
            at_least(len(told), 1, unit="errors"),
            *(
                [between(waited_s, REASSEMBLY_S, 1.125 * REASSEMBLY_S, unit="s")]
                if waited_s
                else []
            ),
        ).because("the errors", told)

    @claim(
        "In IPv6 routers never cut: they drop and report the MTU, and the source itself fragments "
        "from then on, with a fragment header.",
        source="RFC 8200 §4.5, §5; RFC 8201 §4",
    )
    def ipv6_is_cut_at_the_source(self, tables: Tables) -> Verdict:
        """Two equal datagrams to h2's IPv6 address."""
        seen = self._sent_to(tables, "ipv6", "h1-eth0", "h2-eth0", 6)
        came = self._sent_to(tables, "ipv6", "h2-eth0", "h2-eth0", 6)
        told = pick(tables, "ipv6", "h1-eth0", ip_version=6, icmp_type=V6_TOO_BIG)
        headers = seen["ip6_extensions"].fillna("").str.contains("fragment")
        return (
            all_of(
                _listed(told, "icmp_mtu", [self.params.mtu_bytes], "MTU told"),
                same([bool(h) for h in headers], [False, True, True], "fragment headers"),
                near(len(came), 2, abs=0, unit="packets arrived"),
                self._delivered(tables, "ipv6", [FITS_BYTES - 20]),
            )
            .because("as they left", seen)
            .because("the error", told)
        )

    # ---- what the claims look at

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Any]:
        """How a datagram is cut, twice; and the price of fragments under loss.

        Figures:
            1_fragments_of_one_datagram: Each bar is one packet. h1 cuts the datagram, a router
                before a narrower link cuts the pieces again; offsets count from the whole
                datagram's start, and MF 0 marks its end.
            2_loss: The share of datagrams that arrive over how many pieces each has: one lost piece
                loses the whole.
            3_too_big_for_the_path: "Do not fragment": the router drops the packet, and tells h1 the
                MTU of the link it was too big for.
            4_ipv6: In IPv6 routers never cut: "packet too big" comes back, and h1 itself cuts what
                it sends next.
        """
        cut = {
            f"{where} ({capture})": self._sent_to(tables, "twice", capture, "h2-eth0")
            for where, capture in (("as h1 sends it", "h1-eth0"), ("as h2 gets it", "h2-eth0"))
        }
        share = len(self._got(tables, "lossy")) / self.params.datagrams
        return {
            "3_too_big_for_the_path": steps.ladder(
                tables, "df-path", "h1-eth0", hosts=WAY, ip_version=4
            ),
            "4_ipv6": steps.ladder(tables, "ipv6", "h1-eth0", hosts=WAY, ip_version=6),
            "1_fragments_of_one_datagram": plots.fragments(cut),
            "2_loss": plots.loss_by_fragments(self.params.loss_percent / 100, FRAGMENTS, share),
        }


def _is_ready(receiver: Process) -> bool:
    return "ready" in receiver.output()


def _send(host: str, port: int, *sizes: int, options: tuple[str, ...] = ()) -> Action:
    words = [*options, host, str(port), *map(str, sizes)]
    return own_program("h1", "udp", "send", *words)
