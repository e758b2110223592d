"""IPv4 addressing: masks, prefixes, special addresses, translation, and the header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.dissect import ipv4
from analysis.plots import headers as plots
from testbed import (
    Action,
    LinkShape,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    in_order,
    masquerade,
    near,
    param,
    pick,
    same,
    when,
)
from testbed import steps as exchange
from topologies.site import Site

from .header import ECHO_REQUEST, Ipv4Header, header_fields, header_steps, protocol_steps
from .prefixes import Prefixes, prefix_steps
from .special import LINK_LOCAL, SpecialAddresses, broadcast_steps, link_local_steps

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData

PORT, OWN_PORT = 7, 5000
"""The echo service, and the source port that both clients behind the translator use."""


FAULTS = tuple(
    (
        "none classful on-link one-route small-aggregate forwarding open-loopback "
        "no-join no-nat raised options relay classless no-record plain unfiltered "
        "bleached"
    ).split()
)


class Addressing(SpecialAddresses, Prefixes, Ipv4Header):
    """IPv4 addressing: which hosts are neighbours, which route wins, and what never leaves.

    Masks decide what h1 sends to its neighbours and what to its router. r1 chooses among routes by
    the longest prefix and carries four networks by one route. Broadcasts, loopback and multicast
    groups show how far each goes. Two hosts share one public address behind a translator. A ping
    across three routers shows every field of the header.

    `faults` break things on purpose: see which claims fall with each.
    """

    @dataclass(frozen=True)
    class Parameters:
        """Options of the experiment."""

        delay_ms: float = param(1.0, "delay of each link of the path", unit="ms", low=0, high=1000)
        faults: tuple[str, ...] = param(
            ("none",), "break something on purpose and see which claims fail", choices=FAULTS
        )

    params: Parameters
    programs = ("ping", "arping", "ip", "socat", "nft", "busybox")

    # ---- in the network

    def topology(self) -> Site:
        """h1 and h3 on one LAN; h2 behind three routers, h4 behind one."""
        return Site(path=LinkShape(delay_ms=self.params.delay_ms))

    def run(self, net: RunningNetwork) -> None:
        """All steps, one after another."""
        net.capture("h1-eth0", "h3-eth0", "r2-eth0", "r3-eth0", "h2-eth0", "h4-eth0")
        exchange.play(net, self._steps(net), quiet_s=2.0)

    def _steps(self, net: RunningNetwork) -> dict[str, Action]:
        on = self.params.faults
        me, far = net.address("h1"), net.address("h2")
        return {
            **header_steps(on, far),
            **link_local_steps(on, far),
            **prefix_steps(on, net),
            **broadcast_steps(on, far),
            **protocol_steps(on, (me, far)),
            "translated": in_order(
                when("no-nat" not in on, masquerade("r1", "r1-eth1")), _echo(far)
            ),
        }

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets by step, headers field by field, and what h4 was told of its addresses."""
        tables = exchange.measure(data, ("payload", "ip_checksum_ok", "ip_dscp"))
        tables["headers"], noted = header_fields(data, tables["packets"])
        tables["told"] = pd.DataFrame([{"classes": data.log("classes"), "noted": noted}])
        return tables

    # ---- claims

    @claim(
        "A translator lets many private addresses share one: it changes source address and, where "
        "needed, port on the way out, and back on the way in.",
        source="RFC 3022 §2.2, RFC 4787 §4; RFC 1918",
    )
    def translator_shares_one_address(self, tables: Tables) -> Verdict:
        """h1 and h3 ask h2's echo service from the same port at the same time."""
        far = address(tables, "h2-eth0")
        outside = pick(tables, "translated", "r2-eth0", ip_dst=far, udp_dport=PORT)
        inside = pd.concat(
            pick(tables, "translated", f"{h}-eth0", ip_src=far, udp_dport=OWN_PORT)
            for h in ("h1", "h3")
        )
        sources = sorted(set(outside["ip_src"].astype(str)))
        back = set(inside["ip_dst"].astype(str))
        return (
            all_of(
                same(sources, [address(tables, "r1-eth1")], "outside from"),
                near(outside["udp_sport"].nunique(), 2, abs=0, unit="ports outside"),
                same(
                    back,
                    {address(tables, "h1-eth0"), address(tables, "h3-eth0")},
                    "answers inside to",
                ),
            )
            .because("translations", self._translations(tables), scenario="main")
            .because("outside", outside)
            .because("inside", inside)
        )

    def _translations(self, tables: Tables) -> pd.DataFrame:
        """Each datagram to the echo service inside and outside, matched by identification."""
        far = address(tables, "h2-eth0")
        inside, outside = (
            pd.concat(pick(tables, "translated", c, ip_dst=far, udp_dport=PORT) for c in captures)
            for captures in (("h1-eth0", "h3-eth0"), ("r2-eth0",))
        )
        both = inside.merge(outside, on="ip_id", suffixes=("", "_outside"))
        both = both.drop_duplicates(["ip_src", "udp_sport"])
        return pd.DataFrame(
            {
                end: [
                    f"{ip}:{port}"
                    for ip, port in zip(
                        both[f"ip_src{suffix}"], both[f"udp_sport{suffix}"], strict=True
                    )
                ]
                for end, suffix in (("inside", ""), ("outside", "_outside"))
            }
        )

    @claim(
        "No router may pass on packets from or to 169.254/16; Linux does, unless a filter keeps "
        "them.",
        source="RFC 3927 §2.7, §7; RFC 6890",
    )
    def link_local_is_not_forwarded(self, tables: Tables) -> Verdict:
        """h1 pings h2 from 169.254.7.7: by r1 as it is, and with the filter the standard asks."""

        def sent(name: str, capture: str) -> pd.DataFrame:
            return pick(tables, name, capture, icmp_type=ECHO_REQUEST, ip_src=LINK_LOCAL)

        bare, asked, passed = (
            sent("link-local", "r2-eth0"),
            sent("kept-local", "h1-eth0"),
            sent("kept-local", "r2-eth0"),
        )
        return (
            all_of(
                at_least(len(bare), 1, unit="packets passed on by Linux as it is"),
                at_least(len(asked), 1, unit="packets sent to the filter"),
                at_most(len(passed), 0, unit="of them behind r1"),
            )
            .because("sent", asked)
            .because("behind r1", pd.concat([bare, passed]))
        )

    # ---- figures

    def plot(self, tables: Tables) -> dict[str, Any]:
        """The header on its way; ladders: a group joined and left, the translator's sides.

        Figures:
            1_header: One packet's IPv4 header, field by field, as it left h1 and as it reached h2;
                coloured is what the routers changed on its way.
            2_multicast_group: h3 joins a group by IGMP, gets what h1 sends to it, and says when it
                leaves.
            3_translated_outside: Two clients behind the translator, both at source port 5000, as
                the outside sees them: one address, and another port for the second client.
            4_translated_inside: The same exchange as h1 sees it, with its own address and port; h1
                notices nothing of the translation.
        """
        fields = tables.of("headers")
        headers = {
            f"{where} ({capture})": [
                ipv4.Field(f["field"], int(f["bits"]), f["value"], f["meaning"])
                for f in fields[fields["capture"] == capture].to_dict("records")
            ]
            for where, capture in (("as it left h1", "h1-eth0"), ("as it reached h2", "h2-eth0"))
        }
        return {
            "1_header": plots.rows_of_bits(headers),
            "2_multicast_group": exchange.ladder(tables, "group", "h3-eth0", ip_version=4),
            "3_translated_outside": exchange.ladder(tables, "translated", "r2-eth0", ip_version=4),
            "4_translated_inside": exchange.ladder(tables, "translated", "h1-eth0", ip_version=4),
        }


def _echo(far: str) -> Action:
    """h1 and h3 ask the echo service of h2, from one and the same port."""

    def act(net: RunningNetwork) -> None:
        service = net.start("h2", "socat", f"UDP4-LISTEN:{PORT},fork,reuseaddr", "PIPE")
        net.sleep(0.2)
        asking = [
            net.start(
                h,
                "socat",
                "-T1",
                "OPEN:/dev/zero,readbytes=10!!OPEN:/dev/null,wronly",
                f"UDP4:{far}:{PORT},sourceport={OWN_PORT}",
            )
            for h in ("h1", "h3")
        ]
        for client in asking:
            client.wait(30)
        service.stop()

    return act
