"""ICMP: echo, traceroute, errors and their causes, redirect, and the discovery of the path MTU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.plots import exchanges as plots
from testbed import (
    Action,
    LinkShape,
    MissingDataError,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    filter_packets,
    in_order,
    mac,
    near,
    nothing,
    param,
    pick,
    ping,
    program,
    same,
    steps,
    sysctl,
    unfilter,
    zeros,
)
from topologies.site import Site

from .echo import Echo
from .errors import BURST_PKTS, TOO_BIG, Errors
from .traceroutes import ECHO_REQUEST, TCP, UNREACHABLE, Traceroutes

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData

REDIRECT = 5
"""ICMP type (RFC 792)."""


UNUSED_PROTOCOL = 253
"""For experiments (RFC 3692)."""

NOWHERE = "198.51.100.1"
"""In TEST-NET-2 (RFC 5737): no router has a route."""

TRANSFER_BYTES = 60_000
TRANSFER_S = 10.0
"""How long a transfer may take; the path needs less than one second."""

QUIET_S = 15.0
"""Between steps: what is under way arrives, and the kernel's allowance of errors is full again."""

WAY = ("h1", "r1", "r4", "r2", "r3", "h4", "h2")
"""Nodes in ladder diagrams, from left to right."""

BREAKS: dict[str, Action] = {
    "none": nothing,
    "deaf": in_order(
        sysctl("h2", "net.ipv4.icmp_echo_ignore_all", 1),
        filter_packets("h2", "input", "tcp dport 80 drop"),
    ),
    "silent": in_order(
        *(
            filter_packets(node, "output", "icmp type != { echo-reply, echo-request } drop")
            for node in ("r1", "r2", "r3", "h2")
        )
    ),
    "no-redirect": in_order(
        sysctl("r1", "net.ipv4.conf.all.send_redirects", 0),
        sysctl("r1", "net.ipv4.conf.r1-eth0.send_redirects", 0),
    ),
    "fragmenting": sysctl("h1", "net.ipv4.ip_no_pmtu_disc", 1),
    "talkative": in_order(
        sysctl("h2", "net.ipv4.icmp_ratelimit", 0),
        sysctl("h3", "net.ipv4.icmp_echo_ignore_broadcasts", 0),
    ),
    "ttl-raised": filter_packets("r1", "prerouting", "ip ttl set 128"),
    "no-probing": nothing,  # the step itself leaves it out
}
"""Faults: what is broken on purpose."""


