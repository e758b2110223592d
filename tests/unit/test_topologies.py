"""Every topology builds, is what it says, and refuses nonsense; bad graphs are refused early."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.author import named_topologies
from testbed.author.topo import Topo, as_data, with_addresses
from testbed.core.errors import ConfigError, ParseError
from testbed.net.check import check_topology, default_learns, loop_without_stp
from testbed.net.plan import make_plan
from testbed.net.shape import LinkShape
from testbed.results.drawing import draw
from topologies.dumbbell import Dumbbell
from topologies.enterprise import Enterprise
from topologies.fat_tree import FatTree
from topologies.graphml import GraphML
from topologies.linear import Linear
from topologies.parking_lot import ParkingLot
from topologies.ring import Ring
from topologies.single import Single
from topologies.star import Star
from topologies.torus import Torus
from topologies.tree import Tree

FILES = sorted(p.stem for p in Path("topologies").glob("*.py") if p.stem != "__init__")


@pytest.mark.parametrize("name", [name for name in FILES if name != "graphml"])
def test_every_topology_file_can_be_built_and_drawn(name):
    module = importlib.import_module(f"topologies.{name}")
    for cls in getattr(module, "topos", {}).values():
        topo = cls()
        check_topology(topo)
        plan = make_plan(topo)
        svg = draw(as_data(topo))
        assert all(f">{node}</text>" in svg for node in topo.nodes())
        assert len(plan.links) == len(topo.links())


@pytest.mark.parametrize(
    ("topo", "hosts", "switches", "routers", "links"),
    [
        (Single(5), 5, 1, 0, 5),
        (Linear(4, 2), 8, 4, 0, 11),
        (Tree(3, 2), 8, 7, 0, 14),
        (Star(6), 6, 0, 1, 6),
        (Ring(5), 5, 0, 5, 10),
        (Torus(3, 4, 2), 24, 12, 0, 48),
        (FatTree(4), 16, 0, 20, 48),
        (FatTree(6), 54, 0, 45, 162),
        (ParkingLot(3), 8, 0, 4, 11),
        (Enterprise(2), 7, 3, 3, 12),
    ],
)
def test_sizes(topo, hosts, switches, routers, links):
    plan = make_plan(topo)
    assert len(topo.switches()) == switches
    assert len(plan.routers) == routers
    assert len(topo.hosts()) - routers == hosts
    assert len(plan.links) == links


def test_enterprise_addresses_are_those_of_its_table():
    plan = make_plan(Enterprise())
    found = {p.name: str(p.ipv4) for ports in plan.ports.values() for p in ports}
    assert found["edge-eth0"] == "198.51.100.2/30"
    assert found["pc1-eth0"] == "10.1.0.11/24" and found["pc4-eth0"] == "10.2.0.11/24"
    assert found["web-eth0"] == "10.3.0.80/24" and found["remote-eth0"] == "203.0.113.11/24"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Single(0),
        lambda: Ring(2),
        lambda: Torus(2, 3),
        lambda: FatTree(3),
        lambda: Tree(0),
        lambda: ParkingLot(0),
        lambda: Star(0),
        lambda: Linear(0),
    ],
)
def test_absurd_sizes_are_refused(make):
    with pytest.raises(ConfigError, match=r"out of range|even number"):
        make()


GRAPHML = """<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key attr.name="Latitude" for="node" id="d1"/><key attr.name="Longitude" for="node" id="d2"/>
  <key attr.name="label" for="node" id="d3"/><key attr.name="LinkSpeedRaw" for="edge" id="d4"/>
  <graph edgedefault="undirected">
    <node id="0"><data key="d1">52.52</data><data key="d2">13.40</data>
      <data key="d3">Berlin</data></node>
    <node id="1"><data key="d1">48.14</data><data key="d2">11.58</data></node>
    <node id="2"/>
    <edge source="0" target="1"><data key="d4">155000000.0</data></edge>
    <edge source="1" target="2"/>
    <edge source="1" target="1"/>
  </graph>
