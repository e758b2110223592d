"""Tables over time, Bellman and Ford, Dijkstra, elections: on small graphs worked out by hand."""

import json
import struct

import pandas as pd
import pytest

from analysis import adjacency, echo, ospf, rip, routes
from testbed.author import routing
from testbed.core.claims import Status
from testbed.net import monitor


def _network():
    """r1 - r2 - r3 in a row, a host at each end."""
    rows = [
        ("h1", "h1-eth0", "10.0.1.11/24"),
        ("r1", "r1-eth0", "10.0.1.1/24"),
        ("r1", "r1-eth1", "172.16.0.1/30"),
        ("r2", "r2-eth0", "172.16.0.2/30"),
        ("r2", "r2-eth1", "172.16.0.5/30"),
        ("r3", "r3-eth0", "172.16.0.6/30"),
        ("r3", "r3-eth1", "10.0.2.1/24"),
        ("h3", "h3-eth0", "10.0.2.11/24"),
    ]
    addresses = [
        {"node": n, "interface": i, "ipv4": a, "ipv6": None, "mac": None} for n, i, a in rows
    ]
    kinds = [
        {"name": n, "kind": "router" if n[0] == "r" else "host"}
        for n in ("h1", "r1", "r2", "r3", "h3")
    ]
    return routes.network(addresses, {"nodes": kinds})


def test_bellman_ford_counts_hops():
    best = routes.bellman_ford(_network())
    assert best["r1", "10.0.1.0/24"] == 1
    assert best["r1", "10.0.2.0/24"] == 3
    assert best["r2", "10.0.2.0/24"] == 2
    assert ("h1", "10.0.2.0/24") not in best


def test_bellman_ford_without_a_link():
    best = routes.bellman_ford(_network().without("r2-eth1", "r3-eth0"))
    assert ("r1", "10.0.2.0/24") not in best


def _change(time_s, node, action, destination, via=None, out="r1-eth1", protocol="rip"):
    return {
        "time_s": time_s,
        "node": node,
        "action": action,
        "family": 4,
        "protocol": protocol,
        "destination": destination,
        "metric": 20,
        "hops": [{"via": via, "out": out, "weight": 1}],
    }


CHANGES = pd.DataFrame(
    [
        _change(0.0, "h1", "have", "0.0.0.0/0", "10.0.1.1", "h1-eth0", "static"),
        _change(0.0, "h3", "have", "0.0.0.0/0", "10.0.2.1", "h3-eth0", "static"),
        _change(0.0, "r1", "have", "10.0.1.0/24", None, "r1-eth0", "kernel"),
        _change(0.0, "r3", "have", "10.0.2.0/24", None, "r3-eth1", "kernel"),
        _change(2.0, "r1", "new", "10.0.2.0/24", "172.16.0.2"),
        _change(2.0, "r2", "new", "10.0.2.0/24", "172.16.0.6", "r2-eth1"),
        _change(2.0, "r2", "new", "10.0.1.0/24", "172.16.0.1", "r2-eth0"),
        _change(3.0, "r3", "new", "10.0.1.0/24", "172.16.0.5", "r3-eth0"),
        _change(9.0, "r1", "del", "10.0.2.0/24", "172.16.0.2"),
    ]
)


def test_tables_follow_the_changes():
    net = _network()
    assert routes.path(routes.table_at(CHANGES, 1.0), net, "h1", "10.0.2.11") == ["h1", "r1"]
    full = routes.table_at(CHANGES, 5.0)
    assert routes.path(full, net, "h1", "10.0.2.11") == ["h1", "r1", "r2", "r3", "h3"]
    assert routes.path(routes.table_at(CHANGES, 9.0), net, "h1", "10.0.2.11") == ["h1", "r1"]


def test_a_loop_ends_the_path():
    loop = pd.concat(
        [
            CHANGES,
            pd.DataFrame([_change(4.0, "r2", "replace", "10.0.2.0/24", "172.16.0.1", "r2-eth0")]),
        ]
    )
    found = routes.path(routes.table_at(loop, 5.0), _network(), "h1", "10.0.2.11")
    assert found == ["h1", "r1", "r2", "r1"]


