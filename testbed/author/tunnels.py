"""Packets inside packets between two nodes: GRE tunnels, and ESP encryption."""

from __future__ import annotations

from testbed.author.actions import Action, in_order, ip

Two = tuple[str, str]

_KEY = f"0x{'11' * 20}"
"""128 bits of key and 32 of salt (RFC 4106 §8.1), known to every reader."""


def gre(nodes: Two, addresses: Two, inner: Two) -> Action:
    """A GRE tunnel (RFC 2784).

    Args:
        nodes: its ends.
        addresses: theirs, on the outside.
        inner: theirs within the tunnel, of one /30.
    """
    acts = []
    for node, local, remote, own in zip(nodes, addresses, addresses[::-1], inner, strict=True):
        acts += [
            ip(node, "link", "add", "gre1", "type", "gre", "local", local, "remote", remote),
            ip(node, "link", "set", "gre1", "up"),
            ip(node, "addr", "add", f"{own}/30", "dev", "gre1"),
        ]
    return in_order(*acts)


def seal(nodes: Two, addresses: Two) -> Action:
    """What two nodes say to each other is encrypted: ESP in transport mode (RFC 4303, RFC 4106)."""
    acts = []
    for node, own in zip(nodes, addresses, strict=True):
        for source, target in (addresses, addresses[::-1]):
            way = ("src", source, "dst", target)
            kind = ("proto", "esp", "spi", "0x100", "mode", "transport")
            cipher = ("aead", "rfc4106(gcm(aes))", _KEY, "128")
            template = ("tmpl", *way, "proto", "esp", "mode", "transport")
            direction = ("dir", "out" if source == own else "in")
            acts += [
                ip(node, "xfrm", "state", "add", *way, *kind, *cipher),
                ip(node, "xfrm", "policy", "add", *way, *direction, *template),
            ]
    return in_order(*acts)


def unseal(*nodes: str) -> Action:
    """From now on in the clear."""
    return in_order(*(ip(node, "xfrm", "policy", "flush") for node in nodes))
