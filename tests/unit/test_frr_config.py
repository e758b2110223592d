"""Configurations: split among daemons, made from a topology, loaded and refused."""

import shutil
from pathlib import Path

import pytest

from testbed.author import from_configs, routing
from testbed.author.topo import LinkShape, Topo
from testbed.core.errors import ConfigError
from testbed.core.project import PROJECT
from testbed.daemons import base, frr
from testbed.daemons.base import Place
from testbed.daemons.frr import config as frr_config
from testbed.daemons.frr import folder as frr_folder
from testbed.daemons.frr import generate as frr_generate
from testbed.daemons.frr import lint as frr_lint
from testbed.daemons.frr import own_addresses
from testbed.net.plan import make_plan
from topologies import areas
from topologies.areas import Areas
from topologies.campus import Campus
from topologies.triangle import Triangle

needs_frr = pytest.mark.skipif(shutil.which("vtysh") is None, reason="FRR is not installed")

INTEGRATED = """\
frr version 8.4
hostname r1
!
key chain secret
 key 1
  key-string x
!
interface eth0
 ip address 10.0.0.1/24
 no ip rip split-horizon
 ip ospf cost 5
exit
!
ip route 192.0.2.0/24 blackhole
access-list near permit 10.0.0.0/8
router rip
 network eth0
 passive-interface eth1
exit
router ospf
 network 10.0.0.0/24 area 0
exit
"""


def test_each_daemon_gets_its_own_lines_and_no_others():
    parts = frr_config.split(INTEGRATED)
    assert list(parts) == ["zebra", "ripd", "ospfd", "staticd"]
    assert " ip address 10.0.0.1/24" in parts["zebra"] and "rip" not in parts["zebra"]
    assert " no ip rip split-horizon" in parts["ripd"] and "cost" not in parts["ripd"]
    assert " ip ospf cost 5" in parts["ospfd"] and "passive-interface" not in parts["ospfd"]
    assert "key chain secret" in parts["ripd"] and "key chain" not in parts["ospfd"]
    assert "ip route" in parts["staticd"] and "ip route" not in parts["zebra"]
    for protocol in ("ripd", "ospfd"):
        assert "access-list near" in parts[protocol]
    for part in parts.values():
        assert part.startswith("hostname r1\n")


def test_a_configuration_without_protocols_needs_zebra_alone():
    assert frr_config.daemon_names("hostname r1\n") == ["zebra"]


def _plan(topo):
    return make_plan(topo)


def _written(configs):
    """Texts as if somebody had written each to a file."""
    return {r: frr_folder.Written({Path(f"lab/{r}/frr.conf"): t}) for r, t in configs.items()}


@needs_frr
@pytest.mark.parametrize("make", ["rip", "ripng", "ospf", "ospf6"])
def test_what_is_generated_is_accepted_by_frr(make, tmp_path):
    options = (
        frr_generate.Rip(split_horizon="poisoned-reverse")
        if "rip" in make
        else (areas.configured(frr_generate.Ospf(priorities={"r1": 3}), ipv6=make == "ospf6"))
    )
    plan = _plan(Areas())
    generate = getattr(frr_generate, make)
    texts = {tmp_path / f"{r}.conf": generate(plan, r, options) for r in plan.routers}
    frr_folder.check_syntax(texts)


def test_the_generated_configurations_of_a_topology_contradict_nothing():
    for topo in (Triangle(), Areas()):
        plan = _plan(topo)
        for make, options in (
            (frr_generate.rip, frr_generate.Rip()),
            (frr_generate.ospf, frr_generate.Ospf()),
            (frr_generate.ospf6, frr_generate.Ospf()),
        ):
            configs = {router: make(plan, router, options) for router in plan.routers}
            frr_lint.check(plan, _written(configs))


def test_passive_towards_hosts_only():
    text = frr_generate.rip(_plan(Triangle()), "r1", frr_generate.Rip())
    assert " passive-interface r1-eth0" in text
    assert "passive-interface r1-eth1" not in text


