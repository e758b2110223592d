"""The data of the viewer's page: ways of packets, columns, what runs recorded; and its bundle."""

import json
import subprocess
import zlib

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import packets
from testbed.cli.main import cli
from testbed.core.errors import ConfigError, MissingPrerequisiteError
from testbed.core.project import PROJECT
from testbed.viewer import bundle, consequence, movements, of_capture, sightings, words
from testbed.viewer.columns import Pack
from testbed.viewer.graph import Graph, Link
from testbed.viewer.scene import conversations

MS = 1_000_000
LAYERS = PROJECT / "tests" / "captures" / "layers.pcap"

CHAIN = Graph(
    {"h1": "host", "r1": "router", "h2": "host"},
    [
        Link(("h1", "r1"), ("h1-eth0", "r1-eth0"), (5 * MS, 5 * MS)),
        Link(("r1", "h2"), ("r1-eth1", "h2-eth0")),
    ],
    {"02:00:00:00:00:01": "h1", "02:00:00:00:00:a0": "r1", "02:00:00:00:00:a1": "r1"}
    | {"02:00:00:00:00:02": "h2"},
    {"10.0.1.1": "h1", "10.0.1.254": "r1", "10.0.2.254": "r1", "10.0.2.2": "h2"},
)
MACS = {"h1-eth0": ("01", "a0"), "r1-eth0": ("01", "a0"), "r1-eth1": ("a1", "02")}
MACS["h2-eth0"] = MACS["r1-eth1"]


def seen(interface, *rows):
    """Packets at an interface: (time in ms, key, other values), from h1 to h2 unless `back`."""
    made = []
    for number, (time_ms, key, *more) in enumerate(rows, 1):
        values = dict(*more)
        src, dst = ("10.0.1.1", "10.0.2.2")
        mac_src, mac_dst = (f"02:00:00:00:00:{part}" for part in MACS[interface])
        if values.pop("back", False):
            src, dst, mac_src, mac_dst = dst, src, mac_dst, mac_src
        made.append(
            {
                "frame": number,
                "time_ns": round(time_ms * MS),
                "bytes": 100,
                "protocol": "UDP",
                "src": src,
                "dst": dst,
                "mac_src": mac_src,
                "mac_dst": mac_dst,
                "sport": 1000,
                "dport": 53,
                "flags": 0,
                "ttl": 64,
                "ip": True,
                "key": key,
                "content": key,
                "datagram": 0,
            }
            | values
        )
    frame = pd.DataFrame(made).astype(dict.fromkeys(("key", "content", "datagram"), "uint64"))
    texts = ("protocol", "src", "dst", "mac_src", "mac_dst")
    return frame.astype(dict.fromkeys(texts, "category"))


def ways(found):
    """Rows as (from, to, sent in ms, took in ms, status, stop)."""
    return [
        (
            CHAIN.links[row.link].nodes[row.end],
            CHAIN.links[row.link].nodes[1 - row.end],
            row.sent_ns / MS,
            row.took_ns / MS,
            row.status,
            row.stop,
        )
        for row in found.itertuples()
    ]


def test_a_packet_moves_from_link_to_link():
    captures = {
        "h1-eth0": seen("h1-eth0", (0, 7)),
        "r1-eth0": seen("r1-eth0", (5, 7)),
        "r1-eth1": seen("r1-eth1", (6, 7, {"ttl": 63})),
        "h2-eth0": seen("h2-eth0", (6, 7, {"ttl": 63})),
    }
    found = movements.find(captures, CHAIN, 100 * MS)
    assert ways(found) == [("h1", "r1", 0, 5, 0, 0), ("r1", "h2", 6, 0, 0, 0)]
    assert found["out"].tolist() == found["into"].tolist() == [1, 1]


def test_a_packet_that_does_not_arrive_is_lost():
    captures = {"h1-eth0": seen("h1-eth0", (0, 7), (200, 7)), "r1-eth0": seen("r1-eth0", (205, 7))}
    found = movements.find(captures, CHAIN, 1000 * MS)
    assert ways(found) == [("h1", "r1", 0, 5, 3, 0), ("h1", "r1", 200, 5, 0, 0)]


def test_a_packet_under_way_when_captures_end_is_not_lost():
    captures = {"h1-eth0": seen("h1-eth0", (98, 7)), "r1-eth0": seen("r1-eth0", (5, 6))}
    found = movements.find(captures, CHAIN, 100 * MS)
    assert movements.LOST not in found["status"].tolist()