def test_convergence_is_the_last_change_of_the_protocol():
    assert routes.convergence_s(CHANGES, ["rip"], 1.0, 5.0) == pytest.approx(2.0)
    assert routes.convergence_s(CHANGES, ["ospf"], 1.0) is None


def test_mended_when_both_ways_lead_round_the_broken_link():
    net = _network()
    assert routes.mended_s(CHANGES, net, ("h1", "h3"), ("r7", "r8"), 0.0) == 3.0
    assert routes.mended_s(CHANGES, net, ("h1", "h3"), ("r2", "r3"), 0.0) == float("inf")


def test_an_interface_that_goes_down_takes_its_routes():
    links = pd.DataFrame(
        [
            {"time_s": 1.0, "node": "r1", "interface": "r1-eth1", "up": True},
            {"time_s": 6.0, "node": "r1", "interface": "r1-eth1", "up": False},
            {"time_s": 6.0, "node": "r2", "interface": "r2-eth1", "up": False},
        ]
    )
    whole = routes.with_silent_losses(CHANGES, links)
    table = routes.table_at(whole, 6.0)
    left = set(zip(table["node"], table["destination"], strict=True))
    assert ("r1", "10.0.2.0/24") not in left and ("r2", "10.0.2.0/24") not in left
    assert ("r2", "10.0.1.0/24") in left
    assert len(whole) == len(CHANGES) + 2


def test_one_of_two_next_hops_lost_leaves_the_other():
    double = _change(2.0, "r1", "new", "10.0.9.0/24")
    double["hops"] = [{"via": "a", "out": "r1-eth1"}, {"via": "b", "out": "r1-eth2"}]
    links = pd.DataFrame([{"time_s": 5.0, "node": "r1", "interface": "r1-eth1", "up": False}])
    whole = routes.with_silent_losses(pd.DataFrame([double]), links)
    assert whole.iloc[-1]["action"] == "replace"
    assert [hop["out"] for hop in whole.iloc[-1]["hops"]] == ["r1-eth2"]


# ---- the kernel's messages


def _attribute(kind, payload):
    return struct.pack("=HH", len(payload) + 4, kind) + payload + bytes(-len(payload) % 4)


def _message(number, flags, body):
    return struct.pack("=IHHII", 16 + len(body), number, flags, 0, 0) + body


def _route(protocol=189, kind=1, table=254):
    head = struct.pack("=8BI", 2, 24, 0, 0, table, protocol, 0, kind, 0)
    return head + _attribute(1, bytes([10, 0, 2, 0])) + _attribute(6, struct.pack("=I", 20))


def test_a_route_message_is_read():
    hop = _attribute(4, struct.pack("=I", 7)) + _attribute(5, bytes([172, 16, 0, 2]))
    data = _message(24, 0x400, _route() + hop) + _message(24, 0x100, _route() + hop)
    rows = list(monitor.read_messages(data + _message(25, 0, _route() + hop), {7: "r1-eth1"}))
    assert [row["action"] for _, row in rows] == ["new", "replace", "del"]
    kind, row = rows[0]
    assert kind == "routes" and row["destination"] == "10.0.2.0/24" and row["protocol"] == "rip"
    assert row["hops"] == [{"via": "172.16.0.2", "out": "r1-eth1", "weight": 1}]


def test_a_multipath_route_is_read():
    hops = b"".join(
        struct.pack("=HBBi", 16, 0, 0, index) + _attribute(5, bytes([172, 16, 0, index]))
        for index in (2, 3)
    )
    data = _message(24, 0, _route(188) + _attribute(9, hops))
    ((_, row),) = monitor.read_messages(data, {2: "r1-eth1", 3: "r1-eth2"})
    assert [(h["via"], h["out"]) for h in row["hops"]] == [
        ("172.16.0.2", "r1-eth1"),
        ("172.16.0.3", "r1-eth2"),
    ]


