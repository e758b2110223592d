"""What goes to the kernel, checked against pyroute2's reading of it; and units."""

import ipaddress
import struct

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from testbed.core.errors import ConfigError
from testbed.net import inspect, rtnl, tclink, traffic
from testbed.net.netlink import Message, attributes
from testbed.net.shape import LinkShape
from testbed.net.wire import direction_seed


def read(kind, message: Message):
    """The message as pyroute2 reads it: a dictionary of its attributes."""
    raw = struct.pack("=IHHII", 16 + len(message.body), message.kind, 0, 0, 0) + message.body
    decoded = kind(raw)
    decoded.decode()
    return decoded


def test_veth():
    ends = [
        rtnl.VethEnd(
            namespace_fd=fd, name=name, index=index, mac=mac, mtu_bytes=1400, single_segments=True
        )
        for fd, name, index, mac in (
            (7, "h1-eth0", 2, "02:01:00:00:00:01"),
            (8, "s1-eth1", 3, "02:02:00:00:00:01"),
        )
    ]
    one = read(ifinfmsg, rtnl.new_veth(*ends))
    assert (one["index"], one["flags"] & 1) == (2, 1)
    assert one.get_attr("IFLA_IFNAME") == "h1-eth0"
    assert one.get_attr("IFLA_ADDRESS") == "02:01:00:00:00:01"
    assert one.get_attr("IFLA_MTU") == 1400
    assert one.get_attr("IFLA_GSO_MAX_SEGS") == 1
    peer = one.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA", "VETH_INFO_PEER")
    assert peer["index"] == 3 and peer["flags"] & 1 == 0
    assert peer.get_attr("IFLA_IFNAME") == "s1-eth1"


@pytest.mark.parametrize("text", ["10.0.3.1/24", "fd00::5/64"])
def test_address(text):
    found = read(ifaddrmsg, rtnl.add_address(9, ipaddress.ip_interface(text), "h1-eth0"))
    address, length = text.split("/")
    assert (found["index"], found["prefixlen"]) == (9, int(length))
    assert found.get_attr("IFA_LOCAL") == address
    assert (found.get_attr("IFA_FLAGS") or 0) & 2 == (2 if ":" in text else 0)  # no DAD


def test_route():
    destination, via = ipaddress.ip_network("10.0.4.0/24"), ipaddress.ip_address("172.16.0.2")
    found = read(rtmsg, rtnl.add_route(destination, "r1", via=via, index=2))
    assert found["dst_len"] == 24
    assert found.get_attr("RTA_DST") == "10.0.4.0"
    assert found.get_attr("RTA_GATEWAY") == "172.16.0.2"
    assert found.get_attr("RTA_OIF") == 2


def qdiscs(shape, virtual_clock=True):
    found = {}
    for message in traffic.sender(shape, 2, virtual_clock, "x"):
        decoded = read(tcmsg, message)
        kind = decoded.get_attr("TCA_KIND")
        body = next(bytes(p) for k, p in attributes(message.body[20:]) if k == traffic.TCA_OPTIONS)
        found[kind] = (decoded["parent"], body)
    return found


def test_rate_limit_is_exact_and_one_frame_deep_on_the_virtual_clock():
    found = qdiscs(LinkShape(rate_mbps=10, queue_pkts=7))
    assert list(found) == ["tbf", "pfifo"]
    assert found["tbf"][0] == traffic.ROOT and found["pfifo"][0] == 0x10001
    options = dict(attributes(found["tbf"][1]))
    assert struct.unpack_from("=8xI", options[1])[0] == 1_250_000  # bytes a second
    assert struct.unpack("=I", options[6])[0] == 1514
    assert inspect.READERS["pfifo"](found["pfifo"][1]) == {"limit_pkts": 7}


def test_burst_is_larger_on_the_real_clock():
    options = dict(attributes(qdiscs(LinkShape(rate_mbps=100), virtual_clock=False)["tbf"][1]))
    assert struct.unpack("=I", options[6])[0] == 25_000


