"""What controllers decide, without a switch."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("os_ken")

from controller import frames, rules
from controller.arp_responder import ArpTable
from controller.discovery import LinkTable, distances
from controller.flood_defence import Guard
from controller.framework import ofproto
from controller.learning_switch import MacTable
from controller.load_balancer import Pool
from controller.load_balancer import check as check_pool
from controller.monitor import Rates
from controller.rate_limit import parse_limits
from controller.router import Waiting, answer, parse_interfaces
from controller.settings import SettingsError, parse
from controller.shortest_path import tables
from controller.spanning_tree import tree_ports
from testbed.core.project import PROJECT

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"


def _links(*pairs):
    """(switch, port)-(switch, port) pairs, both ways."""
    return {**dict(pairs), **{b: a for a, b in pairs}}


SQUARE = _links(((1, 2), (2, 1)), ((1, 3), (3, 1)), ((2, 2), (4, 2)), ((3, 2), (4, 3)))


def _frame(src=A, dst=B, ethertype=frames.IPV4, body=b""):
    return frames.decode(frames.ethernet(dst, src, ethertype, body))


# ---- frames


def test_arp_survives_the_wire():
    arp = frames.Arp(frames.ARP_REQUEST, A, "10.0.0.1", "00:00:00:00:00:00", "10.0.0.2")
    frame = frames.decode(frames.arp_frame(arp))
    assert frame.arp == arp and frame.is_group and frame.src == A
    reply = frames.decode(frames.arp_reply(arp, B)).arp
    assert (reply.op, reply.sender_mac, reply.sender_ip) == (frames.ARP_REPLY, B, "10.0.0.2")
    assert (reply.target_mac, reply.target_ip) == (A, "10.0.0.1")


def test_lldp_names_its_sender_and_only_ours_counts():
    data = frames.lldp_frame(0xABCDEF, 7, A)
    assert frames.lldp_sender(frames.decode(data)) == (0xABCDEF, 7)
    assert frames.lldp_sender(_frame(ethertype=frames.LLDP, body=b"\x02\x07\x04abcdef")) is None
    assert frames.lldp_sender(_frame()) is None


def test_ipv4_has_a_checksum_and_ports():
    body = frames.ipv4_body("10.0.0.1", "10.0.0.2", frames.UDP, b"\x13\x88\x00\x35\x00\x08\x00\x00")
    assert frames.checksum(body[:20]) == 0
    packet = _frame(body=body).ipv4
    assert (packet.src, packet.dst, packet.sport, packet.dport) == (
        "10.0.0.1",
        "10.0.0.2",
        5000,
        53,
    )


@pytest.mark.parametrize("data", [b"", b"\0" * 13, bytes(12) + b"\x08\x00" + b"\x45" * 5])
def test_what_is_too_short_is_not_read(data):
    frame = frames.decode(data)
    assert frame is None or frame.ipv4 is None


# ---- learning


def test_unknown_is_flooded_and_known_is_not():
    table = MacTable()
    assert table.decide(_frame(), 1, 0.0) == ofproto.OFPP_FLOOD
    table.learn(B, 2, 0.0)
    assert table.decide(_frame(), 1, 0.0) == 2
    assert table.decide(_frame(), 2, 0.0) is None
    assert table.decide(_frame(dst=frames.BROADCAST), 1, 0.0) == ofproto.OFPP_FLOOD


def test_addresses_age_and_move():
    table = MacTable(age_s=300)
    assert table.learn(B, 2, 0.0) is None
    assert table.learn(B, 2, 1.0) is None
    assert table.learn(B, 3, 2.0) == 2
    assert table.port_of(B, 302.0) == 3
    assert table.port_of(B, 302.1) is None


# ---- discovery, paths, trees


def test_links_come_both_ways_and_go():
    table = LinkTable(life_s=3)
    assert table.heard((1, 1), (2, 1), 0.0)
    assert not table.both_ways()
    assert table.heard((2, 1), (1, 1), 0.0)
    assert not table.heard((1, 1), (2, 1), 2.0)
    assert table.both_ways() == {(1, 1): (2, 1), (2, 1): (1, 1)}
    assert table.expire(3.1) == [(2, 1)]
    assert not table.both_ways() and table.ends() == {(1, 1), (2, 1)}
    assert table.drop((2, 1)) and not table.ends()
    assert not table.drop((2, 1))


def test_shortest_paths_turn_away_from_a_dead_link():
    hosts = {A: (1, 1), B: (4, 1)}
    before = tables(SQUARE, hosts)
    assert before[1, A] == 1 and before[4, B] == 1
    assert before[1, B] in (2, 3) and before[2, B] == 2 and before[3, B] == 2
    cut = {s: r for s, r in SQUARE.items() if {s, r} != {(1, 2), (2, 1)}}
    after = tables(cut, hosts)
    assert after[1, B] == 3 and after[2, A] == 2 and after[4, A] == 3
    assert distances(cut, 1) == {1: 0, 3: 1, 4: 2, 2: 3}


def test_hosts_share_equal_paths():
    hosts = {f"02:00:00:00:00:{n:02x}": (4, n + 10) for n in range(32)}
    used = {port for (dpid, _), port in tables(SQUARE, hosts).items() if dpid == 1}
    assert used == {2, 3}


def test_a_tree_has_no_loop_and_reaches_all():
    tree = tree_ports(SQUARE, [1, 2, 3, 4])
    links = {s: r for s, r in SQUARE.items() if s in tree}
    assert len(tree) == 6 and all(r in tree for r in links.values())
    assert set(distances(links, 1)) == {1, 2, 3, 4}
    assert tree_ports({}, [1, 2]) == set()


# ---- firewall

TEXT = """
allow arp
deny  tcp from 10.0.0.3
allow tcp to 10.0.0.4 port 80   # the web
allow icmp from 10.0.0.0/24 to any
"""


def _ip(src, dst, proto, dport=None):
    payload = b"" if dport is None else b"\x30\x39" + dport.to_bytes(2, "big") + bytes(16)
    return _frame(body=frames.ipv4_body(src, dst, proto, payload))


@pytest.mark.parametrize(
    ("frame", "passes"),
    [
        (_ip("10.0.0.1", "10.0.0.4", frames.TCP, 80), True),
        (_ip("10.0.0.1", "10.0.0.4", frames.TCP, 22), False),
        (_ip("10.0.0.3", "10.0.0.4", frames.TCP, 80), False),
        (_ip("10.0.0.3", "10.0.0.4", frames.ICMP), True),
        (_ip("10.0.1.3", "10.0.0.4", frames.ICMP), False),
        (_frame(ethertype=frames.ARP), True),
        (_frame(ethertype=frames.IPV6), False),
    ],
)
def test_the_first_rule_that_matches_decides(frame, passes):
    assert rules.allowed(rules.parse(TEXT, "f"), frame) is passes


def test_a_rule_is_an_openflow_match():
    rule = rules.parse("allow tcp from 10.0.0.0/24 to 10.0.0.2 port 80", "f")[0]
    assert rule.match() == {
        "eth_type": 0x0800,
        "ip_proto": 6,
        "ipv4_src": ("10.0.0.0", "255.255.255.0"),
        "ipv4_dst": ("10.0.0.2", "255.255.255.255"),
        "tcp_dst": 80,
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("permit ip", "action 'permit'"),
        ("allow", "protocol ''"),
        ("allow sctp", "protocol 'sctp'"),
        ("allow ip from 10.0.0.300", "from '10.0.0.300'"),
        ("allow ip from 10.0.0.1/24", "has host bits set"),
        ("allow ip from", "from ''"),
        ("allow icmp to any port 80", "'icmp' has no ports"),
        ("allow tcp to any port 80x", "port '80x'"),
        ("allow tcp to any port 70000", "port '70000'"),
        ("allow arp from 10.0.0.1", "takes no addresses"),
        ("allow ip via 10.0.0.1", "field 'via'"),
    ],
)
def test_a_bad_rule_names_file_line_and_field(line, said):
    with pytest.raises(rules.RuleError, match=r"office\.rules: line 2: ") as caught:
        rules.parse(f"# first\n{line}\n", "office.rules")
    assert said in str(caught.value)


# ---- the others


def test_arp_answers_what_it_heard():
    table = ArpTable(age_s=10)
    question = frames.Arp(frames.ARP_REQUEST, A, "10.0.0.1", "00:00:00:00:00:00", "10.0.0.2")
    assert table.answer(question, 0.0) is None
    table.learn(frames.Arp(frames.ARP_REPLY, B, "10.0.0.2", A, "10.0.0.1"), 0.0)
    assert table.answer(question, 5.0) == B
    assert table.answer(question, 11.0) is None


def test_a_flood_is_cut_off_and_let_back():
    guard = Guard(limit_pps=100, calm_s=3)
    assert guard.judge({(1, 1): 50, (1, 2): 500}, 0.0) == ([(1, 2)], [])
    assert guard.judge({(1, 1): 50, (1, 2): 500}, 1.0) == ([], [])
    assert guard.judge({(1, 2): 0}, 3.9) == ([], [])
    assert guard.judge({(1, 2): 0}, 4.0) == ([], [(1, 2)])
    assert guard.judge({(1, 2): 500}, 5.0) == ([(1, 2)], [])


def test_rates_need_two_readings_and_survive_a_reset():
    rates = Rates()
    assert rates.feed({"x": 100}, 0.0) == {}
    assert rates.feed({"x": 300}, 2.0) == {"x": 100.0}
    assert rates.feed({"x": 5}, 3.0) == {}


def test_a_pool_shares():
    turn = Pool(("s1", "s2", "s3"))
    assert [turn.pick("10.0.0.1") for _ in range(4)] == ["s1", "s2", "s3", "s1"]
    least = Pool(("s1", "s2"), "least_connections")
    assert [least.pick("10.0.0.1"), least.pick("10.0.0.1")] == ["s1", "s2"]
    least.ended("s2")
    assert least.pick("10.0.0.1") == "s2"
    by_source = Pool(("s1", "s2"), "source_hash")
    assert {by_source.pick("10.0.0.7") for _ in range(5)} == {"s2"}


def test_a_router_finds_the_longest_prefix_and_answers_for_itself():
    interfaces = parse_interfaces("1:10.0.0.1/8,2:10.2.0.1/16")
    assert interfaces.out_to("10.2.3.4") == 2 and interfaces.out_to("10.3.3.4") == 1
    assert interfaces.out_to("192.0.2.1") is None
    echo = frames.icmp_body(frames.ECHO_REQUEST, 0, b"\0\1\0\2data")
    reply = answer(
        interfaces, 1, frames.Ipv4("10.0.0.9", "10.0.0.1", 1, 64, icmp_type=8, payload=echo)
    )
    got = _frame(body=reply).ipv4
    assert (got.src, got.dst, got.icmp_type) == ("10.0.0.1", "10.0.0.9", frames.ECHO_REPLY)
    assert got.payload[4:] == b"\0\1\0\2data" and frames.checksum(got.payload) == 0


@pytest.mark.parametrize(
    ("dst", "ttl", "icmp_type"),
    [
        ("10.2.0.9", 1, frames.TIME_EXCEEDED),
        ("192.0.2.1", 64, frames.UNREACHABLE),
        ("10.2.0.9", 64, None),
    ],
)
def test_a_router_says_why_a_packet_ends(dst, ttl, icmp_type):
    interfaces = parse_interfaces("1:10.0.0.1/8,2:10.2.0.1/16")
    back = answer(interfaces, 1, frames.Ipv4("10.0.0.9", dst, frames.UDP, ttl))
    assert (None if back is None else _frame(body=back).ipv4.icmp_type) == icmp_type


def test_waiting_packets_are_few_and_fresh():
    waiting = Waiting()
    for number in range(7):
        waiting.keep("10.0.0.2", bytes([number]), number / 10)
    assert waiting.take("10.0.0.2", 1.0) == [bytes([n]) for n in (2, 3, 4, 5, 6)]
    waiting.keep("10.0.0.2", b"old", 0.0)
    assert waiting.take("10.0.0.2", 9.0) == []


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: parse_limits("10.0.0.1:fast"), "'10.0.0.1:fast'"),
        (lambda: parse_limits("10.0.0.1:0"), "'10.0.0.1:0'"),
        (lambda: parse_interfaces("1:10.0.0.1/33"), "'1:10.0.0.1/33'"),
        (lambda: parse_interfaces(""), "empty"),
        (lambda: check_pool(_pool_settings("virtual=x", "servers=10.0.0.2")), "'x'"),
        (lambda: check_pool(_pool_settings("policy=best", "servers=10.0.0.2")), "'best'"),
        (lambda: _pool_settings("polcy=best"), "did you mean 'policy'"),
        (lambda: _pool_settings("idle_s=1.5"), "not a whole number"),
    ],
)
def test_bad_settings_are_named(make, said):
    with pytest.raises(SettingsError, match="setting") as caught:
        make()
    assert said in str(caught.value)


def _pool_settings(*words):
    from controller.load_balancer import Settings

    return parse(Settings, words)


ERRS = """
import time
from os_ken.base.app_manager import register_app
from controller.app import Alarm, App
app = App()
register_app(app)
app.start()
for action in (lambda: 1 / 0, lambda: {}["gone"], lambda: print("served", flush=True)):
    app.send_event(app.name, Alarm(action))
time.sleep(0.3)
import os
os._exit(0)
"""


def test_an_error_in_a_handler_is_told_and_the_next_event_is_served():
    done = subprocess.run(
        [sys.executable, "-c", ERRS],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"SDN_FRAMEWORK": "os_ken"},
        timeout=60,
    )
    assert done.stdout == "served\n"
    for words in ("Traceback", "ZeroDivisionError: division by zero", "KeyError: 'gone'"):
        assert words in done.stderr