def test_a_packet_that_a_router_keeps_stops_there_and_one_without_hops_expires():
    captures = {
        "h1-eth0": seen(
            "h1-eth0", (0, 1), (1, 2, {"ttl": 1}), (2, 3), (3, 4, {"dst": "10.0.1.254"})
        ),
        "r1-eth0": seen(
            "r1-eth0", (5, 1), (6, 2, {"ttl": 1}), (7, 3), (8, 4, {"dst": "10.0.1.254"})
        ),
        "r1-eth1": seen("r1-eth1", (8, 3, {"ttl": 63})),
    }
    found = movements.find(captures, CHAIN, 1000 * MS)
    at_router = found[found["link"] == 0]
    assert at_router["stop"].tolist() == [1, 2, 0, 0]
    without = {name: one for name, one in captures.items() if name != "r1-eth1"}
    assert set(movements.find(without, CHAIN, 1000 * MS)["stop"]) == {0}, "where it went is unknown"


def test_of_packets_that_are_the_same_to_the_byte_as_many_stop_as_do_not_leave():
    captures = {
        "h1-eth0": seen("h1-eth0", *((time_ms, 1) for time_ms in range(100))),
        "r1-eth0": seen("r1-eth0", *((time_ms + 5, 1) for time_ms in range(100))),
        "r1-eth1": seen("r1-eth1", *((time_ms, 1, {"ttl": 63}) for time_ms in (20, 60, 110))),
    }
    found = movements.find(captures, CHAIN, 1000 * MS)
    assert (found["stop"] == movements.STOPS).sum() == 97


def test_a_packet_that_leaves_in_fragments_did_not_stop():
    def at_router(*left):
        captures = {
            "h1-eth0": seen("h1-eth0", (0, 1, {"datagram": 7}), (1, 2, {"datagram": 8})),
            "r1-eth0": seen("r1-eth0", (5, 1, {"datagram": 7}), (6, 2, {"datagram": 8})),
            "r1-eth1": seen("r1-eth1", *left),
        }
        found = movements.find(captures, CHAIN, 1000 * MS)
        return found.loc[found["link"] == 0, "stop"].tolist()

    assert at_router((5, 3, {"datagram": 7}), (5, 4, {"datagram": 9})) == [0, 1]
    assert at_router((5, 1, {"datagram": 7}), (6, 3, {"datagram": 8})) == [0, 0]


def test_a_fragment_shares_its_datagram_with_the_packet_it_is_of():
    table = packets.read(LAYERS)
    one = sightings.of_capture(table)
    cut = table.assign(ip_bytes=576, ip_mf=True, udp_sport=table["udp_sport"])
    two = sightings.of_capture(cut)
    ipv4 = (table["ip_version"] == 4).to_numpy(bool, na_value=False)
    assert (one["content"] != two["content"])[ipv4].any()
    assert (one["datagram"] == two["datagram"]).all()
    assert (one["datagram"] != 0).tolist() == ipv4.tolist()
    other = sightings.of_capture(cut.assign(ip_id=cut["ip_id"] + 1))
    assert (one["datagram"] != other["datagram"])[ipv4].all()


@pytest.mark.parametrize(
    ("sender", "receiver", "statuses"),
    [
        (movements.Taken(), movements.Taken(), [3, 3]),
        (movements.Taken(), movements.Taken(start_ns=50 * MS), [1, 3]),
        (movements.Taken(), movements.Taken(end_ns=50 * MS), [3, 1]),
        (movements.Taken(), movements.Taken(filter="tcp"), [1, 1]),
        (movements.Taken(filter="udp"), movements.Taken(filter="udp"), [3, 3]),
        (movements.Taken(filter="udp"), movements.Taken(), [3, 3]),
    ],
)
def test_only_what_both_ends_captured_can_be_lost(sender, receiver, statuses):
    captures = {"h1-eth0": seen("h1-eth0", (0, 1), (60, 2)), "r1-eth0": seen("r1-eth0", (70, 3))}
    taken = {"h1-eth0": sender, "r1-eth0": receiver}
    found = movements.find(captures, CHAIN, 1000 * MS, taken)
    assert found.loc[found["key"] < 3, "status"].tolist() == statuses


def test_a_packet_stops_at_a_router_only_if_it_was_captured_where_it_would_leave():
    captures = {name: seen(name, (0, 1)) for name in ("h1-eth0", "r1-eth0")}
    captures["r1-eth1"] = seen("r1-eth1", (50, 9))
    for taken, stop in ((movements.Taken(), 1), (movements.Taken(filter="tcp"), 0)):
        found = movements.find(captures, CHAIN, 1000 * MS, {"r1-eth1": taken})
        assert found.loc[found["link"] == 0, "stop"].tolist() == [stop]