def test_rates_beyond_32_bits():
    options = dict(attributes(qdiscs(LinkShape(rate_mbps=100_000))["tbf"][1]))
    assert struct.unpack("=Q", options[4])[0] == 12_500_000_000


@pytest.mark.parametrize(
    ("shape", "kind", "expected"),
    [
        (LinkShape(rate_mbps=1, queue_bytes=9000), "bfifo", {"limit_bytes": 9000}),
        (LinkShape(rate_mbps=1), "pfifo", {"limit_pkts": 1000}),
        (LinkShape(rate_mbps=10, delay_ms=20, queue_bdp=1), "pfifo", {"limit_pkts": 33}),
        (
            LinkShape(rate_mbps=1, queue_pkts=5, qdisc="codel", ecn=True),
            "codel",
            {"limit_pkts": 5, "ecn": 1},
        ),
        (
            LinkShape(rate_mbps=1, queue_pkts=5, qdisc="fq_codel"),
            "fq_codel",
            {"limit_pkts": 5, "ecn": 0, "quantum_bytes": 1514},
        ),
        (
            LinkShape(rate_mbps=1, queue_pkts=5, qdisc="pie", ecn=True),
            "pie",
            {"limit_pkts": 5, "ecn": 1},
        ),
    ],
)
def test_queues(shape, kind, expected):
    assert inspect.READERS[kind](qdiscs(shape)[kind][1]) == expected


def test_red_thresholds():
    options = qdiscs(LinkShape(rate_mbps=10, queue_pkts=60, qdisc="red", ecn=True))["red"][1]
    found = inspect.READERS["red"](options)
    assert found["limit_bytes"] == 60 * 1514
    assert (found["min_bytes"], found["max_bytes"]) == (10 * 1514, 30 * 1514)
    assert found["ecn"] == 1 and found["max_p"] == pytest.approx(0.1)


def netem(shape):
    message = traffic.wire(shape, 5, 42, "x")
    options = next(bytes(p) for k, p in attributes(message.body[20:]) if k == traffic.TCA_OPTIONS)
    return inspect.READERS["netem"](options)


def test_the_wire_has_everything_else():
    found = netem(
        LinkShape(
            rate_mbps=10,
            delay_ms=0.001,
            jitter_ms=2,
            loss_percent=1,
            duplicate_percent=2,
            corrupt_percent=3,
            reorder_percent=4,
        )
    )
    assert found == {
        "limit_pkts": traffic.WIRE_LIMIT_PKTS,
        "delay_ns": 1000,
        "jitter_ns": 2_000_000,
        "loss_percent": 1,
        "duplicate_percent": 2,
        "reorder_percent": 4,
        "corrupt_percent": 3,
        "rate_bytes_per_s": 1_250_000,
        "seed": 42,
    }


def test_seeds_belong_to_network_and_direction():
    seeds = {direction_seed(n, i) for n in (1, 2) for i in ("h1-eth0", "s1-eth1")}
    assert len(seeds) == 4
    assert direction_seed(1, "h1-eth0") == direction_seed(1, "h1-eth0")


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"bw": 10, "delay": "5ms"}, LinkShape(rate_mbps=10, delay_ms=5)),
        ({"delay": "1s", "jitter": "20us"}, LinkShape(delay_ms=1000, jitter_ms=0.02)),
        ({"delay": 500}, LinkShape(delay_ms=0.5)),
        (
            {"bw": 1, "loss": 2, "max_queue_size": 9},
            LinkShape(rate_mbps=1, loss_percent=2, queue_pkts=9),
        ),
        ({"bw": 1, "enable_ecn": True}, LinkShape(rate_mbps=1, qdisc="red", ecn=True)),
    ],
)
def test_mininets_options(options, shape):
    assert tclink.from_mininet(LinkShape(), **options) == shape


@pytest.mark.parametrize("options", [{"delay": "5 parsecs"}, {"bw": -1}, {"loss": 101}])
def test_absurd_options_are_refused(options):
    with pytest.raises(ConfigError, match="link h1 s1"):
        tclink.take_shape(dict(options), 1, "link h1 s1")
