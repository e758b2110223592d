"""The address plan and static routes: pure functions of a topology."""

import ipaddress

import pytest
from mininet.topo import LinearTopo

from testbed.author.topo import Topo
from testbed.core.errors import ConfigError
from testbed.net.plan import make_plan
from testbed.net.shape import LinkShape
from testbed.net.static_routes import default_routes, static_routes
from topologies.ring import Ring
from topologies.star import Star


class Two(Topo):
    """Two LANs behind one router, addresses as given."""

    def build(self, one=None, two=None, host=None):
        self.addRouter("r1")
        self.addHost("h1", **({"ip": host} if host else {}))
        self.addHost("h2")
        self.addLink("h1", "r1", **({"params2": {"ip": one}} if one else {}))
        self.addLink("h2", "r1", **({"params2": {"ip": two}} if two else {}))


def address(plan, node, interface):
    return next(str(p.ipv4) for p in plan.ports[node] if p.name == interface)


def test_plan_follows_its_table():
    plan = make_plan(Star(3))
    for i in (1, 2, 3):
        assert address(plan, "r1", f"r1-eth{i - 1}") == f"10.0.{i}.1/24"
        assert address(plan, f"h{i}", f"h{i}-eth0") == f"10.0.{i}.11/24"
        assert str(plan.ports[f"h{i}"][0].ipv6) == f"fd00:0:0:{i}::b/64"
    assert [str(a) for a in plan.loopbacks["r1"]] == ["192.168.0.1/32", "fd00:0:2::1/128"]


def test_transit_networks_are_apart_from_lans():
    plan = make_plan(Ring(4))
    transit = [s.ipv4 for s in plan.segments if all(p.node.startswith("r") for p in s.ports)]
    assert [str(n) for n in transit] == [f"172.16.0.{4 * i}/30" for i in range(4)]


@pytest.mark.parametrize("topo", [Star(5), Ring(6), Two(), Two("10.9.0.254/24", "10.0.1.7/24")])
def test_no_address_twice_and_no_overlap(topo):
    plan = make_plan(topo)
    ports = [p for ports in plan.ports.values() for p in ports]
    assert len({p.ipv4.ip for p in ports}) == len({p.ipv6.ip for p in ports}) == len(ports)
    assert len({p.mac for p in ports}) == len(ports)
    networks = [s.ipv4 for s in plan.segments]
    assert not any(a.overlaps(b) for i, a in enumerate(networks) for b in networks[:i])


def test_plan_is_the_same_every_time():
    assert make_plan(Ring(5)) == make_plan(Ring(5))


def test_large_lan_takes_a_larger_prefix():
    class Big(Topo):
        def build(self):
            self.addRouter("r1")
            self.addSwitch("s1")
            self.addLink("r1", "s1")
            for i in range(300):
                self.addLink(self.addHost(f"h{i}"), "s1")

    (segment,) = make_plan(Big()).segments
    assert segment.ipv4.prefixlen == 23
    assert len({p.ipv4 for p in segment.ports}) == 301


def test_given_address_wins_and_fixes_the_prefix():
    plan = make_plan(Two("192.168.7.254/24"))
    assert address(plan, "r1", "r1-eth0") == "192.168.7.254/24"
    assert address(plan, "h1", "h1-eth0") == "192.168.7.11/24"


@pytest.mark.parametrize(
    ("topo", "says"),
    [
        (lambda: Two("10.5.0.1/24", "10.5.0.129/25"), ["r1-eth1", "overlaps", "r1-eth0"]),
        (lambda: Two("10.5.0.1/24", host="10.5.0.1/24"), ["10.5.0.1", "h1-eth0", "r1-eth0"]),
        (lambda: Two("10.5.0.1/24", host="10.6.0.1/24"), ["h1-eth0", "10.5.0.0/24", "r1-eth0"]),
        (lambda: Two("10.5.0.999/24"), ["r1-eth0", "10.5.0.999"]),
        (lambda: Two("10.5.0.1/31", host="10.5.0.0/31"), []),
    ],
)
def test_conflicts_name_both_places(topo, says):
    if not says:
        make_plan(topo())
        return
    with pytest.raises(ConfigError) as error:
        make_plan(topo())
    assert all(word in str(error.value) for word in says), error.value


