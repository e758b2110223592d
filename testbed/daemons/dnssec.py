"""Signs zones (RFC 4033–4035): from the leaves to the root, each vouched for by its parent."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.author.running_network import RunningNetwork

PROGRAMS = ("ldns-signzone", "ldns-key2ds")
"""For an experiment's `programs`."""

_ALGORITHM = "15 (ED25519)"
"""RFC 8080: its signatures are deterministic, so signing a zone always gives the same bytes."""


def sign(net: RunningNetwork, node: str, zones: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Signs zones with one key each.

    A parent among `zones` gets the DS record of each child.

    Args:
        net: the running network.
        node: where the programs run.
        zones: zone's name (``.`` for the root) → text of its master file.

    Returns:
        the signed zones, and the trust anchor: the DNSKEY record of the topmost zone.
    """
    folder = net.state_folder(node)
    signed: dict[str, str] = {}
    delegations: dict[str, str] = {}
    anchor = ""
    for zone in sorted(zones, key=_depth, reverse=True):
        below = "".join(ds for child, ds in delegations.items() if _parent(child, zones) == zone)
        signed[zone] = _sign(net, node, folder, zone, zones[zone] + below)
        anchor = next(line for line in signed[zone].splitlines() if "\tDNSKEY\t" in line)
        delegations[zone] = _ds(net, node, folder, anchor)
    return {zone: signed[zone] for zone in zones}, anchor


def _sign(net: RunningNetwork, node: str, folder: Path, zone: str, text: str) -> str:
    source, target, key = (folder / f"sign-{part}" for part in ("zone", "signed", "key"))
    source.write_text(text)
    key.with_name(f"{key.name}.private").write_text(_private_key(zone))
    net.exec(node, "ldns-signzone", "-o", zone, "-f", str(target), str(source), str(key))
    return target.read_text()


def _private_key(zone: str) -> str:
    """A key for teaching: anybody can compute it from the zone's name."""
    secret = base64.b64encode(hashlib.sha256(zone.encode()).digest()).decode()
    return f"Private-key-format: v1.2\nAlgorithm: {_ALGORITHM}\nPrivateKey: {secret}\n"


def _ds(net: RunningNetwork, node: str, folder: Path, key: str) -> str:
    """The record by which a parent vouches for a child's key (RFC 4034 §5)."""
    path = folder / "sign-dnskey"
    path.write_text(key + "\n")
    return net.exec(node, "ldns-key2ds", "-n", "-f", "-2", str(path)).strip() + "\n"


def _depth(zone: str) -> int:
    return len([label for label in zone.split(".") if label])


def _parent(child: str, zones: Mapping[str, str]) -> str:
    """The parent of a zone."""
    above = [z for z in zones if z != child and (z == "." or child.endswith(f".{z}"))]
    return max(above, key=_depth, default="")