def test_local_and_foreign_tables_are_left_out():
    data = _message(24, 0, _route(kind=2)) + _message(24, 0, _route(table=255))
    assert list(monitor.read_messages(data, {})) == []


# ---- RIP


def test_rib_reads_ripd():
    text = (
        "Codes: R - RIP, C - connected\n\n     Network            Next Hop         Metric From\n"
        "C(i) 10.0.1.0/24        0.0.0.0               1 self              0\n"
        "R(n) 10.0.2.0/24        172.16.0.2            2 172.16.0.2        0 02:57\n"
    )
    found = rip.rib(text)
    assert list(found["prefix"]) == ["10.0.1.0/24", "10.0.2.0/24"]
    assert list(found["metric"]) == [1, 2]


def test_rib_reads_ripngd():
    text = (
        "Codes: R - RIPng, C - connected\n\n   Network      Next Hop   Via     Metric Tag Time\n"
        "C(i) fd00:0:0:1::/64 \n                  ::                          self       1    0  \n"
        "R(n) fd00:0:0:2::/64 \n                  fe80::2:ff:fe00:2           r1-eth2    2    0\n"
    )
    found = rip.rib(text)
    assert list(found["prefix"]) == ["fd00:0:0:1::/64", "fd00:0:0:2::/64"]
    assert list(found["origin"]) == ["self", "r1-eth2"] and list(found["metric"]) == [1, 2]


def test_first_exchanges_pair_a_request_with_its_answer_or_none():
    sent = pd.DataFrame(
        {
            "link": ["a", "a", "a", "b", "b"],
            "sender": ["r2", "r1", "r2", "r1", "r3"],
            "time_s": [0.0, 1.0, 1.5, 1.0, 2.0],
            "command": "request",
            "frame": range(5),
            "ip_src": ["2", "1", "2", "1", "3"],
            "ip_dst": ["all", "all", "1", "all", "all"],
        }
    )
    firsts, answers = rip.first_exchanges(sent, "r1")
    assert list(firsts["waited_s"]) == [0.5, float("inf")]
    assert list(answers["frame"]) == [2] and list(answers.columns) == list(sent.columns)


def test_missing_and_superfluous_routes_show_as_infinity():
    found = pd.DataFrame(
        [{"node": "r1", "prefix": "a", "metric": 2}, {"node": "r1", "prefix": "c", "metric": 3}]
    )
    both = rip.compare_with_bellman_ford(found, {("r1", "a"): 2, ("r1", "b"): 1})
    rows = both.set_index("prefix")
    assert list(rows.loc["b", ["metric", "expected"]]) == [16, 1]
    assert list(rows.loc["c", ["metric", "expected"]]) == [3, 16]


def test_updates_join_messages_sent_at_once():
    times = [0.0, 0.001, 30.0, 31.0]
    sent = pd.DataFrame(
        {
            "capture": "c",
            "sender": "r1",
            "time_s": times,
            "command": "response",
            "to_all": True,
            "entry_count": [25, 5, 30, 1],
            "frame": [1, 2, 3, 4],
        }
    )
    found = rip.updates(sent)
    assert list(found["entry_count"]) == [30, 30, 1]
    assert list(rip.whole_updates(found)["gap_s"].dropna()) == [30.0]


# ---- OSPF


def test_the_election_follows_priority_then_id():
    assert adjacency.elected([(1, "192.168.0.9"), (1, "192.168.0.10"), (0, "192.168.0.99")]) == (
        "192.168.0.10",
        "192.168.0.9",
    )
    assert adjacency.elected([(1, "10.0.0.1"), (2, "9.0.0.1")])[0] == "9.0.0.1"
    assert adjacency.elected([(0, "10.0.0.1")]) == (adjacency.NONE, adjacency.NONE)


def _lsa(ls_type, ls_id, body, area="0.0.0.0", router=None):
    return {
        "area": area,
        "ls_type": ls_type,
        "ls_id": ls_id,
        "adv_router": router or ls_id,
        "sequence": 1,
        "checksum": 0,
        "age_s": 0,
        "body": body,
        "carrier": "update",
    }


