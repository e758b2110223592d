"""Zones and look-ups of names, shared by the experiments with name servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from testbed.author.actions import Action, program

if TYPE_CHECKING:
    from testbed.author.running_network import RunningNetwork

DAY_S = 86_400
"""TTL of NS records and name servers' addresses."""


def zone(
    origin: str,
    server: tuple[str, str],
    ttl_s: int,
    records: Mapping[str, list[str]],
    minimum_s: int = 3600,
) -> str:
    """A master file (RFC 1035 §5); NS records and name servers' addresses have a TTL of a day.

    Args:
        origin: the zone's name with its final dot.
        server: its first name server, and that server's address.
        ttl_s: of all other records.
        records: name → records without TTL, as ``A 192.0.2.1``; also those of `delegation`.
        minimum_s: how long the absence of a name may be cached (RFC 2308 §4).
    """
    name, ip = server
    lines = [
        f"$ORIGIN {origin}",
        f"$TTL {ttl_s}",
        f"@ {DAY_S} SOA {name} admin.{origin.lstrip('.')} 1 7200 900 {DAY_S} {minimum_s}",
        f"@ {DAY_S} NS {name}",
    ]
    own = {name: [f"A {ip}"]} if name.endswith(origin) else {}
    for owner, entries in {**own, **records}.items():
        for entry in entries:
            long_lived = entry.startswith("NS ") or owner.startswith(("ns.", "a.root"))
            lines.append(f"{owner} {DAY_S if long_lived else ttl_s} {entry}")
    return "\n".join(lines) + "\n"


def delegation(child: str, *servers: tuple[str, str]) -> dict[str, list[str]]:
    """Records by which a zone hands a child to name servers, given as (name, address)."""
    glue = {name: [f"A {ip}"] for name, ip in servers}
    return {child: [f"NS {name}" for name, _ in servers], **glue}


def ask(node: str, resolver: str, name: str, kind: str = "A", *options: str) -> Action:
    """Sends a hand-made query, up to three times, as stub resolvers do.

    Late answers are no longer sent, but kept in the resolver's cache.
    """
    return program(node, "kdig", f"@{resolver}", "+time=5", "+retry=2", *options, name, kind)


def use_resolver(net: RunningNetwork, address: str) -> None:
    """Writes the resolver that `look_up` asks."""
    (net.path / "configs").mkdir(exist_ok=True)
    (net.path / "configs" / "resolv.conf").write_text(f"nameserver {address}\n")


def reach(net: RunningNetwork, node: str, *others: str) -> None:
    """Pings other nodes once, so that no look-up pays for ARP."""
    for other in others:
        net.exec(node, "ping", "-c", "1", net.address(other))


def look_up(net: RunningNetwork, node: str, name: str) -> Action:
    """Looks a name up with the node's C library and a private resolv.conf."""
    conf = net.path / "configs" / "resolv.conf"
    script = f"mount --bind {conf} /etc/resolv.conf; exec getent ahostsv4 {name}"
    return program(node, "unshare", "--mount", "sh", "-c", script)