class Icmp(Errors, Echo, Traceroutes):
    """ICMP: what hosts and routers tell each other about the packets they could not deliver.

    h1 asks h2 for echoes, walks the path in the three ways of traceroute, and sends what cannot
    arrive: to networks, hosts, protocols and ports that are not there. Its gateway r1 sends it on
    to a better router by a redirect. At last it sends a file through a link with a smaller MTU:
    with ICMP, without it, and without it but with packetisation-layer probing.

    `faults` break things on purpose: see which claims fall with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(
            10.0, "delay of each of the path's two links", unit="ms", low=0.1, high=1000
        )
        mtu_bytes: int = param(1400, "MTU of the narrow link", unit="bytes", low=576, high=1500)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=BREAKS
        )

    params: Parameters
    programs = ("ping", "traceroute", "socat", "nft")

    # ---- in the network

    def topology(self) -> Site:
        """h1's LAN, the path to h2 with its narrow link, and the branch of h4."""
        p = self.params
        return Site(
            path=LinkShape(delay_ms=p.delay_ms),
            narrow=LinkShape(delay_ms=p.delay_ms, mtu_bytes=p.mtu_bytes),
        )

    def run(self, net: RunningNetwork) -> None:
        """All steps, one after another, with silence between them."""
        for fault in self.params.faults:
            BREAKS[fault](net)
        net.capture("h1-eth0", "r2-eth0", "h2-eth0")
        steps.play(net, self._steps(net), quiet_s=QUIET_S)

    def _steps(self, net: RunningNetwork) -> dict[str, Action]:
        faults = self.params.faults
        far, lan = net.address("h2"), net.address("h1").rsplit(".", 1)[0]
        absent = far.rsplit(".", 1)[0] + ".99"
        return {
            "echo": ping("h1", far, 3),
            "traceroute-udp": _traceroute(far),
            "traceroute-icmp": _traceroute("-I", far),
            "traceroute-tcp": _traceroute("-T", far),
            "no-network": ping("h1", NOWHERE, wait_s=5),
            "no-host": ping("h1", absent, wait_s=5),
            "no-protocol": zeros("h1", f"IP4-SENDTO:{far}:{UNUSED_PROTOCOL}"),
            "no-port": zeros("h1", f"UDP4-SENDTO:{far}:9"),
            "prohibited": in_order(
                filter_packets(
                    "r3", "forward", "udp dport 69 reject with icmp type admin-prohibited"
                ),
                zeros("h1", f"UDP4-SENDTO:{far}:69"),
            ),
            "broadcast": program("h1", "ping", "-n", "-b", "-c", "2", "-W", "1", f"{lan}.255"),
            "burst": zeros("h1", f"UDP4:{far}:9", BURST_PKTS * 10, "-b", "10"),
            "redirect": ping("h1", net.address("h4"), 3),
            "black-hole": in_order(
                filter_packets("r2", "output", "icmp type destination-unreachable drop"), _transfer
            ),
            "probing": in_order(
                sysctl("h1", "net.ipv4.tcp_mtu_probing", int("no-probing" not in faults)), _transfer
            ),
            "path-mtu": in_order(
                sysctl("h1", "net.ipv4.tcp_mtu_probing", 0),
                nothing if "silent" in faults else unfilter("r2"),
                _transfer,
            ),
        }

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets by step, and the interfaces' addresses."""
        return steps.measure(data, ("icmp_gateway", "payload"))

    # ---- claims

    @claim(
        "A router that sends a packet back out of the interface it came by tells the sender of "
        "the better router; the sender then goes there directly.",
        source="RFC 792 p. 12, RFC 1812 §5.2.7.2, RFC 1122 §3.2.2.2",
    )
    def redirect_shortens_the_way(self, tables: Tables) -> Verdict:
        """h1 pings h4 by its gateway r1; r4 is on the same LAN."""
        told = pick(tables, "redirect", "h1-eth0", icmp_type=REDIRECT)
        asked = pick(tables, "redirect", "h1-eth0", icmp_type=ECHO_REQUEST)
        names = {mac(tables, i): i for i in ("r1-eth0", "r4-eth0")}
        way = [names.get(m, m) for m in asked["eth_dst"]]
        gateways = sorted({str(g) for g in told["icmp_gateway"]})
        return all_of(
            same(gateways, [address(tables, "r4-eth0")], "redirected to"),
            same([way[:1], way[-1:]], [["r1-eth0"], ["r4-eth0"]], "first and last sent to"),
        ).because("requests and redirects", pd.concat([asked, told]))

    @claim(
        "A router drops a packet with DF set that does not fit the next link, and sends "
        "fragmentation needed (type 3 code 4) with that link's MTU; the sender makes its packets "
        "that small.",
        source="RFC 1191 §3, §4",
    )
    def path_mtu_is_discovered(self, tables: Tables) -> Verdict:
        """The transfer with ICMP: the message, the sizes behind it, and that all data arrives."""
        mtu = self.params.mtu_bytes
        told = pick(tables, "path-mtu", "h1-eth0", icmp_type=UNREACHABLE, icmp_code=TOO_BIG)
        sent = self._data_packets(tables, "path-mtu", "h1-eth0")
        after = sent[sent["time_s"] > told["time_s"].min()] if len(told) else sent
        return (
            all_of(
                same({bool(df) for df in sent["ip_df"]}, {True}, "DF"),
                same({int(m) for m in told["icmp_mtu"]}, {mtu}, "MTU told in bytes"),
                near(_largest(after), mtu, abs=0, unit="bytes, largest afterwards"),
                self._arrived(tables, "path-mtu", TRANSFER_BYTES),
            )
            .because("the errors", told)
            .because("segments", sent.head(6))
        )

    @claim(
        "Where that ICMP message is dropped, the connection opens and then hangs: a black hole.",
        source="RFC 2923 §2.1",
        bears_stall_s=0.1,
    )
    def dropped_icmp_makes_a_black_hole(self, tables: Tables) -> Verdict:
        """The transfer while r2's errors are dropped: small packets pass, full ones do not."""
        shaken = pick(tables, "black-hole", "h1-eth0", ip_proto=TCP)
        opened = ((shaken["tcp_flags"].astype(int) & 0x12) == 0x12).sum()
        sent = self._data_packets(tables, "black-hole", "h1-eth0")
        return all_of(
            near(int(opened), 1, abs=0, unit="SYN+ACK"),
            at_least(len(sent), 4, unit="segments sent, most of them again and again"),
            self._arrived(tables, "black-hole", 0),
        ).because("segments that vanish", sent)

    @claim(
        "Packetisation-layer probing gets through a black hole without ICMP: after repeated "
        "losses TCP tries smaller segments.",
        source="RFC 4821 §7, §10.1",
        bears_stall_s=0.1,
    )
    def probing_needs_no_icmp(self, tables: Tables) -> Verdict:
        """The same transfer with net.ipv4.tcp_mtu_probing=1."""
        mtu = self.params.mtu_bytes
        sent = self._data_packets(tables, "probing", "h1-eth0")
        passed = self._data_packets(tables, "probing", "h2-eth0")
        errors = pick(tables, "probing", "h1-eth0", icmp_type=UNREACHABLE)
        return all_of(
            at_most(len(errors), 0, unit="ICMP errors"),
            at_least(_largest(sent), mtu + 1, unit="bytes at first"),
            at_most(_largest(passed), mtu, unit="bytes at the end"),
            self._arrived(tables, "probing", TRANSFER_BYTES),
        ).because("segments", sent.head(12))

    # ---- what the claims look at

    def _data_packets(self, tables: Tables, name: str, capture: str) -> pd.DataFrame:
        source = address(tables, "h1-eth0")
        seen = pick(tables, name, capture, ip_src=source, ip_proto=TCP)
        return seen[seen["tcp_payload_bytes"] > 0].reset_index(drop=True)

    def _arrived(self, tables: Tables, name: str, expected_bytes: int) -> Verdict:
        """What of the stream h2 acknowledged, as h1 heard it."""
        sent = self._data_packets(tables, name, "h1-eth0")
        if sent.empty:
            raise MissingDataError(f"no data was sent in step {name}")
        start = int(sent["tcp_seq"].iloc[0])
        back = pick(tables, name, "h1-eth0", ip_dst=address(tables, "h1-eth0"), ip_proto=TCP)
        heard = [(int(ack) - start) % 2**32 for ack in back["tcp_ack"]]
        ours = [h for h in heard if h <= expected_bytes + TRANSFER_BYTES]
        acknowledged = min(max(ours, default=0), TRANSFER_BYTES)  # a FIN counts as one byte more
        return near(acknowledged / 1e3, expected_bytes / 1e3, abs=0, unit="kB acknowledged")

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Any]:
        """The walk along the path, and the three transfers.

        Figures:
            1_traceroute: Who answers probes of each TTL, and when; above the bars the answer's ICMP
                type and code. Routers treat all three kinds alike: only the target's answer
                differs.
            2_path_MTU: The size of each packet that h1 sends. A router's message brings the size
                down at once; where no message comes (black hole) h1 repeats the same size in vain,
                unless it probes by itself.
            3_traceroute: Each probe is meant for h2 and lives one hop longer; the router where it
                dies says "time exceeded", the target "port unreachable".
            4_redirect: r1 passes the packet on and tells h1 of a better way. Look for the first
                request that no redirect follows: h1 has taken the advice.
            5_path_MTU: One "fragmentation needed" for each packet that was under way; what h1 sends
                from then on fits.
        """
        forms = {f: self._walk(tables, f) for f in ("udp", "icmp", "tcp")}
        ladders = {
            "3_traceroute": "traceroute-udp",
            "4_redirect": "redirect",
            "5_path_MTU": "path-mtu",
        }
        transfers = {
            name: self._data_packets(tables, name, "h1-eth0")
            for name in ("path-mtu", "black-hole", "probing")
        }
        return {
            "1_traceroute": plots.walks(forms),
            "2_path_MTU": plots.segment_sizes(transfers, self.params.mtu_bytes),
            **{
                title: steps.ladder(tables, name, "h1-eth0", hosts=WAY, ip_version=4)
                for title, name in ladders.items()
            },
        }


def _traceroute(*form_and_target: str) -> Action:
    return program("h1", "traceroute", "-n", "-q1", "-N1", "-w2", "-m8", *form_and_target)


def _transfer(net: RunningNetwork) -> None:
    """h1 sends h2 a file over TCP; both give up after `TRANSFER_S`."""
    server = net.start("h2", "socat", "-u", "TCP4-LISTEN:5001,reuseaddr", "OPEN:/dev/null")
    net.sleep(0.1)
    data = f"OPEN:/dev/zero,readbytes={TRANSFER_BYTES}"
    client = net.start("h1", "socat", "-u", data, f"TCP4:{net.address('h2')}:5001")
    net.sleep(TRANSFER_S)
    client.stop()
    server.stop()


def _largest(packets: pd.DataFrame) -> float | None:
    """Size of the largest IP packet in bytes."""
    return float(packets["ip_bytes"].max()) if len(packets) else None
