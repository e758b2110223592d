"""Addresses that are refused, several servers, and relays."""

from __future__ import annotations

from testbed import (
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    holds,
    near,
    pick,
    same,
)

from .exchange import EVERYBODY, SERVER, Exchange, _types
from .leases import _listed


class Servers(Exchange):
    """Addresses that are refused, several servers, and relays."""

    @claim(
        "A client that finds its new address in use declines it and starts again.",
        source="RFC 2131 §3.1 (5), §4.4.1; RFC 5227 §2.1.1",
    )
    def used_addresses_are_declined(self, tables: Tables) -> Verdict:
        """d2 has the address that d1 gives h1."""
        seen = self._said(tables, "decline", "h1")
        kinds = list(seen["type"])
        at = kinds.index("DECLINE") if "DECLINE" in kinds else None
        if at is None:
            return holds(False, observed=f"{', '.join(kinds)}", expected="a DECLINE").because(
                "the exchange", seen
            )
        refused = seen["requested_ip"].iloc[at]
        given = seen.iloc[at:]
        given = given[given["type"] == "ACK"]
        conflict = pick(tables, "decline", "h1-eth0", arp_op=2, arp_sender_ip=refused)
        return (
            all_of(
                at_least(len(conflict), 1, unit="ARP answers for the address"),
                holds(
                    "ACK" in kinds[:at],
                    observed=f"{', '.join(kinds[: at + 1])}",
                    expected="an ACK before the DECLINE",
                ),
                holds(
                    len(given) > 0 and refused not in set(given["your_ip"]),
                    observed=f"declined {refused}, then got {_listed(given['your_ip'])}",
                    expected="another address",
                ),
            )
            .because("the exchange", seen)
            .because("in use", conflict)
        )

    @claim(
        "A client that remembers an address asks for it at once; a server that knows better "
        "refuses by NAK, and the client starts from the beginning.",
        source="RFC 2131 §3.2, §4.3.2 (INIT-REBOOT)",
    )
    def wrong_addresses_are_refused(self, tables: Tables) -> Verdict:
        """h1 comes back after the network was renumbered."""
        seen = self._said(tables, "refuse", "h1")
        return _types(seen, ["REQUEST", "NAK", "DISCOVER", "OFFER", "REQUEST", "ACK"]).because(
            "the exchange", seen
        )

    @claim(
        "If several servers offer, the client's REQUEST names the one it takes; the others hear "
        "the broadcast and keep their addresses.",
        source="RFC 2131 §3.1 (3–4)",
    )
    def one_of_two_offers_is_taken(self, tables: Tables) -> Verdict:
        """h2's lease with two servers on the LAN."""
        seen = self._said(tables, "two-servers", "h2")
        offers = seen[seen["type"] == "OFFER"]
        asked, acked = seen[seen["type"] == "REQUEST"], seen[seen["type"] == "ACK"]
        named = set(asked["server_id"].dropna())
        by = set(acked["ip_src"].astype(str))
        return all_of(
            near(offers["server_id"].nunique(), 2, abs=0, unit="servers offer"),
            holds(
                len(named) == 1 and by == named,
                observed=f"REQUEST names {_listed(named)}, ACK by {_listed(by)}",
                expected="the same one",
            ),
            same(set(asked["ip_dst"].astype(str)), {EVERYBODY}, "REQUEST to"),
        ).because("the exchange", seen)

    @claim(
        "A relay carries the client's broadcast to a server in another network by unicast, with "
        "its own address in giaddr; the server chooses the pool by it.",
        source="RFC 1542 §4, RFC 2131 §4.1, §4.3.1",
    )
    def relay_crosses_the_router(self, tables: Tables) -> Verdict:
        """h3 behind r1, as h3 and d1 see it."""
        seen = self._said(tables, "relay", "h3")
        at_server = pick(tables, "relay", "d1-eth0", table="dhcp")
        relay = address(tables, "r1-eth1")
        relayed = at_server[at_server["relay_ip"] == relay]
        ways = set(
            zip(relayed["udp_sport"].astype(int), relayed["udp_dport"].astype(int), strict=True)
        )
        given = seen[seen["type"] == "ACK"]["your_ip"]
        return (
            all_of(
                _types(seen, ["DISCOVER", "OFFER", "REQUEST", "ACK"]),
                near(len(relayed), 4, abs=0, unit="messages with the relay's address at d1"),
                at_most(int((relayed["ip_dst"] == EVERYBODY).sum()), 0, unit="of them broadcast"),
                same(ways, {(SERVER, SERVER)}, "ports"),
                same([_lan(a) for a in given], [_lan(relay)], "network of the address given"),
            )
            .because("at h3", seen)
            .because("at d1", relayed)
        )


def _lan(address: str) -> str:
    return address.rsplit(".", 1)[0]
