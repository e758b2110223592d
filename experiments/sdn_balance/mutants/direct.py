"""The load balancer's experiment with clients that go to a server themselves."""

from typing import Any

from .. import experiment as sdn_balance


class Direct(sdn_balance.SdnBalance):
    """A hub in the place of the balancer; clients know a server's own address."""

    def run(self, net: Any) -> None:
        """As the experiment does, with the server's address for the virtual one."""
        sdn_balance.VIRTUAL = net.address(sdn_balance.SERVERS[0])
        super().run(net)
