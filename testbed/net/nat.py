"""Address translation (NAT) by nftables, in a router's own namespace."""

from __future__ import annotations

import ipaddress
import os
from typing import Any

from testbed.core.errors import CommandError, ConfigError, MissingPrerequisiteError
from testbed.net.mininet_api import nodelib
from testbed.net.node import NodeMixin, Router


def masquerade(node: NodeMixin, match: str) -> None:
    """Give packets that leave a node and fit nftables' `match` the outgoing interface's address.

    Raises:
        MissingPrerequisiteError: there is no nft, or this kernel cannot translate.
    """
    rules = (
        "table ip nat { chain out { type nat hook postrouting priority srcnat; "
        f"{match} masquerade; }}; }};"
    )
    nft = node.popen(["nft", rules], text=True)
    _, errors = nft.communicate()
    if nft.returncode and "No such file" in errors:
        raise MissingPrerequisiteError(
            f"address translation (nft_masq) in the running kernel {os.uname().release}",
            "make setup (it builds the guest's kernel, which has it; run with --runtime guest)",
            f"{node.name} translates addresses",
        )
    if nft.returncode:
        raise CommandError(node.name, ["nft", rules], nft.returncode, stderr=errors)


class NATRouter(Router):
    """A router that translates addresses.

    ``nat=`` names the outside interface, whose address outgoing packets get.
    """

    def config(self, *args: Any, nat: str | None = None, **params: Any) -> dict[str, Any]:
        """As for a router, plus the translation."""
        results = super().config(*args, **params)
        if nat:
            masquerade(self, f'oifname "{nat}"')
        return results


class NAT(Router, nodelib.NAT):  # type: ignore[misc]
    """Mininet's `NAT`: packets from `subnet` leave with this node's address.

    Unlike Mininet's it is always a node of the network, so it neither opens a way to the machine's
    own network nor changes the machine's settings.
    """

    def __init__(
        self,
        name: str,
        subnet: str = "10.0.0.0/8",
        localIntf: Any = None,
        flush: bool = False,
        **params: Any,
    ) -> None:
        try:
            self.subnet = str(ipaddress.IPv4Network(_full(subnet), strict=False))
        except ValueError as error:
            raise ConfigError(f"{name}: subnet {subnet!r} is not a network: {error}") from error
        self.localIntf = localIntf
        params["inNamespace"] = True
        super(nodelib.NAT, self).__init__(name, **params)

    def config(self, *args: Any, **params: Any) -> dict[str, Any]:
        """As for a router, plus the translation."""
        results: dict[str, Any] = Router.config(self, *args, **params)
        inside = str(self.localIntf or self.defaultIntf())
        masquerade(self, f'ip saddr {self.subnet} oifname != "{inside}"')
        return results

    def terminate(self) -> None:
        """The rules vanish with the namespace."""
        Router.terminate(self)


def _full(subnet: str) -> str:
    """Mininet writes ``10.0/8`` for 10.0.0.0/8."""
    address, _, length = subnet.partition("/")
    return ".".join([*address.split("."), "0", "0", "0"][:4]) + (f"/{length}" if length else "")