</graphml>"""


def test_graphml(tmp_path):
    file = tmp_path / "zoo.graphml"
    file.write_text(GRAPHML)
    plan = make_plan(GraphML(str(file), speeds=True))
    shapes = {(x["node1"], x["node2"]): x["shape"] for x in plan.links if "shape" in x}
    berlin_munich = shapes["r0", "r1"]
    assert berlin_munich.delay_ms == pytest.approx(504 / 200, abs=0.01)  # 504 km
    assert berlin_munich.rate_mbps == 155
    assert shapes["r1", "r2"] == LinkShape(delay_ms=1)
    assert len(plan.links) == 5


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (("</graphml>", ""), ParseError, "is not XML"),
        (('target="2"', 'target="9"'), ParseError, "no such node '9'"),
        (('id="2"', 'id="a b"'), ParseError, "node id 'a b'"),
        (("graph edgedefault", "grape edgedefault"), ParseError, "has no <graph>|is not XML"),
    ],
)
def test_bad_graphml(tmp_path, change, error, says):
    file = tmp_path / "bad.graphml"
    file.write_text(GRAPHML.replace(*change))
    with pytest.raises(error, match=says):
        GraphML(str(file))


def test_missing_graphml(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        GraphML(str(tmp_path / "none.graphml"))


def graph(*steps):
    class Graph(Topo):
        def build(self):
            for method, args, options in steps:
                getattr(self, method)(*args, **options)

    return Graph


def link(**options):
    return ("addLink", ("h1", "s1"), options)


HOST = ("addHost", ("h1",), {})
SWITCH = ("addSwitch", ("s1",), {})


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([HOST, HOST], ["h1", "two nodes have this name"]),
        ([HOST, ("addLink", ("h1", "s9"), {})], ["link h1 s9", "no such node 's9'"]),
        ([HOST, SWITCH, ("addLink", ("h1", "s1"), {"loss": 120})], ["link h1 s1", "loss_percent"]),
        ([HOST, SWITCH, ("addLink", ("h1", "s1"), {"delay": "fast"})], ["link h1 s1", "delay"]),
        ([HOST, SWITCH, ("addLink", ("h1", "s1"), {"shape": "10Mbit"})], ["link h1 s1", "shape="]),
        ([HOST, ("addLink", ("h1", "h1"), {})], ["link h1 h1", "to itself"]),
        (
            [
                SWITCH,
                ("addHost", ("a-very-long-name",), {}),
                ("addLink", ("a-very-long-name", "s1"), {}),
            ],
            ["a-very-long-name-eth0", "15", "intfName"],
        ),
        (
            [
                HOST,
                SWITCH,
                ("addHost", ("h2",), {}),
                ("addLink", ("h1", "s1"), {}),
                ("addLink", ("h2", "s1"), {"intfName2": "s1-eth1"}),
            ],
            ["s1-eth1", "used by link h1 s1"],
        ),
        ([("addHost", ("h 1",), {})], ["node 'h 1'"]),
        ([HOST, SWITCH, link(dealy="5ms")], ["link h1 s1", "dealy=", "'delay'"]),
        ([HOST, SWITCH, link(bandwidth=10)], ["bandwidth=", "'bw'"]),
        ([HOST, SWITCH, link(bw="ten")], ["link h1 s1", "bw: 'ten' is not a number"]),
        ([HOST, SWITCH, link(loss="5%")], ["loss: '5%'", "loss=5"]),
        ([HOST, SWITCH, link(max_queue_size=[1])], ["max_queue_size: [1]"]),
        ([HOST, SWITCH, link(intfName1="an-interface-so-long")], ["'an-interface-so-long'", "15"]),
        ([("addHost", ("h1",), {"defaultroute": "via 10.0.0.1"})], ["h1", "'defaultRoute'"]),
        ([("addHost", ("h1",), {"ipp": "10.0.0.1"})], ["node h1", "ipp=", "'ip'"]),
        ([("addSwitch", ("s1",), {"spt": True})], ["node s1", "spt=", "'stp'"]),
        ([("addSwitch", ("s1",), {"protocol": "OpenFlow13"})], ["protocol=", "'protocols'"]),
    ],
)
def test_bad_graphs_are_refused_by_name(steps, says):
    with pytest.raises(ConfigError) as error:
        check_topology(graph(*steps)())
    assert all(word in str(error.value) for word in says), error.value


@pytest.mark.parametrize("port", [{"bw": 10}, 10.0, "10Mbps", -1, True])
def test_what_is_not_a_port_is_refused(port):
    steps = [HOST, SWITCH, ("addLink", ("h1", "s1", port), {})]
    with pytest.raises(ConfigError, match=r"link h1 s1: port .*third and fourth argument"):
        graph(*steps)()


def test_data_of_a_topologys_own_and_numbers_as_text_pass():
    own = {"bw": "10", "loss": "5", "weight": 3, "colour": "red", "ip2": "10.0.0.1"}
    assert check_topology(graph(HOST, SWITCH, link(**own))())
    topo = graph(("addHost", ("h1",), {"ip6": "fd00::9", "x": 1, "mac2": ""}), SWITCH, link())()
    assert not check_topology(topo)


def test_an_option_of_mininets_own_switches_passes():
    switch = ("addSwitch", ("s1",), {"dpopts": "--no-slicing", "opts": "", "dpid": "1"})
    assert not check_topology(graph(HOST, switch, link())())


def test_two_hosts_may_have_interfaces_of_one_name():
    second = ("addHost", ("h2",), {})
    links = [("addLink", (name, "s1"), {"intfName1": "eth0"}) for name in ("h1", "h2")]
    assert not check_topology(graph(HOST, second, SWITCH, *links)())


@pytest.mark.parametrize(
    ("switches", "links", "loop"),
    [
        ({"s1": {}, "s2": {}, "s3": {}}, ["s1 s2", "s2 s3", "s1 s3"], {"s1", "s2", "s3"}),
        ({"s1": {}, "s2": {}}, ["s1 s2", "s1 s2"], {"s1", "s2"}),
        ({"s1": {}, "s2": {}, "s3": {}}, ["s1 s2", "s2 s3"], set()),
        ({"s1": {}, "s2": {}, "s3": {"stp": True}}, ["s1 s2", "s2 s3", "s1 s3"], set()),
        ({"s1": {}, "s2": {}, "s3": {"stp": False}}, ["s1 s2", "s2 s3", "s1 s3"], set()),
        (
            {f"s{n}": {} for n in range(1, 7)},
            ["s1 s2", "s2 s3", "s3 s4", "s4 s5", "s5 s6", "s6 s4"],
            {"s4", "s5", "s6"},
        ),
    ],
)
def test_a_loop_without_spanning_tree_is_named(switches, links, loop):
    steps = [("addSwitch", (name,), data) for name, data in switches.items()]
    steps += [("addLink", tuple(each.split()), {}) for each in links]
    topo = graph(*steps)()
    assert set(loop_without_stp(topo, default_learns(topo))) == loop


LAMBDAS = """from mininet.topo import Topo
class Own(Topo):
    def __init__(self, hosts=2):
        Topo.__init__(self)
        for n in range(hosts):
            self.addHost(f"h{n + 1}")
