"""A grid whose first router speaks OSPF on no link: it never converges."""

from bench.ospf_grid import OspfGrid


class DeafGrid(OspfGrid):
    """OSPF without r1."""

    def inputs(self):
        """r1 is passive everywhere."""
        found = dict(super().inputs())
        name = "configs/r1/frr.conf"
        text = found[name].replace("router ospf\n", "router ospf\n passive-interface default\n")
        return found | {name: text}
