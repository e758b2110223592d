"""A grid in which one link is dearer than the others, so that ways are not those of fewest hops."""

from bench.ospf_grid import OspfGrid


class WrongGrid(OspfGrid):
    """OSPF on an uneven grid."""

    def inputs(self):
        """r5, amid the grid, is avoided."""
        found = dict(super().inputs())
        name = "configs/r5/frr.conf"
        return found | {
            name: found[name].replace("dead-interval 40", "dead-interval 40\n ip ospf cost 50")
        }