@pytest.fixture
def folder(tmp_path):
    """Good handwritten configurations of the triangle."""
    plan = _plan(Triangle())
    for router in plan.routers:
        (tmp_path / router).mkdir()
        text = frr_generate.ospf(plan, router, frr_generate.Ospf())
        (tmp_path / router / "frr.conf").write_text(text)
    return tmp_path


def _load(folder):
    plan = _plan(Triangle())
    found = frr_folder.load_folder(folder, plan.routers)
    frr_lint.check(plan, found)
    return found


def _edit(folder, router, old, new):
    file = folder / router / "frr.conf"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@needs_frr
def test_good_configurations_are_read(folder):
    assert list(_load(folder)) == ["r1", "r2", "r3"]


@needs_frr
def test_a_file_for_each_daemon_does_as_well(folder):
    whole = (folder / "r1" / "frr.conf").read_text()
    (folder / "r1" / "frr.conf").unlink()
    for daemon, text in frr_config.split(whole).items():
        (folder / "r1" / f"{daemon}.conf").write_text(text)
    assert frr_config.daemon_names(_load(folder)["r1"].text) == ["zebra", "ospfd"]


BAD = {
    "no such router": (
        lambda f: (f / "r2").rename(f / "r22"),
        r"r22: no router 'r22'.*did you mean",
    ),
    "missing": (lambda f: shutil.rmtree(f / "r3"), "no configuration for r3"),
    "strange file": (
        lambda f: (f / "r1" / "frr.conf").rename(f / "r1" / "fr.conf"),
        "fr.conf: is not a configuration.*did you mean 'frr.conf'",
    ),
    "syntax": (
        lambda f: _edit(f, "r2", " ospf router-id", " ospf rooter-id"),
        r"r2/frr.conf:2\d: FRR says: Unknown command: ospf rooter-id",
    ),
    "syntax, but not in the last line": (
        lambda f: _edit(f, "r2", "router ospf", "router osfp"),
        r"r2/frr.conf:\d+: FRR says: Unknown command: router osfp",
    ),
    "not text": (
        lambda f: (f / "r2" / "frr.conf").write_bytes(b"hostname r2\n\xff\n"),
        "r2/frr.conf:2: is not UTF-8 text",
    ),
    "empty": (
        lambda f: (f / "r2" / "frr.conf").write_text("!\n"),
        "r2/frr.conf: configures nothing",
    ),
    "network": (
        lambda f: _edit(f, "r2", "network 10.0.2.0/24", "network 10.9.2.0/24"),
        r"r2/frr.conf:\d+: 'network 10.9.2.0/24 area 0.0.0.0' matches no interface of r2",
    ),
    "router id": (
        lambda f: _edit(f, "r2", "router-id 192.168.0.2", "router-id 192.168.0.1"),
        r"r2/frr.conf:\d+: router-id 192.168.0.1 already belongs to r1 \(.*r1/frr.conf:\d+\)",
    ),
    "hello": (
        lambda f: _edit(f, "r2", "hello-interval 10", "hello-interval 5"),
        r"r1/frr.conf:\d+: hello-interval of r1-eth2 is 10, of its neighbour r2-eth1 5 "
        r"\(.*r2/frr.conf:\d+\)",
    ),
    "area": (
        lambda f: _edit(f, "r3", "172.16.0.4/30 area 0.0.0.0", "172.16.0.4/30 area 1"),
        r"area of r1-eth1 is 0.0.0.0, of its neighbour r3-eth1 0.0.0.1 \(.*r3/frr.conf:\d+\)",
    ),
    "interface": (
        lambda f: _edit(f, "r1", "interface r1-eth1", "interface r1-eth7"),
        r"r1/frr.conf:\d+: r1 has no interface 'r1-eth7'",
    ),
}