def _p2p(other, metric):
    return {"type": "point-to-point", "id": other, "data": "x", "metric": metric}


def _stub(prefix, metric=1):
    return {"type": "stub", "id": prefix, "data": "255.255.255.0", "metric": metric}


def _square(back=1):
    """a - b - d and a - c - d; d has a LAN. `back` is what d tells of its link to c."""
    links = {
        "a": [_p2p("b", 1), _p2p("c", 1)],
        "b": [_p2p("a", 1), _p2p("d", 1)],
        "c": [_p2p("a", 1), _p2p("d", 1)],
        "d": [_p2p("b", 1), _stub("10.0.4.0")],
    }
    if back:
        links["d"].append(_p2p("c", back))
    return pd.DataFrame([_lsa("router", r, {"links": x}) for r, x in links.items()])


def test_dijkstra_finds_all_equal_paths():
    lsas = _square()
    found = ospf.expected_routes(lsas, ospf.bodies(lsas), "a")
    assert found["10.0.4.0/24"] == (3, frozenset({"b", "c"}))


def test_a_link_told_by_one_end_only_does_not_count():
    lsas = _square(back=0)
    found = ospf.expected_routes(lsas, ospf.bodies(lsas), "a")
    assert found["10.0.4.0/24"] == (3, frozenset({"b"}))


def test_routes_over_a_lan_go_by_its_routers():
    def lan():
        return {"type": "transit", "id": "172.16.0.3", "data": "", "metric": 1}

    lsas = pd.DataFrame(
        [
            _lsa("router", "a", {"links": [lan()]}),
            _lsa("router", "c", {"links": [lan(), _stub("10.0.3.0")]}),
            _lsa(
                "network",
                "172.16.0.3",
                {"mask": "255.255.255.0", "routers": ["a", "c"]},
                router="c",
            ),
        ]
    )
    found = ospf.expected_routes(lsas, ospf.bodies(lsas), "a")
    assert found["10.0.3.0/24"] == (2, frozenset({"c"}))
    assert found["172.16.0.0/24"] == (1, frozenset())


def test_inside_an_area_beats_a_cheaper_summary():
    lsas = pd.concat(
        [
            _square(),
            pd.DataFrame(
                [
                    _lsa("summary", "10.0.4.0", {"mask": "255.255.255.0", "metric": 0}, router="b"),
                    _lsa("summary", "10.9.0.0", {"mask": "255.255.0.0", "metric": 5}, router="b"),
                ]
            ),
        ]
    )
    found = ospf.expected_routes(lsas, ospf.bodies(lsas), "a")
    assert found["10.0.4.0/24"][0] == 3
    assert found["10.9.0.0/16"] == (6, frozenset({"b"}))


def test_external_routes_lead_to_who_tells_them():
    lsas = pd.concat(
        [
            _square(),
            pd.DataFrame(
                [
                    _lsa(
                        "external",
                        "198.51.100.0",
                        {"mask": "255.255.255.0", "type": 2, "metric": 20, "forward": "0.0.0.0"},
                        area="",
                        router="c",
                    ),
                ]
            ),
        ]
    )
    found = ospf.expected_routes(lsas, ospf.bodies(lsas), "a")
    assert found["198.51.100.0/24"] == (20, frozenset({"c"}))


def test_databases_are_read_from_ospfd():
    text = json.dumps(
        {
            "routerId": "1.1.1.1",
            "areas": {
                "0.0.0.1 [Stub]": {
                    "routerLinkStates": [
                        {
                            "lsId": "1.1.1.1",
                            "advertisedRouter": "1.1.1.1",
                            "lsaAge": 3,
                            "sequenceNumber": "80000002",
                            "checksum": "ff",
                        }
                    ],
                    "routerLinkStatesCount": 1,
                }
            },
        }
    )
    row = ospf.database(text).iloc[0]
    assert (row["area"], row["sequence"], row["checksum"]) == ("0.0.0.1", 0x80000002, 255)