def test_a_full_prefix_is_an_error():
    class Full(Topo):
        def build(self):
            self.addRouter("r1")
            self.addSwitch("s1")
            self.addLink("s1", "r1", params2={"ip": "10.1.1.1/30"})
            for i in range(2):
                self.addLink(self.addHost(f"h{i}"), "s1")

    with pytest.raises(ConfigError, match=r"h1-eth0: 10\.1\.1\.0/30 has no address left"):
        make_plan(Full())


def test_flat_topology_is_left_to_mininet():
    plan = make_plan(LinearTopo(3))
    assert not plan.routers
    assert all(p.ipv4 is None for ports in plan.ports.values() for p in ports)


def next_hop(routes, node, destination):
    return next(str(r.via) for r in routes if (r.node, str(r.destination)) == (node, destination))


class Triangle(Topo):
    """The straight way is slow, the way round is quick."""

    def build(self, straight_ms):
        for i in (1, 2, 3):
            self.addRouter(f"r{i}")
        self.addLink("r1", "r2", shape=LinkShape(delay_ms=straight_ms))
        self.addLink("r1", "r3", shape=LinkShape(delay_ms=1))
        self.addLink("r2", "r3", shape=LinkShape(delay_ms=1))
        self.addLink("r2", self.addHost("h2"))


@pytest.mark.parametrize(("straight_ms", "via"), [(5, "172.16.0.6"), (2, "172.16.0.2")])
def test_shortest_by_delay_then_hops(straight_ms, via):
    plan = make_plan(Triangle(straight_ms))
    delays = [link["shape"].delay_ms if "shape" in link else 0 for link in plan.links]
    routes = static_routes(plan, lambda link, side: delays[link])
    assert next_hop(routes, "r1", "10.0.1.0/24") == via


def test_every_router_reaches_every_prefix():
    plan = make_plan(Ring(5))
    routes = static_routes(plan, lambda link, side: 0)
    for router in plan.routers:
        own = {p.ipv4.network for p in plan.ports[router]}
        routed = {r.destination for r in routes if r.node == router}
        everything = {s.ipv4 for s in plan.segments} | {
            a[0].network for r, a in plan.loopbacks.items() if r != router
        }
        assert everything <= own | {n for n in routed if n.version == 4}
        assert len(routed) == len([r for r in routes if r.node == router])
        near = {p.ipv4.network for p in plan.ports[router]}
        hops = {r.via for r in routes if r.node == router and r.via.version == 4}
        assert all(any(hop in network for network in near) for hop in hops)


def test_hosts_use_their_router():
    plan = make_plan(Star(2))
    defaults = default_routes(plan)
    assert next_hop(defaults, "h2", "0.0.0.0/0") == "10.0.2.1"
    assert next_hop(defaults, "h2", "::/0") == "fd00:0:0:2::1"
    assert not any(r.node == "r1" for r in defaults)


def test_nothing_is_seen_behind_a_nat():
    class Behind(Topo):
        def build(self, nat):
            self.addRouter("r1", **({"nat": "r1-eth0"} if nat else {}))
            self.addRouter("r2")
            self.addLink("r1", "r2")
            self.addLink("r1", self.addHost("h1"))

    inside = ipaddress.ip_network("10.0.1.0/24")
    for nat in (False, True):
        routes = static_routes(make_plan(Behind(nat)), lambda link, side: 0)
        assert (inside in {r.destination for r in routes if r.node == "r2"}) is not nat


def test_two_hosts_of_a_lan_cannot_share_an_address_without_routers_either():
    class Twice(Topo):
        def build(self):
            for name in ("h1", "h2"):
                self.addHost(name, ip="10.0.0.7/8")
            self.addLink("h1", "h2")

    with pytest.raises(ConfigError, match=r"h2-eth0: address 10\.0\.0\.7 belongs to h1-eth0"):
        make_plan(Twice())