@needs_frr
def test_of_several_files_the_one_with_the_line_is_named(folder):
    """Lines are counted in each file."""
    parts = frr_config.split((folder / "r1" / "frr.conf").read_text())
    (folder / "r1" / "frr.conf").unlink()
    (folder / "r1" / "zebra.conf").write_text(parts["zebra"])
    (folder / "r1" / "ospfd.conf").write_text("!\nrouter ospf\n network 10.9.0.0/16 area 0\n")
    with pytest.raises(ConfigError, match=r"r1/ospfd.conf:3: 'network 10.9.0.0/16 area 0' match"):
        _load(folder)


def test_a_default_that_disagrees_is_of_the_file(folder):
    """No line says it, so none is named."""
    plan = _plan(Triangle())
    configs = {r: frr_generate.ospf(plan, r, frr_generate.Ospf()) for r in plan.routers}
    configs["r1"] = configs["r1"].replace(" ip ospf hello-interval 10\n", "")
    configs["r2"] = configs["r2"].replace("hello-interval 10", "hello-interval 5")
    with pytest.raises(ConfigError, match=r"lab/r1/frr.conf: hello-interval of r1-eth\d is 10, "):
        frr_lint.check(plan, _written(configs))


@needs_frr
@pytest.mark.parametrize("what", BAD)
def test_bad_configurations_are_refused_with_place_and_mend(what, folder):
    spoil, message = BAD[what]
    spoil(folder)
    with pytest.raises(ConfigError, match=message):
        _load(folder)


@needs_frr
@pytest.mark.parametrize(
    ("old", "new"), [("hello-interval 10", "hello-interval 5"), ("area 0.0.0.0", "area 0.0.0.1")]
)
def test_neighbours_of_ospfv3_must_agree_as_well(old, new):
    plan = _plan(Triangle())
    options = frr_generate.Ospf()
    configs = {router: frr_generate.ospf6(plan, router, options) for router in plan.routers}
    configs["r2"] = configs["r2"].replace(old, new)
    with pytest.raises(
        ConfigError, match=rf"{old.split()[0]} of r.* of its neighbour r2-eth. .*r2/frr.conf:\d+"
    ):
        frr_lint.check(plan, _written(configs))


HANDWRITTEN = {"triangle-rip": Triangle, "campus-ospf": Campus}


@needs_frr
@pytest.mark.parametrize("name", sorted(p.name for p in (PROJECT / "topologies/configs").iterdir()))
def test_the_configurations_beside_the_topologies_are_good(name):
    plan = _plan(HANDWRITTEN[name]())
    folder = PROJECT / "topologies" / "configs" / name
    found = frr_folder.load_folder(folder, plan.routers)
    frr_lint.check(plan, found)
    assert list(found) == plan.routers


def test_lines_a_daemon_did_not_know_are_read_from_its_log():
    log = (
        "2023/11/14 22:13:30 RIP: [T83RR-8SM5G] ripd 8.4.4 starting: vty@0\n"
        "2023/11/14 22:13:30 RIP: [SHWNK-NWT5S][EC 100663304] No such command on config line 3: "
        " ip rip split-horizon poisened-reverse\n"
    )
    left_out = ("ip rip split-horizon poisened-reverse", "No such command")
    assert frr.misunderstood(log) == [left_out]


def test_mgmtd_gets_what_frr_10_reads_by_it():
    """Lines for all daemons come once; zebra keeps what mgmtd does not know; ospfd has its own."""
    parts = frr_config.managed(
        frr_config.split(INTEGRATED + "ip forwarding\ninterface eth1\n bandwidth 10\nexit\n")
    )
    assert list(parts) == ["mgmtd", "zebra", "ospfd"]
    assert parts["zebra"] == "hostname r1\nip forwarding\n"
    for line in (
        " no ip rip split-horizon",
        " bandwidth 10",
        "router rip",
        "ip route 192.0.2.0/24",
    ):
        assert line in parts["mgmtd"]
    assert "ip forwarding" not in parts["mgmtd"] and "router ospf" not in parts["mgmtd"]
    for once in ("hostname r1", "access-list near", "key chain secret"):
        assert parts["mgmtd"].count(once) == 1