def test_one_captured_end_gives_the_other_by_the_links_delay():
    one = movements.find(
        {"h1-eth0": seen("h1-eth0", (3, 7), (9, 8, {"back": True}))}, CHAIN, 99 * MS
    )
    assert ways(one) == [("h1", "r1", 3, 5, 1, 0), ("r1", "h1", 4, 5, 2, 0)]


def test_the_way_of_a_forged_address_follows_from_who_saw_it_first():
    forged = {"mac_src": "02:66:66:66:66:66", "mac_dst": "ff:ff:ff:ff:ff:ff", "src": "9.9.9.9"}
    captures = {
        "h1-eth0": seen("h1-eth0", (0, 7, forged), (1, 8)),
        "r1-eth0": seen("r1-eth0", (5, 7, forged), (6, 8)),
    }
    found = movements.find(captures, CHAIN, 100 * MS)
    assert [row[:2] for row in ways(found)] == [("h1", "r1"), ("h1", "r1")]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.booleans()), max_size=40))
def test_each_packet_is_received_once_and_not_before_it_was_sent(drawn):
    """Few identities, so that many packets are the same to the byte; some are lost."""
    drawn = sorted(drawn, key=lambda one: one[1])
    sent = [(time, key) for key, time, _ in drawn]
    arrived = [(time + 5, key) for key, time, lost in drawn if not lost]
    if not sent or not arrived:
        return
    one, two = seen("h1-eth0", *sent), seen("r1-eth0", *arrived)
    at, to = movements.matched(one, two, 5 * MS)
    assert len(set(at)) == len(at) and len(set(to)) == len(to) == len(arrived)
    assert (one["key"].to_numpy()[at] == two["key"].to_numpy()[to]).all()
    assert (two["time_ns"].to_numpy()[to] >= one["time_ns"].to_numpy()[at]).all()


def test_the_identity_of_a_packet_is_what_routers_leave():
    table = packets.read(LAYERS)
    one = sightings.of_capture(table)
    hop = table.assign(ip_ttl=table["ip_ttl"] - 1, eth_src="02:00:00:00:00:99", frame=1)
    hop["eth_src"] = hop["eth_src"].astype("category")
    two = sightings.of_capture(hop)
    routed = table["ip_version"].notna().to_numpy()
    assert (one["key"] == two["key"])[routed].all()
    assert routed.sum() > 20 and one["key"].nunique() > 0.8 * len(one)
    other = sightings.of_capture(table.assign(ip_id=table["ip_id"] + 1))
    ipv4 = (table["ip_version"] == 4).to_numpy(bool, na_value=False)
    assert (one["key"] != other["key"])[ipv4].all()


# ---- what follows from what


def rows_of(*rows):
    names = ["link", "end", "out", "into", "key", "sent_ns"]
    return pd.DataFrame(rows, columns=names).astype({"key": "uint64"})


ENDS = [link.nodes for link in CHAIN.links]


def test_movements_of_one_moment_come_in_the_order_of_what_follows_from_what():
    answer_1, answer_2 = (1, 1, 2, 2, 9, 0), (0, 1, 2, 2, 9, 0)
    question_1, question_2 = (0, 0, 1, 1, 8, 0), (1, 0, 1, 1, 8, 0)
    found = rows_of(answer_2, question_2, answer_1, question_1)
    order = consequence.order(found, ENDS)
    assert order.tolist() == [3, 1, 2, 0]


def test_a_packet_in_a_circle_keeps_the_order_it_has():
    found = rows_of((0, 0, 1, 2, 8, 0), (0, 1, 2, 1, 8, 0))
    assert consequence.order(found, ENDS).tolist() == [0, 1]


def test_packets_that_are_the_same_to_the_byte_are_told_apart():
    first, lost, third = (0, 0, 1, 1, 8, 0), (0, 0, 2, 0, 8, 10), (0, 0, 3, 2, 8, 20)
    found = rows_of(
        first, (1, 0, 1, 1, 8, 1), lost, third, (1, 0, 2, 2, 8, 21), (0, 0, 9, 9, 7, 30)
    )
    numbers = consequence.packets(found, ENDS)
    assert numbers[0] == numbers[1]
    assert numbers[3] == numbers[4]
    assert len({numbers[0], numbers[2], numbers[3], numbers[5]}) == 4


