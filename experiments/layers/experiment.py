"""Layers: one HTTP request followed down the stack, along the path, and up again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis import packets
from analysis.dissect import http as messages
from analysis.plots import exchanges as plots
from testbed import (
    Action,
    Experiment,
    LinkShape,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    filter_packets,
    holds,
    in_order,
    mac,
    masquerade,
    near,
    nothing,
    param,
    pick,
    program,
    steps,
    sysctl,
)
from topologies.site import Site

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData

ETHERNET, IP, TCP, TIMESTAMPS = 14, 20, 20, 12
"""Header bytes: Ethernet as captured (without preamble and FCS), IPv4, TCP, and the TCP timestamp
option with its padding (RFC 7323)."""

MTU = 1500
IPV4_TYPE, TCP_NUMBER, HTTP_PORT = 0x0800, 6, 80
LAN_SIDE, BEHIND_SWITCH, BEHIND_ROUTER, FAR_SIDE = "h1-eth0", "r1-eth0", "r2-eth0", "h2-eth0"
PLACES = (LAN_SIDE, BEHIND_SWITCH, BEHIND_ROUTER, FAR_SIDE)

BREAKS: dict[str, Action] = {
    "none": nothing,
    "rewriting": filter_packets(
        "s1", "forward", "ether daddr 02:01:00:00:00:04 ether saddr set 02:00:00:00:00:77", "bridge"
    ),
    "translated": masquerade("r1", "r1-eth1"),
    "no-timestamps": sysctl("h1", "net.ipv4.tcp_timestamps", 0),
    "other-port": nothing,  # see `run`
    "small-segments": program("h1", "ip", "link", "set", "h1-eth0", "mtu", "600"),
    "remembered": program(
        "h1",
        "ip",
        "neigh",
        "replace",
        "10.0.1.1",
        "lladdr",
        "02:01:00:00:00:04",
        "dev",
        "h1-eth0",
        "nud",
        "permanent",
    ),
}
"""Faults: what is broken on purpose."""


class Layers(Experiment):
    """Layers: what each of them adds to one HTTP request, and who looks at what on the way.

    h1 fetches a page from h2: through a switch, then three routers. Captures before and behind
    each tell what a switch (layer 2) and a router (layer 3) change. The five layers of textbooks
    are here HTTP (application), TCP (transport), IP (network), Ethernet (link) and the wire.

    `faults` break things on purpose: see which claims fall with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        page_bytes: int = param(20_000, "size of the page", unit="bytes", low=3000, high=10_000_000)
        delay_ms: float = param(5.0, "delay of each link of the path", unit="ms", low=0, high=1000)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=BREAKS
        )

    params: Parameters
    programs = ("curl", "busybox", "ip", "nft")

    # ---- in the network

    def topology(self) -> Site:
        """h1 behind a switch; h2 behind three routers."""
        return Site(path=LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """One request."""
        faults = self.params.faults
        folder = net.state_folder("h2")
        (folder / "index.html").write_text("x" * self.params.page_bytes)
        port = 8080 if "other-port" in faults else HTTP_PORT
        in_order(*(BREAKS[fault] for fault in faults))(net)
        net.start("h2", "busybox", "httpd", "-f", "-p", str(port), "-h", str(folder))
        net.capture(*PLACES)
        steps.step(net, "request", quiet_s=1.0)
        url = f"http://{net.address('h2')}:{port}/index.html"
        program("h1", "curl", "--silent", "--max-time", "30", "--output", "/dev/null", url)(net)
        net.sleep(2)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets, and where HTTP messages begin."""
        tables = steps.measure(data, ("eth_type", "tcp_header_bytes", "payload"))
        packets = tables["packets"]
        tables["http"] = pd.concat(
            messages.read(found) for _, found in packets.groupby("capture", sort=False)
        ).drop(columns="eth_type", errors="ignore")
        return tables

    # ---- claims

    @claim(
        "Each layer puts its header in front of what the layer above hands down: Ethernet 14, IP "
        "20, TCP 20 and 12 of options, then the request.",
        source="RFC 1122 §1.1.3, RFC 894, RFC 791, RFC 9293, RFC 7323",
    )
    def headers_add_up(self, tables: Tables) -> Verdict:
        """The frame with the GET, from outside to inside."""
        request = self._request(tables, LAN_SIDE)
        if request.empty:
            return _nothing("request")
        packet = request.iloc[0]
        ethernet = int(packet["wire_bytes"] - packet["ip_bytes"])
        text = bytes(packet["payload"])
        return all_of(
            near(ethernet, ETHERNET, abs=0, unit="bytes of Ethernet"),
            near(int(packet["ip_header_bytes"]), IP, abs=0, unit="bytes of IP"),
            near(int(packet["tcp_header_bytes"]), TCP + TIMESTAMPS, abs=0, unit="bytes of TCP"),
            near(len(text), int(packet["tcp_payload_bytes"]), abs=0, unit="bytes of HTTP"),
            holds(
                text.startswith(b"GET "),
                observed=f"begins {text[:3].decode(errors='replace')}",
                expected="GET",
            ),
        ).because("the request", request)

    @claim(
        "Each header names the layer above it: EtherType 0x0800 is IP, protocol 6 is TCP, port 80 "
        "is HTTP.",
        source="RFC 1122 §2.3.3, RFC 791 p. 14, RFC 9110 §4.2.1",
    )
    def headers_name_the_layer_above(self, tables: Tables) -> Verdict:
        """The three numbers in the frame with the GET."""
        request = self._request(tables, LAN_SIDE)
        if request.empty:
            return _nothing("request")
        packet = request.iloc[0]
        found = (int(packet["eth_type"]), int(packet["ip_proto"]), int(packet["tcp_dport"]))
        wanted = (IPV4_TYPE, TCP_NUMBER, HTTP_PORT)
        return holds(
            found == wanted,
            observed=f"0x{found[0]:04x}, {found[1]}, {found[2]}",
            expected=f"0x{wanted[0]:04x}, {wanted[1]}, {wanted[2]}",
        ).because("the request", request)

    @claim(
        "Before the request come ARP and TCP's handshake; behind the answer the connection is "
        "closed.",
        source="RFC 1122 §2.3.2, RFC 9293 §3.5, RFC 9112 §9",
    )
    def lower_layers_come_first(self, tables: Tables) -> Verdict:
        """The order of the first packets of each kind at h1."""
        seen = pick(tables, "request", LAN_SIDE)
        http = pick(tables, "request", LAN_SIDE, table="http")
        firsts = {
            "ARP": seen[seen["arp_op"].notna()],
            "SYN": seen[packets.has_flags(seen, "SYN", without="ACK")],
            "SYN+ACK": seen[packets.has_flags(seen, "SYN ACK")],
            "request": http[http["kind"] == "request"],
            "response": http[http["kind"] == "response"],
            "FIN": seen[packets.has_flags(seen, "FIN")],
        }
        order = {name: rows["frame"].min() for name, rows in firsts.items() if len(rows)}
        found = sorted(order, key=lambda name: order[name])
        return holds(
            found == list(firsts), observed=", ".join(found), expected=", ".join(firsts)
        ).because("the first", seen.head(12))

    @claim("A switch changes nothing in a frame.", source="IEEE 802.1D §7; RFC 7042 §2")
    def switches_change_nothing(self, tables: Tables) -> Verdict:
        """h1's frames before and behind the switch."""
        kept = ("eth_src eth_dst ip_src ip_dst ip_ttl ip_id tcp_seq wire_bytes").split()
        before, behind = (self._segments(tables, p) for p in (LAN_SIDE, BEHIND_SWITCH))
        changed = self._changed(before, behind, kept)
        return all_of(
            at_least(len(before), 3, unit="frames"),
            at_most(len(changed), 0, unit=f"fields changed {changed or ''}".strip()),
        ).because("before and behind", pd.concat([before, behind]))

    @claim(
        "A router puts a packet into a new frame with new MAC addresses and lowers the TTL; all "
        "else of IP and TCP stays.",
        source="RFC 1812 §5.2, §5.3.1",
    )
    def routers_change_frame_and_ttl(self, tables: Tables) -> Verdict:
        """h1's packets before and behind r1."""
        fields = (
            "eth_src eth_dst ip_src ip_dst ip_ttl ip_id tcp_sport tcp_dport tcp_seq "
            "tcp_payload_bytes"
        ).split()
        before, behind = (self._segments(tables, p) for p in (BEHIND_SWITCH, BEHIND_ROUTER))
        changed = self._changed(before, behind, fields)
        wanted = ["eth_src", "eth_dst", "ip_ttl"]
        return all_of(
            at_least(len(before), 3, unit="packets"),
            holds(
                changed == wanted,
                observed=f"changed: {', '.join(changed) or 'nothing'}",
                expected=f"changed: {', '.join(wanted)}",
            ),
        ).because("before and behind", pd.concat([before, behind]))

    @claim(
        "IP addresses reach from end to end, MAC addresses only to the next hop.",
        source="RFC 791 p. 6, RFC 1122 §1.1.3",
    )
    def addresses_have_their_reach(self, tables: Tables) -> Verdict:
        """The request at h1 and at h2."""
        first, last = (self._segments(tables, p) for p in (LAN_SIDE, FAR_SIDE))
        if first.empty or last.empty:
            return _nothing("segment at both ends")
        ip = [(str(p["ip_src"].iloc[0]), str(p["ip_dst"].iloc[0])) for p in (first, last)]
        macs = [(str(p["eth_src"].iloc[0]), str(p["eth_dst"].iloc[0])) for p in (first, last)]
        wanted = (address(tables, LAN_SIDE), address(tables, FAR_SIDE))
        return (
            all_of(
                holds(
                    ip == [wanted, wanted],
                    observed=f"IP {_way(ip[0])}, finally {_way(ip[1])}",
                    expected=f"IP {_way(wanted)} at both ends",
                ),
                holds(
                    macs[0] == (mac(tables, LAN_SIDE), mac(tables, BEHIND_SWITCH))
                    and not set(macs[0]) & set(macs[1]),
                    observed=f"MAC {_way(macs[0])}, finally {_way(macs[1])}",
                    expected="all different",
                ),
            )
            .because("at h1", first.head(1))
            .because("at h2", last.head(1))
        )

    @claim(
        "A full frame carries 1448 of 1514 bytes for the page: headers cost 4.4 %.",
        source="arithmetic: 1500 − 20 − 32 of 1500 + 14",
    )
    def headers_cost_four_percent(self, tables: Tables) -> Verdict:
        """The largest segments of the response, as they reach h1."""
        came = pick(tables, "request", LAN_SIDE, ip_src=address(tables, FAR_SIDE))
        came = came[came["tcp_payload_bytes"] > 0]
        if came.empty:
            return _nothing("response")
        full = came[came["wire_bytes"] == came["wire_bytes"].max()]
        share = float(full["tcp_payload_bytes"].iloc[0] / full["wire_bytes"].iloc[0])
        wanted = (MTU - IP - TCP - TIMESTAMPS) / (MTU + ETHERNET)
        return near(share * 100, wanted * 100, abs=0.05, unit="% payload").because(
            "full frames", full
        )

    # ---- what the claims look at

    def _request(self, tables: Tables, capture: str) -> pd.DataFrame:
        """The packet in which the request begins."""
        begins = pick(tables, "request", capture, table="http", kind="request")
        return pick(tables, "request", capture, frame=set(begins["frame"].astype(int)))

    def _segments(self, tables: Tables, capture: str) -> pd.DataFrame:
        """The segments towards the server, in order."""
        far = address(tables, FAR_SIDE)
        return pick(tables, "request", capture, ip_dst=far, ip_proto=TCP_NUMBER)

    def _changed(self, before: pd.DataFrame, behind: pd.DataFrame, fields: list[str]) -> list[str]:
        """Fields that differ in any of the packets."""
        if len(before) != len(behind):
            return [f"{len(before)} packets became {len(behind)}"]
        return [f for f in fields if list(before[f].astype(str)) != list(behind[f].astype(str))]

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Any]:
        """The headers of the first packets, and the exchange as a ladder.

        Figures:
            1_encapsulation: The first frames of the connection, cut into each layer's header and
                the data (the scale is a square root). Look for frames that consist of headers only.
            2_exchange: The whole of it as h1's LAN sees it: ARP for the router, TCP's handshake,
                the request, the answer with its acknowledgements, the end.
        """
        seen = pick(tables, "request", LAN_SIDE, ip_proto=TCP_NUMBER).head(8)
        return {
            "1_encapsulation": plots.encapsulation(seen),
            "2_exchange": steps.ladder(tables, "request", LAN_SIDE, hosts=("h1", "r1", "h2")),
        }


def _nothing(what: str) -> Verdict:
    return holds(False, observed=f"no {what}", expected=f"a {what}")


def _way(ends: tuple[str, str]) -> str:
    """Source and destination."""
    return " to ".join(ends)
