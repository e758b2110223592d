"""A link in the kernel: two interfaces, and for shaped links a wire between them.

A plain link is one veth pair. A shaped link has a wire in a hidden namespace of the network::

      node one                  wires                     node two
    h1-eth0 ══ veth ══ w1a ── redirect ──▶ w1b ══ veth ══ h2-eth0
    tbf + queue            ◀── redirect ──                tbf + queue
                       netem on w1b: one → two
                       netem on w1a: two → one

So the queue is where a router has its queue, a sending host's stack sees its own queue drain (TCP
Small Queues work), a capture at the sender shows packets as they leave the queue, one at the
receiver as they arrive, and netem's buffer never fills.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from testbed.core.errors import ConfigError
from testbed.net import rtnl, traffic
from testbed.net.engine import Engine
from testbed.net.namespaces import Namespace
from testbed.net.rtnl import VethEnd
from testbed.net.shape import LinkShape

_ON_THE_WIRE = (
    "delay_ms",
    "jitter_ms",
    "loss_percent",
    "duplicate_percent",
    "corrupt_percent",
    "reorder_percent",
)


@dataclass(slots=True)
class End:
    """One end of a link.

    Attributes:
        namespace: where the interface is.
        name: the interface's.
        index: the interface's, chosen by us.
        mac: the interface's.
        shape: of what it sends.
        far: index of the wire's interface that faces this one; None on a link without a wire.
    """

    namespace: Namespace
    name: str
    index: int
    mac: str
    shape: LinkShape
    far: int | None = None


def direction_seed(network_seed: int, sender: str) -> int:
    """Seed of what a wire does to the packets an interface sends; equal names give equal seeds."""
    digest = hashlib.sha256(f"{network_seed} {sender}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


def lay(engine: Engine, one: End, two: End, *, seed: int, whole: bool) -> None:
    """Request a link.

    Args:
        engine: of the network.
        one: an end; its `far` is set if the link has a wire.
        two: the other end.
        seed: of the network.
        whole: disable segmentation offload even if the link is plain.
    """
    if one.shape.is_plain and two.shape.is_plain:
        _pair(engine, one, two, whole)
        return
    if _needs_wire(one.shape, engine) or _needs_wire(two.shape, engine):
        _lay_wire(engine, one, two, seed)
    else:
        _pair(engine, one, two, True)
    for end in (one, two):
        limit = traffic.sender(end.shape, end.index, engine.virtual_clock, end.name)
        if limit:
            engine.request(end.namespace, *limit)


def _needs_wire(shape: LinkShape, engine: Engine) -> bool:
    """Whether anything happens between the interfaces that needs netem.

    A link with only a rate has a wire just for the serialisation of lone packets; on a kernel
    without netem it has none.
    """
    if any(getattr(shape, name) for name in _ON_THE_WIRE):
        return True
    return shape.rate_mbps is not None and engine.has_netem


def _lay_wire(engine: Engine, one: End, two: End, seed: int) -> None:
    wires = engine.wires
    one.far, two.far = engine.index(wires), engine.index(wires)
    for end in (one, two):
        assert end.far is not None
        # The wire's own interfaces carry everything: their MTU is never below either end's.
        middle = VethEnd(
            namespace_fd=engine.fd(wires),
            name=f"w{end.far}",
            index=end.far,
            mac=f"06:{end.mac[3:]}",
            mtu_bytes=65535,
            single_segments=True,
        )
        engine.link(rtnl.new_veth(_veth(engine, end, True), middle))
        engine.request(wires, rtnl.set_up(end.far, True, middle.name))
    for sender, receiver in ((one, two), (two, one)):
        assert sender.far is not None and receiver.far is not None
        what = f"{sender.name} to {receiver.name}"
        shape, direction = sender.shape, direction_seed(seed, sender.name)
        engine.request(
            wires,
            *traffic.redirect(sender.far, receiver.far, what),
            *([] if shape.is_plain else [traffic.wire(shape, receiver.far, direction, what)]),
        )


def _pair(engine: Engine, one: End, two: End, whole: bool) -> None:
    engine.link(rtnl.new_veth(_veth(engine, one, whole), _veth(engine, two, whole)))
    engine.request(two.namespace, rtnl.set_up(two.index, True, two.name))


def _veth(engine: Engine, end: End, whole: bool) -> VethEnd:
    return VethEnd(
        namespace_fd=engine.fd(end.namespace),
        name=end.name,
        index=end.index,
        mac=end.mac,
        mtu_bytes=end.shape.mtu_bytes,
        single_segments=whole,
    )


def reshape(engine: Engine, sender: End, receiver: End, shape: LinkShape, seed: int) -> bool:
    """Change what an existing link does to the packets one end sends; not to those in flight.

    Returns:
        False if the link has no wire, but the new shape needs one: the link must be recreated.
    """
    what = f"{sender.name} to {receiver.name}"
    if shape.mtu_bytes != sender.shape.mtu_bytes:
        raise ConfigError(
            f"{sender.name}: mtu_bytes is {sender.shape.mtu_bytes} since its creation; it "
            f"cannot become {shape.mtu_bytes} while the network runs"
        )
    if receiver.far is None and _needs_wire(shape, engine):
        return False
    old, sender.shape = sender.shape, shape
    same_kinds = old.qdisc == shape.qdisc and bool(old.queue_bytes) == bool(shape.queue_bytes)
    messages = traffic.sender(shape, sender.index, engine.virtual_clock, sender.name)
    if not same_kinds or not messages:
        messages = [traffic.remove_root(sender.index, what), *messages]
    engine.request(sender.namespace, *messages)
    if receiver.far is None:
        return True
    change = [traffic.wire(shape, receiver.far, direction_seed(seed, sender.name), what)]
    if old.jitter_distribution != shape.jitter_distribution:  # a table cannot be removed
        change.insert(0, traffic.remove_root(receiver.far, what))
    engine.request(engine.wires, *change)
    return True