def test_a_conversation_has_both_directions_and_begins_with_who_spoke_first():
    rows = pd.concat([seen("r1-eth1", (0, 1, {"back": True, "sport": 53, "dport": 1000}), (1, 2))])
    number, turned, talks = conversations(rows)
    assert number.tolist() == [0, 0]
    assert turned.tolist() == [0, 1]
    assert talks["names"][talks["one"][0]] == "10.0.2.2"
    assert (talks["one_port"], talks["two_port"]) == ([53], [1000])


# ---- the page


def test_columns_are_read_back_by_the_page():
    node = _node()
    rng = np.random.default_rng(1)
    columns = {
        "times": np.cumsum(rng.integers(0, 1 << 40, 500)) - 5_000_000_000,
        "small": rng.integers(0, 200, 500),
        "rising": np.arange(70_000),
        "large": rng.integers(0, 1 << 32, 500),
        "huge": rng.integers(0, 1 << 50, 50),
        "none": np.array([], np.int64),
    }
    pack = Pack()
    heads = [pack.times("times", columns["times"])]
    heads += [pack.numbers(name, columns[name]) for name in list(columns)[1:]]
    assert [head["width"] for head in heads] == [8, 1, 4, 4, 8, 1]
    script = (
        "import {numbers} from './viewer/src/columns.ts';"
        "const {blocks, heads} = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        "const found = heads.map((head) => numbers((name) => blocks[name], head));"
        "console.log(JSON.stringify((await Promise.all(found)).map((one) => [...one])));"
    ).replace("require('fs')", "(await import('node:fs'))")
    data = json.dumps({"blocks": pack.in_base64(), "heads": heads})
    done = subprocess.run(
        [node, "--input-type=module-typescript", "-e", script],
        input=data,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        check=True,
    )
    for values, read in zip(columns.values(), json.loads(done.stdout), strict=True):
        assert read == values.tolist()


def _node():
    try:
        return str(bundle.node() / "bin" / "node")
    except MissingPrerequisiteError as error:
        pytest.skip(str(error))


def test_the_pages_own_tests_pass():
    tests = sorted(str(path) for path in (PROJECT / "viewer" / "test").glob("*.test.ts"))
    done = subprocess.run([_node(), "--test", *tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "pass 0" not in done.stdout


def test_nothing_of_the_viewer_names_a_place_to_download_from():
    lock = json.loads((PROJECT / "viewer" / "package-lock.json").read_text())
    others = {name: one for name, one in lock["packages"].items() if name}
    assert len(others) > 50
    assert [name for name, one in others.items() if "integrity" not in one] == []
    assert [name for name, one in others.items() if "resolved" in one or "funding" in one] == []
    assert "://" not in json.dumps(lock)


def test_without_the_page_the_command_says_what_gets_it_and_builds_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path))
    monkeypatch.setattr(bundle, "_build", lambda *_: pytest.fail("it builds"))
    target = tmp_path / "page.html"
    with pytest.raises(
        MissingPrerequisiteError, match="install it with: make extra-viewer"
    ) as told:
        cli.main(["capture", "view", str(LAYERS), "-o", str(target)], standalone_mode=False)
    assert told.value.exit_code == 3
    assert not target.exists()


def test_a_build_that_fails_leaves_nothing_and_says_why(monkeypatch, tmp_path):
    _node()
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path))
    sources = tmp_path / "sources"
    (sources / "src").mkdir(parents=True)
    for name in ("package.json", "package-lock.json", ".npmrc", "build.js"):
        (sources / name).write_text("no JSON")
    monkeypatch.setattr(bundle, "SOURCES", sources)
    with pytest.raises(MissingPrerequisiteError, match="not built: "):
        bundle.build()
    assert [path for path in (tmp_path / "viewer").iterdir() if path.is_dir()] == []


def test_npm_keeps_its_files_in_the_temporary_folder(monkeypatch, tmp_path):
    given = []

    def result(argv, cwd, env):
        given.append((cwd, env))
        return subprocess.CompletedProcess(argv, 1, "", "enough")

    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path))
    monkeypatch.setattr(bundle.guard, "result", result)
    monkeypatch.setattr(bundle, "node", lambda: tmp_path)
    with pytest.raises(MissingPrerequisiteError, match="enough"):
        bundle.build()
    ((cwd, env),) = given
    places = [env["npm_config_cache"], env["npm_config_logs_dir"]]
    assert all(place.startswith(f"{cwd}/") for place in places)


def test_a_path_with_brackets_is_printed_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setattr(bundle, "find", lambda: bundle.Bundle("", "", ""))
    (folder := tmp_path / "[").mkdir()
    target = folder / "x].html"  # "[/x]" would close a style of Rich
    done = CliRunner().invoke(cli, ["capture", "view", str(LAYERS), "-o", str(target)])
    assert done.exception is None
    assert done.stdout.strip() == str(target)