topos = {"small": (lambda: Own()), "large": lambda hosts=5: Own(hosts=hosts)}
"""


def test_a_file_may_have_several_topologies_and_functions_that_return_them(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(LAMBDAS)
    assert len(named_topologies.load(f"{path}:small").nodes()) == 2
    assert len(named_topologies.load(f"{path}:large,7").nodes()) == 7
    assert len(named_topologies.load(f"{path}:large,hosts=3").nodes()) == 3
    for name, says in (
        (f"{path}", r"own\.py: has 2 topologies; choose one: .*own\.py:small, .*own\.py:large"),
        (f"{path}:larg", r"no topology 'larg' \(did you mean 'large'\?\)"),
        (f"{path}:small,3", r"takes 0 values, not 1"),
        (f"{path}:large,host=3", r"has no 'host' \(did you mean 'hosts'\?\)"),
    ):
        with pytest.raises(ConfigError, match=says):
            named_topologies.load(name)


@pytest.mark.parametrize(
    "start",
    [
        "net = Mininet(topo=One())\nnet.start()\n",
        "def main():\n    net = Mininet(One())\n    CLI(net)\nmain()\n",
    ],
)
def test_a_file_that_starts_a_network_is_not_imported(tmp_path, start):
    path = tmp_path / "one.py"
    path.write_text(TOPOLOGY + start)
    with pytest.raises(ConfigError, match=r"one\.py, line \d+: starts a network .*testbed mininet"):
        named_topologies.load(str(path))
    indented = "".join(f"    {row}\n" for row in start.splitlines())
    path.write_text(f"{TOPOLOGY}if __name__ == '__main__':\n{indented}")
    assert named_topologies.load(str(path)).nodes() == ["h1"]


def test_addresses_on_links_are_the_hosts_addresses():
    ends = {"params1": {"ip": "10.1.0.7/24"}, "params2": {"ip": "10.1.0.9/24"}}
    topo = graph(HOST, ("addHost", ("h2",), {}), ("addLink", ("h1", "h2"), ends))()
    rows = {row["node"]: row["ipv4"] for row in named_topologies.plan_rows(topo)}
    assert rows == {"h1": "10.1.0.7/24", "h2": "10.1.0.9/24"}


def test_a_good_graph_passes():
    good = graph(HOST, SWITCH, ("addLink", ("h1", "s1"), {"bw": 10}))
    assert check_topology(good())
    assert not check_topology(graph(HOST, SWITCH, ("addLink", ("h1", "s1"), {}))())


def test_drawing_tells_names_addresses_and_shapes():
    shape = {"rate_mbps": 10, "delay_ms": 20}
    topology = {
        "nodes": [{"name": "h<1>", "kind": "host"}, {"name": "r1", "kind": "router"}],
        "links": [
            {
                "node1": "h<1>",
                "node2": "r1",
                "interface1": "a",
                "interface2": "b",
                "shape1": shape,
                "shape2": shape,
            },
        ],
    }
    rows = [
        {"node": "h<1>", "interface": "a", "ipv4": "10.0.1.11/24", "ipv6": None, "mac": None},
        {"node": "r1", "interface": "b", "ipv4": "10.0.1.1/24", "ipv6": None, "mac": None},
    ]
    svg = draw(topology, rows)
    assert "h&lt;1&gt;" in svg and "h<1>" not in svg
    for text in ("10.0.1.11/24", ".1</text>", "10 Mbit/s · 20 ms"):
        assert text in svg
    assert svg == draw(topology, rows)
    assert "Mbit/s" not in draw(
        {**topology, "links": [{**topology["links"][0], "shape1": {}, "shape2": {}}]}
    )


def test_nodes_of_a_large_drawing_do_not_cover_each_other():
    import re

    data = as_data(FatTree(4))
    for node in data["nodes"]:
        node.pop("x"), node.pop("y")
    svg = draw(data)
    texts = re.findall(r'<text x="([\d.]+)" y="([\d.]+)">', svg)
    spots = [(float(x), float(y)) for x, y in texts]
    assert len(spots) == 36
    gaps = [abs(a[0] - b[0]) + abs(a[1] - b[1]) for i, a in enumerate(spots) for b in spots[:i]]
    assert min(gaps) > 25


def test_given_addresses_take_the_place_of_the_plans():
    topo = with_addresses(Ring(), {"h1-eth0": "10.7.1.9/24", "r1-eth0": "10.7.1.1/24"})
    plan = make_plan(topo)
    assert str(plan.ports["h1"][0].ipv4) == "10.7.1.9/24"
    assert str(plan.ports["h2"][0].ipv4) == "10.0.1.11/24"
    with pytest.raises(ConfigError, match="'h9-eth0': not in this topology"):
        with_addresses(Ring(), {"h9-eth0": "10.7.1.9/24"})


def overlaps(svg):
    """Pairs of texts that cover each other by more than a sixth of a line."""
    import re

    found = re.findall(r'<text(?: class="(\w+)")? x="([\d.]+)" y="([\d.]+)">([^<]+)<', svg)
    boxes = []
    for style, x, y, text in found:
        size = {"small": 9.5, "shape": 10.0}.get(style, 12.0)
        boxes.append((float(x), float(y), 0.53 * size * len(text), size))
    return [
        (a, b)
        for i, a in enumerate(boxes)
        for b in boxes[:i]
        if (a[2] + b[2]) / 2 - abs(a[0] - b[0]) > 1
        and (a[3] + b[3]) / 2 - abs(a[1] - b[1]) > a[3] / 6
    ]


@pytest.mark.parametrize(
    "topo", ["dumbbell,8", "parking_lot", "enterprise", "fat_tree", "grid,5", "tree,3,3", "ring,20"]
)
def test_labels_do_not_cover_each_other(topo, monkeypatch):
    from testbed.author import named_topologies
    from testbed.results.label_places import Labels

    made = named_topologies.load(topo)
    data, rows = as_data(made), named_topologies.plan_rows(made)
    assert overlaps(draw(data, rows)) == []
    if topo == "fat_tree":  # they would, each in its best place
        monkeypatch.setattr(Labels, "_covered", lambda *_: 0.0)
        assert overlaps(draw(data, rows))


def test_many_links_side_by_side_stay_in_the_picture_and_legible():
    import re

    from topologies.parallel import Parallel

    made = Parallel(links={f"link {n}": LinkShape(delay_ms=n, loss_percent=n) for n in range(1, 9)})
    svg = draw(as_data(made), named_topologies.plan_rows(made))
    width, height = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', svg).groups())
    texts = re.findall(r'<text(?: class="\w+")? x="([-\d.]+)" y="([-\d.]+)">([^<]+)<', svg)
    assert {f"{n} ms · {n} % loss" for n in range(1, 9)} <= {text for _, _, text in texts}
    assert all(0 < float(x) < width and 0 < float(y) < height for x, y, _ in texts)
    assert overlaps(svg) == []


def test_drawings_without_routers_tell_mininets_addresses():
    from testbed.author import named_topologies

    rows = {row["node"]: row for row in named_topologies.plan_rows(Tree(2, 2))}
    assert (rows["h4"]["ipv4"], rows["h4"]["ipv6"]) == ("10.0.0.4/8", "fd00::4/64")
    assert rows["s1"]["ipv4"] is None


def test_an_impossible_shape_names_the_line(tmp_path):
    path = tmp_path / "thin.py"
    path.write_text(
        "from mininet.topo import Topo\nfrom testbed.net.shape import LinkShape\n"
        "class Thin(Topo):\n    def build(self):\n"
        "        LinkShape(rate_mbps=-5)\ntopos = {'thin': Thin}\n"
    )
    with pytest.raises(ConfigError, match=r"thin\.py, line 5: link rate_mbps: -5 is out of range"):
        named_topologies.load(str(path))


def test_a_misspelt_field_of_a_shape_is_named():
    with pytest.raises(ConfigError, match=r"link delya_ms: .*did you mean 'delay_ms'"):
        LinkShape(delya_ms=5)
    with pytest.raises(ConfigError, match=r"link speed: .*known: rate_mbps, delay_ms"):
        LinkShape(speed=5)
    assert replace(LinkShape(delay_ms=5), rate_mbps=10).rate_mbps == 10


TOPOLOGY = """from testbed.author.topo import LinkShape, Topo
class One(Topo):
    def build(self, hosts=1):
        self.addHost("h1")