@pytest.mark.parametrize(
    ("with_mgmtd", "names", "with_file"),
    [(False, ["zebra", "ripd"], ["zebra", "ripd"]), (True, ["mgmtd", "zebra", "ripd"], ["zebra"])],
)
def test_daemons_by_the_version_of_frr(with_mgmtd, names, with_file, tmp_path):
    """FRR 10's ripd is refused with a file of its own; mgmtd has what it should do."""
    text = frr_generate.rip(_plan(Triangle()), "r1", frr_generate.Rip())
    place = Place("r1", tmp_path / "r1", tmp_path / "state")
    daemons = frr.daemons_of(text, with_mgmtd=with_mgmtd)
    assert [d.name for d in daemons] == names
    assert [d.name for d in daemons if "-f" in d.argv(place)] == with_file
    for daemon in daemons:
        base.write_files(daemon, place)
    holder = place.configs / ("mgmtd/mgmtd.conf" if with_mgmtd else "ripd.conf")
    assert "router rip" in holder.read_text()


ADAPTERS = """\
MGMTD Backend Adapters
  Client: \t\t\tzebra
    Conn-FD: \t\t\t22
    Msg-Recvd: \t\t\t14
    Msg-Sent: \t\t\t9
  Client: \t\t\tripd
    Conn-FD: \t\t\t23
    Msg-Recvd: \t\t\t1
    Msg-Sent: \t\t\t1
  Total: 2
"""


@pytest.mark.parametrize(
    ("daemon", "under_way", "told"),
    [("zebra", 0, True), ("zebra", 1, False), ("ripd", 0, False), ("staticd", 0, False)],
)
def test_a_managed_daemon_is_ready_when_mgmtd_has_told_it_all(daemon, under_way, told):
    """A greeting alone is no configuration, nor is one that is still being told."""
    transactions = f"MGMTD Transactions\n  Total: {under_way}\n"
    assert frr.is_configured(daemon, ADAPTERS, transactions) == told


AS_FRR_READS_IT = """\
int r1-eth0
 ip addr 192.0.2.1/24
 ipv6 address 2001:db8::1/64
!
interface lo
 ip address 10.255.0.1/32
!
router rip
network 192.0.2.0/24
version 2
key chain ring
 key 1
  key-string secret
router ospf
 area 1 nssa
 area 1 virtual-link 10.255.0.9
 redistribute connected route-map twice
route-map inner permit 10
 set metric 5
route-map twice permit 10
call inner
  router bgp 65001
   address-family ipv4 unicast
    network 192.0.2.0/24
   exit-address-family
ip route 198.51.100.0/24 blackhole
"""


@needs_frr
def test_what_frr_accepts_is_read_as_frr_reads_it(tmp_path):
    """Abbreviated, not indented or indented too much: the daemons get what FRR makes of it."""
    (tmp_path / "r1").mkdir()
    (tmp_path / "r1/frr.conf").write_text(AS_FRR_READS_IT)
    (tmp_path / "r1/staticd.conf").write_text("!\nline vty\n!\n")
    (tmp_path / "r1/reference.json").write_text("{}")
    (tmp_path / "__pycache__").mkdir()
    found = frr_folder.load_folder(tmp_path, ["r1"])["r1"]
    parts = frr_config.split(found.text)
    assert list(parts) == ["zebra", "ripd", "ospfd", "bgpd", "staticd"]
    assert "interface r1-eth0\n ip address 192.0.2.1/24\n" in parts["zebra"]
    assert "router rip\n network 192.0.2.0/24\n version 2\nexit\n" in parts["ripd"]
    assert "key-string secret" in parts["ripd"] and "virtual-link" in parts["ospfd"]
    assert "route-map twice permit 10\n call inner\nexit" in parts["ospfd"]
    assert " address-family ipv4 unicast\n network 192.0.2.0/24\n exit-" in parts["bgpd"]
    assert "ip route" in parts["staticd"] and not found.left_out
    assert own_addresses.of_routers({"r1": found.text}) == {
        "r1": {"r1-eth0": ["192.0.2.1/24", "2001:db8::1/64"], "lo": ["10.255.0.1/32"]}
    }