def test_a_limit_counts_packets_not_the_links_they_cross():
    crossed = pd.DataFrame({"status": [0] * 9})
    packet = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    talk = np.zeros(9, np.int64)
    assert words.chosen(crossed, packet, talk, [8], 2).tolist() == [0, 1, 2, 6, 7, 8]
    crossed.loc[4, "status"] = movements.LOST
    assert words.chosen(crossed, packet, talk, [], 9).tolist() == list(range(9))


def test_scenes_share_one_budget():
    budget = words.Budget(1000, 100)
    for scenes, opened in ((3, 33), (2, 48), (1, 94)):
        share = budget.share(scenes)
        rest = words.Budget(share.described, share.opened)
        assert share.opened == opened
        rest.opened -= min(rest.opened, 3 if scenes > 1 else 1000)
        budget.spend(share, rest)
    assert budget.opened == 0


def test_a_wheel_has_the_finished_bundle(monkeypatch, tmp_path):
    monkeypatch.setattr(bundle, "SOURCES", tmp_path / "nowhere")
    monkeypatch.setattr(bundle, "PACKAGED", tmp_path)
    for name in ("viewer.js", "viewer.css", "licences.txt"):
        (tmp_path / name).write_text(name)
    assert bundle.find() == bundle.Bundle("viewer.js", "viewer.css", "licences.txt")


def test_a_capture_becomes_a_scene():
    table = packets.read(LAYERS)
    said = words.describe(packets.with_payloads(LAYERS, table), table["frame"])
    collected = of_capture.collect(
        "layers", table, said, lambda frames: packets.read_raw_many(LAYERS, frames)
    )
    (scene,) = collected.about["scenes"]
    assert scene["columns"]["sent"]["count"] == len(table)
    talks = json.loads(zlib.decompress(collected.pack.blocks[scene["talks"]]))
    assert {"TCP", "UDP"} <= set(talks["names"])
    layers = [json.loads(zlib.decompress(collected.pack.blocks[name])) for name in scene["layers"]]
    opened = [one for chunk in layers for one in chunk]
    assert len(opened) == len(table)
    assert all(bytes.fromhex(one["hex"]) for one in opened)


def test_a_capture_without_packets_becomes_a_page(tmp_path):
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(LAYERS.read_bytes()[:24])
    table = packets.read(empty)
    said = pd.DataFrame({"frame": [], "text": [], "mark": []})
    collected = of_capture.collect("empty", table, said, lambda frames: {})
    assert collected.about["scenes"][0]["columns"]["sent"]["count"] == 0


def test_addresses_beyond_the_most_share_a_node(monkeypatch):
    monkeypatch.setattr(of_capture, "MOST_NODES", 2)
    table = packets.read(LAYERS)
    said = pd.DataFrame({"frame": [], "text": [], "mark": []})
    read = packets.read_raw_many
    collected = of_capture.collect("layers", table, said, lambda frames: read(LAYERS, frames))
    names = {node["name"] for node in collected.about["scenes"][0]["nodes"]}
    assert len(names) == 3 and of_capture.OTHERS in names
    assert any("share the node" in note for note in collected.notes)


def test_lost_packets_and_evidence_come_first_among_those_with_layers():
    found = pd.DataFrame({"status": np.zeros(200, int)})
    found.loc[150, "status"] = movements.LOST
    talks = np.zeros(200, np.int64)
    chosen = words.chosen(found, np.arange(200), talks, [199], most=23)
    assert {150, 199} <= set(chosen.tolist()) and len(chosen) == 23
    assert sorted(chosen.tolist()) == chosen.tolist()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--from-s", "3", "--to-s", "2"], r"--from-s 3: is after --to-s 2"),
        (["nowhere"], r"nowhere: no such run"),
    ],
)
def test_bad_input_is_one_line(options, told, tmp_path, monkeypatch):
    monkeypatch.setenv("TESTBED_RUNS", str(tmp_path))
    with pytest.raises(ConfigError, match=told):
        cli.main(["view", *options], standalone_mode=False)


def test_the_command_explains_itself():
    text = CliRunner().invoke(cli, ["view", "--help"]).output
    for word in ("--scenario", "--from-s", "--to-s", "--output", "--open"):
        assert word in text


def test_a_node_is_on_one_side_of_a_link():
    assert CHAIN.nearer(["h1", "h2", None], "r1-eth0") == [-1, 1, 0]
    assert CHAIN.nearer(["h1", "h2", "r1"], "h1-eth0") == [1, -1, -1]