def test_disagreements_name_field_and_values():
    hellos = pd.DataFrame(
        {
            "capture": "c",
            "sender": ["r1", "r2"],
            "area": "0.0.0.0",
            "hello_interval_s": [10, 5],
            "dead_interval_s": 40,
            "mask": "255.255.255.252",
        }
    )
    found = adjacency.disagreements(hellos)
    assert list(found["field"]) == ["hello_interval_s"] and found["values"].item() == "10 and 5"
    assert adjacency.disagreements(hellos.assign(hello_interval_s=10)).empty


# ---- pings


def test_lost_pings_and_the_outage():
    packets = pd.DataFrame(
        {
            "time_s": [0.0, 0.01, 1.0, 2.0, 3.0, 3.01],
            "frame": range(1, 7),
            "icmp_id": 5,
            "icmp_type": [8, 0, 8, 8, 8, 0],
            "icmp_seq": [1, 1, 2, 3, 4, 4],
            "ip_src": ["a", "b", "a", "a", "a", "b"],
            "ip_dst": ["b", "a", "b", "b", "b", "a"],
        }
    )
    found = echo.pings(packets, "a")
    assert list(found["lost"]) == [False, True, True, False]
    assert echo.outage_s(found, 0.5) == pytest.approx(2.5)
    assert echo.outage_s(found[~found["lost"]], 0.5) == 0.0
    assert echo.outage_s(found[:3], 0.5) == float("inf")


# ---- shortest ways on the graph


def test_fewest_hops_name_all_neighbours_on_a_shortest_way():
    members = {
        "ab": {"a": ("a0", "1"), "b": ("b0", "2")},
        "ac": {"a": ("a1", "3"), "c": ("c0", "4")},
        "bd": {"b": ("b1", "5"), "d": ("d0", "6")},
        "cd": {"c": ("c1", "7"), "d": ("d1", "8")},
        "lan": {"d": ("d2", "9"), "h": ("h0", "10")},
    }
    net = routes.Network(members, ("a", "b", "c", "d"))
    found = routes.fewest_hops(net)
    assert found["a", "lan"] == {"b", "c"} and found["b", "lan"] == {"d"}
    assert ("d", "lan") not in found and ("a", "ab") not in found
    assert net.prefix_of("c1") == "cd" and net.addresses_on("cd") == {"7", "8"}
    table = pd.DataFrame([{"node": "a", "destination": "lan", "next_hops": "b"}])
    both = routes.compare_with_fewest_hops(table, net)
    row = both[(both["node"] == "a") & (both["prefix"] == "lan")].iloc[0]
    assert (row["kernel"], row["computed"]) == ("b", "b+c")


def test_a_missed_budget_fails_with_who_lacked_what():
    """Every wait is judged; what was lacking is shown."""
    good = {
        "scenario": "line",
        "budget": "RIP from nothing",
        "why": "two updates",
        "budget_s": 90.0,
        "waited_s": 11.0,
        "lacking": "",
    }
    bad = {**good, "scenario": "ring", "waited_s": 90.2, "lacking": "r1 lacks 10.0.3.0/24"}
    assert routing.in_time(pd.DataFrame([good])).status == Status.PASS
    verdict = routing.in_time(pd.DataFrame([good, bad]))
    assert verdict.status == Status.FAIL
    assert verdict.observed == "ring: r1 lacks 10.0.3.0/24 after 90 s"
    assert verdict.expected == "every router has every prefix in 90 s (two updates)"


@pytest.mark.parametrize("version", ["8.4", "10.3"])
def test_neighbours_are_read_from_both_ospfds(version):
    """FRR 10 has no ``state`` any more."""
    entry = {"nbrState": "2-Way/DROther", "ifaceName": "r3-eth1:172.16.0.9"}
    told = entry if version == "10.3" else {**entry, "state": "2-Way/DROther"}
    found = ospf.neighbours(json.dumps({"neighbors": {"192.168.0.4": [told]}}))
    assert found.to_dict("records") == [
        {"neighbour": "192.168.0.4", "state": "2-Way", "interface": "r3-eth1"}
    ]