@needs_frr
def test_each_router_and_each_file_has_its_own_context(tmp_path):
    """What one file ends in does not take the first lines of the next."""
    for router in ("r1", "r2"):
        (tmp_path / router).mkdir()
        (tmp_path / router / "ripd.conf").write_text(" network r1-eth0\n" if router == "r2" else "")
        (tmp_path / router / "zebra.conf").write_text("hostname r\nrouter rip\n version 2\n")
    with pytest.raises(ConfigError, match=r"r2/ripd.conf:1: FRR says: Unknown command"):
        frr_folder.load_folder(tmp_path, ["r1", "r2"])


@needs_frr
def test_what_is_not_run_is_told(tmp_path):
    (tmp_path / "r1").mkdir()
    (tmp_path / "r1/daemons").write_text("ospfd=no\npimd=yes\n")
    (tmp_path / "r1/frr.conf").write_text(
        "interface r1-eth0\n ip pim\n ip ospf 1 area 0\nrouter ospf 1\n ospf router-id 1.1.1.1\n"
        "router eigrp 1\nrouter ospf\nvrf red\n ip route 10.0.0.0/8 blackhole\n"
    )
    found = frr_folder.load_folder(tmp_path, ["r1"])["r1"]
    told = [line.removeprefix(f"{tmp_path}/r1/") for line in found.left_out]
    assert told[:2] == [
        "daemons: ospfd=no: ospfd is run all the same, since the configuration needs it",
        "daemons: pimd=yes: pimd is not run here",
    ]
    assert [line.split(":")[1] for line in told[2:]] == ["2", "3", "4", "6", "8"]
    assert "10.0.0.0" not in "".join(frr_config.split(found.text).values())


DISAGREE = {
    "authentication": ("", " ip ospf authentication message-digest\n"),
    "key": (
        " ip ospf message-digest-key 1 md5 one\n",
        " ip ospf message-digest-key 2 md5 one\n",
    ),
    "network type": ("", " ip ospf network non-broadcast\n"),
    "dead-interval": ("", " ip ospf dead-interval 20\n"),
    "area type": ("", "exit\nrouter ospf\n area 0 stub\n"),
}


@pytest.mark.parametrize("what", [*DISAGREE, "MTU"])
def test_what_neighbours_disagree_on_is_named(what):
    topo = Topo()
    ends = [topo.addRouter(f"r{i}", ip=f"192.0.2.{i}/24") for i in (1, 2)]
    other = {"shape2": LinkShape(mtu_bytes=1400)} if what == "MTU" else {}
    topo.addLink(*ends, **other)
    lines = DISAGREE.get(what, ("", ""))
    whole = "interface {r}-eth0\n ip ospf area 0\n{more}exit\nrouter ospf\n"
    configs = {r: whole.format(r=r, more=more) for r, more in zip(ends, lines, strict=True)}
    with pytest.raises(ConfigError, match=f"{what} of r1-eth0 is .*, of its neighbour r2-eth0 "):
        frr_lint.check(make_plan(topo), _written(configs))
    passive = configs | {
        "r2": configs["r2"].replace(" ip ospf area", " ip ospf passive\n ip ospf area")
    }
    frr_lint.check(make_plan(topo), _written(passive))  # it does not speak there


