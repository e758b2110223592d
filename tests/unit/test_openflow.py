"""OpenFlow messages and flow tables, read from bytes and output made by hand."""

import pandas as pd
import pytest

from analysis import echo, flow_tables
from analysis.dissect import openflow
from tests.unit.segments import talk

T0_NS = 1_700_000_010_000_000_000
FRAME = bytes.fromhex("02010000000202010000000108004500001c000000004001000a0a0000010a000002")
ECHO = FRAME + bytes.fromhex("0800f7fd00010002")


def _header(kind, body, xid=1, version=4):
    return (
        bytes((version, kind)) + (8 + len(body)).to_bytes(2, "big") + xid.to_bytes(4, "big") + body
    )


def _packet_in(frame):
    match = bytes.fromhex("0001000c80000004000000010000 0000".replace(" ", ""))
    head = b"\xff\xff\xff\xff" + len(frame).to_bytes(2, "big") + b"\0\0" + bytes(8)
    return _header(10, head + match + b"\0\0" + frame)


def _packet_out(frame):
    action = bytes.fromhex("00000010fffffffbffff000000000000")
    return _header(13, b"\xff\xff\xff\xff" + b"\0\0\0\1" + b"\0\x10" + bytes(6) + action + frame)


def _flow_mod(command=0, idle_s=5, priority=10):
    return _header(
        14,
        bytes(16)
        + bytes((0, command))
        + idle_s.to_bytes(2, "big")
        + bytes(2)
        + priority.to_bytes(2, "big")
        + bytes(24),
    )


def _packets(*said):
    """(from controller, bytes) of one connection, one segment each."""
    return talk(*((int(down), data) for down, data in said), ports=(50000, 6653))


def test_messages_are_named_and_the_switch_identified():
    features = _header(6, (7).to_bytes(8, "big") + bytes(16))
    found = openflow.read(
        _packets((False, features), (False, _packet_in(ECHO)), (True, _flow_mod()))
    )
    assert found["type"].to_list() == ["FEATURES_REPLY", "PACKET_IN", "FLOW_MOD"]
    assert found["dpid"].to_list() == [7, 7, 7]
    assert found["to_switch"].to_list() == [False, False, True]
    assert not found["malformed"].any()
    asked = found.iloc[1]
    assert (asked["eth_src"], asked["ip_dst"]) == ("02:01:00:00:00:01", "10.0.0.2")
    assert (asked["icmp_type"], asked["icmp_seq"]) == (8, 2)
    assert found.iloc[2][["command", "priority", "idle_s"]].to_list() == ["ADD", 10, 5]


def test_a_packet_out_carries_its_frame_behind_the_actions():
    found = openflow.read(_packets((True, _packet_out(ECHO)))).iloc[0]
    assert (found["type"], found["icmp_seq"]) == ("PACKET_OUT", 2)
    assert flow_tables.describe(openflow.read(_packets((True, _packet_out(ECHO)))))[0] == (
        "packet-out: echo request 2"
    )


def test_messages_across_segments_and_several_in_one():
    stream = _flow_mod() + _packet_out(ECHO) + _flow_mod(command=3)
    whole = openflow.read(_packets((True, stream)))
    pieces = openflow.read(_packets(*((True, stream[i : i + 7]) for i in range(0, len(stream), 7))))
    assert (
        whole["type"].to_list()
        == pieces["type"].to_list()
        == [
            "FLOW_MOD",
            "PACKET_OUT",
            "FLOW_MOD",
        ]
    )
    assert whole["command"].to_list()[2] == "DELETE"


def test_what_is_sent_again_counts_once():
    packets = _packets((True, _flow_mod()), (True, _flow_mod(idle_s=9)))
    again = pd.concat([packets, packets.tail(1).assign(frame=9)], ignore_index=True)
    assert openflow.read(again)["idle_s"].to_list() == [5, 9]


@pytest.mark.parametrize("data", [b"\4\x0a\0\4\0\0\0\1", _header(10, b"\0" * 4), _header(14, b"")])
def test_nonsense_is_marked_and_does_not_hang(data):
    found = openflow.read(_packets((True, data)))
    assert len(found) == 1 and (found["malformed"].all() or found["eth_src"].isna().all())


MONITOR = """\
NXST_FLOW_MONITOR reply (xid=0x6):
 event=ADDED table=0 cookie=0 actions=CONTROLLER:65535
2023-11-14 22:13:31.638: NXST_FLOW_MONITOR reply (xid=0x0):
 event=ADDED table=0 idle_timeout=5 cookie=0x1 in_port=3,dl_src=02:01:00:00:00:02,dl_dst=02:01:00:00:00:01 actions=output:1
2023-11-14 22:13:42.170: NXST_FLOW_MONITOR reply (xid=0x0):
 event=DELETED reason=idle table=0 idle_timeout=5 cookie=0x1 in_port=3,dl_src=02:01:00:00:00:02,dl_dst=02:01:00:00:00:01 actions=output:1
2023-11-14T22:13:45Z|00001|fatal_signal|WARN|terminating with signal 2 (Interrupt)
"""  # noqa: E501