def test_loopbacks_keep_out_of_given_prefixes():
    topo = Topo()
    for name in ("r1", "r2"):
        topo.addHost(name, isRouter=True)
    topo.addHost("h1")
    topo.addLink("r1", "r2")
    topo.addLink("r2", "h1", params1={"ip": "192.168.0.1/24"}, params2={"ip": "192.168.0.2/24"})
    plan = make_plan(topo)
    assert [str(v4) for v4, _ in plan.loopbacks.values()] == ["192.168.1.0/32", "192.168.1.1/32"]


def test_both_ends_of_a_31_have_ipv6_addresses_of_their_own():
    topo = Topo()
    for name in ("r1", "r2"):
        topo.addHost(name, isRouter=True)
    topo.addLink("r1", "r2", params1={"ip": "10.9.0.0/31"}, params2={"ip": "10.9.0.1/31"})
    plan = make_plan(topo)
    ends = [port.ipv6 for ports in plan.ports.values() for port in ports]
    assert len(set(ends)) == 2 and None not in ends


class Exact(Topo):
    """Two routers on a switch with addresses of their own, and a host beside one of them."""

    planned = False

    def build(self):
        self.addRouter("r1", loopback=("1.1.1.1/32", "2001:db8::1/128"))
        self.addRouter("r2")
        self.addSwitch("s1")
        ends = {"ip": "10.0.1.1/32", "ipv6": "2001:db8:1::1/64", "addresses": ["10.9.0.1/24"]}
        self.addLink("r1", "s1", params1=ends)
        self.addLink("r2", "s1", params1={"ip": "10.0.255.2/32"})
        self.addLink("r1", "r2")


def test_a_topology_can_have_exactly_its_own_addresses():
    plan = make_plan(Exact())
    found = {p.name: [str(a) for a in p.addresses] for n in ("r1", "r2") for p in plan.ports[n]}
    assert found == {
        "r1-eth0": ["10.0.1.1/32", "2001:db8:1::1/64", "10.9.0.1/24"],
        "r2-eth0": ["10.0.255.2/32"],
        "r1-eth1": [],
        "r2-eth1": [],
    }
    assert [str(a) for a in plan.loopbacks["r1"]] == ["1.1.1.1/32", "2001:db8::1/128"]
    assert "r2" not in plan.loopbacks
    assert static_routes(plan, lambda *_: 0.0) == []  # no address of the other is in one's prefix


class Partly(Topo):
    """A router that steps out of the plan, and one that does not; two hosts and a link."""

    def build(self):
        self.addRouter("r1", planned=False, ip="192.0.2.1/24", ipv6="2001:db8::1/64")
        self.addRouter("r2")
        for node in ("h1", "h2"):
            self.addHost(node)
        self.addLink("r1", "h1")
        self.addLink("r2", "h2")
        self.addLink("r2", "r1", planned=False, params1={"ip": "198.51.100.2/30"})


def test_one_router_or_link_can_step_out_of_the_plan():
    plan = make_plan(Partly())
    assert [str(a) for a in plan.ports["h1"][0].addresses] == ["192.0.2.11/24", "2001:db8::b/64"]
    assert [str(a) for a in plan.ports["h2"][0].addresses] == ["10.0.1.11/24", "fd00:0:0:2::b/64"]
    assert [p.addresses for p in plan.ports["r1"]][1] == ()
    assert list(plan.loopbacks) == ["r2"]
    default = [r for r in default_routes(plan) if r.node == "h1"]
    assert [str(r.via) for r in default] == ["192.0.2.1", "2001:db8::1"]


def test_addresses_of_32_bits_may_differ_on_one_lan():
    topo = Two(one="10.7.0.1/32", host="10.7.0.9/32")
    plan = make_plan(topo)
    assert [str(p.ipv4) for p in plan.segments[0].ports] == ["10.7.0.1/32", "10.7.0.9/32"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"ipv6": "2001::g/64"}, "h1-eth0: ipv6 '2001::g/64' is not an IPv6 address"),
        ({"addresses": ["10.0.0.1"]}, "address '10.0.0.1' needs a prefix length"),
    ],
)
def test_bad_addresses_are_named(option, message):
    topo = Topo()
    topo.addRouter("r1")
    topo.addHost("h1")
    topo.addLink("h1", "r1", params1=option)
    with pytest.raises(ConfigError, match=message):
        make_plan(topo)