def test_keys_of_rip_are_compared_by_their_chains():
    topo = Topo()
    for i in (1, 2):
        topo.addRouter(f"r{i}", ip=f"192.0.2.{i}/24")
    topo.addLink("r1", "r2")
    whole = (
        "key chain {r}\n key 1\n  key-string {key}\n"
        "interface {r}-eth0\n ip rip authentication key-chain {r}\nrouter rip\n network {r}-eth0\n"
    )
    same = {r: whole.format(r=r, key="a") for r in ("r1", "r2")}
    frr_lint.check(make_plan(topo), _written(same))
    with pytest.raises(ConfigError, match="key of r1-eth0 is 1: a, of its neighbour r2-eth0 1: b"):
        frr_lint.check(make_plan(topo), _written(same | {"r2": whole.format(r="r2", key="b")}))


def test_speakers_of_bgp_must_know_each_other():
    topo = Topo()
    for i in (1, 2):
        topo.addRouter(f"r{i}", ip=f"192.0.2.{i}/24")
    topo.addLink("r1", "r2")
    whole = "router bgp {own}\n neighbor 192.0.2.{other} remote-as {asn}\n{more}"
    right = {
        "r1": whole.format(own=65001, other=2, asn=65002, more=""),
        "r2": whole.format(own=65002, other=1, asn="external", more=""),
    }
    frr_lint.check(make_plan(topo), _written(right))
    group = "router bgp 65009\n neighbor G peer-group\n neighbor G local-as 65001\n"
    group += " neighbor G remote-as 65002\n neighbor 192.0.2.2 peer-group G\n"
    back = right["r2"].replace("external", "65001")
    frr_lint.check(make_plan(topo), _written({"r1": group, "r2": back}))
    wrong = {
        "remote-as is 65009, but r2 is in AS 65002": right["r1"].replace("65002", "65009"),
        "password is x, that of r2 none": right["r1"] + " neighbor 192.0.2.2 password x\n",
    }
    for message, text in wrong.items():
        with pytest.raises(ConfigError, match=rf"r1/frr.conf:2: neighbor 192.0.2.2: {message}"):
            frr_lint.check(make_plan(topo), _written(right | {"r1": text}))


@needs_frr
def test_a_topology_is_made_of_shared_subnets(tmp_path):
    """A link, a LAN of three, a stub, and a link that only its ends' names show."""
    texts = {
        "r1": "interface eth-r2\n ip address 10.0.0.1/32\ninterface lan\n ip address 10.1.0.1/24\n",
        "r2": "interface eth-r1\n ip address 10.0.0.2/32\ninterface lan\n ip address 10.1.0.2/24\n",
        "r3": "interface lan\n ip address 10.1.0.3/24\ninterface up\n ipv6 address fd::1/64\n"
        "interface lo\n ip address 3.3.3.3/32\n",
        "r4": "interface down\n ipv6 address fd::2/64\ninterface stub\n ip address 10.9.0.1/24\n",
    }
    for router, text in texts.items():
        (tmp_path / router).mkdir()
        (tmp_path / router / "zebra.conf").write_text(text)
    topo = routing.from_configs(str(tmp_path))
    assert topo.ends == [
        [("r1", "eth-r2"), ("r2", "eth-r1")],
        [("r1", "lan"), ("r2", "lan"), ("r3", "lan")],
        [("r3", "up"), ("r4", "down")],
        [("r4", "stub")],
    ]
    files = routing.config_files(topo, frr_generate.rip, str(tmp_path))
    for name, text in files.items():
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_text(text)
    again = make_plan(routing.topology_of(tmp_path / "run", list))
    assert [str(a) for a in again.loopbacks["r3"]] == ["3.3.3.3/32"]
    named = {**globals()}
    exec(from_configs.as_file(topo, "lab"), named)
    assert make_plan(named["Lab"]()) == again == make_plan(topo)


def test_a_route_map_reaches_zebra_too():
    text = (
        "router ospf\n network 10.0.0.0/8 area 0\n"
        "route-map m permit 10\nip protocol ospf route-map m\n"
    )
    parts = frr_config.split(text)
    assert all("route-map m permit 10" in parts[daemon] for daemon in ("zebra", "ospfd"))