topos = {"one": One}
"""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("build", "buildd"), r"one\.py: topology One has no nodes; .* it has buildd\(\)"),
        (
            ('self.addHost("h1")', "pass"),
            r"one\.py: topology One has no nodes; add them in a method build\(\)$",
        ),
        (('"h1")', '"h1"); 1 / 0'), r"one\.py, line 4: ZeroDivisionError"),
        (("\ntopos", "\n1 / 0\ntopos"), r"one\.py:5: ZeroDivisionError"),
        (('"h1")', '"h1", shape=LinkShape(dely=3))'), r"one\.py, line 4: link dely: .*delay_ms"),
    ],
)
def test_a_topology_files_mistake_is_named_with_its_place(tmp_path, change, says):
    path = tmp_path / "one.py"
    path.write_text(TOPOLOGY)
    assert named_topologies.load(str(path)).nodes() == ["h1"]
    path.write_text(TOPOLOGY.replace(*change))
    with pytest.raises(ConfigError, match=says):
        named_topologies.load(str(path))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Dumbbell(2, bak=None), r"Dumbbell: has no 'bak' \(did you mean 'back'\?\)"),
        (lambda: named_topologies.load("grid,side=1.5"), "grid side: 1.5 is not a whole number"),
        (
            lambda: named_topologies.load("tree,2,x"),
            "tree fanout: 'x' is not a whole number; allowed: 1 to 200",
        ),
    ],
)
def test_an_argument_that_no_topology_takes_is_told(make, says):
    with pytest.raises(ConfigError, match=says):
        make()


def test_what_multiplies_stops_at_the_limit_and_not_after(tmp_path):
    with pytest.raises(ConfigError, match="Tree: has more than 5000 nodes; make it smaller"):
        named_topologies.load("tree,12,100")
    (tmp_path / "own.py").write_text(
        "from mininet.topo import Topo\n"
        "class Own(Topo):\n"
        "    def build(self, n=2):\n"
        "        for i in range(n):\n"
        "            self.addHost(f'h{i}')\n"
        "        for i in range(n):\n"
        "            self.addLink('h0', 'h1')\n"
        "topos = {'own': Own}\n"
    )
    path = tmp_path / "own.py"
    assert len(named_topologies.load(f"{path},3").nodes()) == 3
    with pytest.raises(ConfigError, match="Own: has more than 5000 nodes"):
        named_topologies.load(f"{path},1000000000")