DUMP = """\
OFPST_FLOW reply (OF1.3) (xid=0x2):
 cookie=0x0, duration=3.973s, table=0, n_packets=4, n_bytes=392, idle_timeout=5, priority=10,in_port=3,dl_src=02:01:00:00:00:02 actions=output:1
 cookie=0x64, duration=1.5s, table=0, n_packets=12, n_bytes=632, priority=29998,tcp,nw_src=10.0.0.3 actions=drop
 cookie=0x0, duration=5.048s, table=1, n_packets=8, n_bytes=632, send_flow_rem priority=0 actions=CONTROLLER:65535
"""  # noqa: E501


def test_changes_of_a_flow_table():
    found = flow_tables.changes(MONITOR, "s1", T0_NS)
    assert found["event"].to_list() == ["ADDED", "ADDED", "DELETED"]
    assert pd.isna(found["time_s"][0])
    assert found["time_s"].to_list()[1:] == [pytest.approx(1.638), pytest.approx(12.17)]
    assert found["reason"].to_list()[2] == "idle"
    assert flow_tables.sizes(found)["flows"].to_list() == [2, 1]


def test_idle_time_counts_from_the_last_frame():
    changes = flow_tables.changes(MONITOR, "s1", T0_NS)
    frames = pd.DataFrame(
        {
            "time_s": [2.0, 7.0, 8.0],
            "eth_src": ["02:01:00:00:00:02"] * 3,
            "eth_dst": ["02:01:00:00:00:01"] * 2 + ["02:01:00:00:00:09"],
        }
    )
    found = flow_tables.idle_times(changes, frames, 60.0).iloc[0]
    assert found["idle_s"] == pytest.approx(5.17) and found["ended"]
    still = flow_tables.idle_times(changes.head(2), frames, 60.0).iloc[0]
    assert still["idle_s"] == pytest.approx(53.0) and not still["ended"]


def test_a_dump_of_flows():
    found = flow_tables.flows(DUMP)
    assert found["priority"].to_list() == [10, 29998, 0]
    assert found["match"].to_list() == [
        "in_port=3,dl_src=02:01:00:00:00:02",
        "tcp,nw_src=10.0.0.3",
        "",
    ]
    assert found["packets"].to_list() == [4, 12, 8]
    assert found["actions"].to_list() == ["output:1", "drop", "CONTROLLER:65535"]
    assert found["table"].to_list() == [0, 0, 1]


def test_pings_are_paired_with_their_answers():
    packets = pd.DataFrame(
        {
            "frame": [1, 2, 3, 4],
            "time_s": [0.0, 0.004, 1.0, 1.1],
            "eth_src": ["a"] * 4,
            "eth_dst": ["b"] * 4,
            "ip_src": ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.3"],
            "ip_dst": ["10.0.0.2", "10.0.0.1", "10.0.0.2", "10.0.0.1"],
            "icmp_type": [8, 0, 8, 0],
            "icmp_id": [5] * 4,
            "icmp_seq": [1, 1, 2, 2],
        }
    )
    found = echo.pings(packets, "10.0.0.1")
    assert found["rtt_ms"].to_list()[0] == pytest.approx(4.0)
    assert found["rtt_ms"].isna().to_list() == [False, True]
    assert found["first"].to_list() == [True, False]
    assert echo.lost_percent(found) == 50.0


TRACE = """\
Flow: tcp,in_port=1,vlan_tci=0x0000,nw_src=10.0.0.1,nw_dst=10.0.0.4,tp_dst=80,tcp_flags=0

bridge("s1")
------------
 0. tcp,nw_dst=10.0.0.4,tp_dst=80, priority 996, cookie 0x3
    goto_table:1
 1. priority 0
    CONTROLLER:65535

Final flow: unchanged
Megaflow: recirc_id=0,eth,tcp,in_port=1
Datapath actions: 2
"""


def test_the_way_of_a_packet():
    found = flow_tables.path(TRACE)
    assert found["table"].to_list() == [0, 1]
    assert found["match"].to_list() == ["tcp,nw_dst=10.0.0.4,tp_dst=80", ""]
    assert found["priority"].to_list() == [996, 0]
    assert found["actions"].to_list() == ["goto_table:1", "CONTROLLER:65535"]


def test_a_packet_that_nothing_catches():
    found = flow_tables.path(" 0. No match.\n    drop\n\nFinal flow: unchanged\n")
    assert found["priority"].isna().all()
    assert found["actions"].to_list() == ["drop"]
