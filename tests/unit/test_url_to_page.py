"""What the experiment on the way from URL to page lets leave the browser's host."""

import pandas as pd
import pytest

from experiments.url_to_page import pages, site
from experiments.url_to_page.experiment import UrlToPage
from experiments.url_to_page.visits import CACHES, PAGES
from testbed import Tables
from testbed.core.claims import MissingDataError, Status

MAC, OTHER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
RESOLVER, SITE, NAMES = "10.0.0.2", "10.0.4.11", "10.0.3.11"
EMPTY = dict.fromkeys(("arp_op", "ip_dst", "ip_proto", "icmp_type", "tcp_dport", "udp_dport"))
PAGE = [
    {"arp_op": 1},
    {"ip_dst": "ff02::16", "ip_proto": 58, "icmp_type": 143},
    {"ip_dst": RESOLVER, "ip_proto": 17, "udp_dport": 53},
    {"ip_dst": SITE, "ip_proto": 6, "tcp_dport": 443},
    {"eth_src": OTHER_MAC, "ip_dst": "10.0.0.1", "ip_proto": 6, "tcp_dport": 40000},
]


def tables(*more):
    """Those of a run before whose first step h1 also sent some packets."""
    capture = {"scenario": CACHES, "capture": "h1-eth0"}
    seen = [
        {**capture, "step": "", "frame": frame, "eth_src": MAC, **EMPTY, **packet}
        for frame, packet in enumerate([*PAGE, *more], 1)
    ]
    types = {name: "Int64" for name in EMPTY if name != "ip_dst"}
    nodes = {"h1-eth0": ("10.0.0.1/24", MAC), "v1-eth0": (f"{RESOLVER}/24", OTHER_MAC)}
    wanted = {"scenario": CACHES, "host": "www.example.org", "address": SITE, "port": 443}
    asked = {**capture, "response": False, "question": "www.example.org"}
    rows = {
        "visits": [{"scenario": CACHES}],
        "requests": [wanted],
        "dns": [asked],
        "addresses": [
            {"scenario": CACHES, "interface": name, "ipv4": ip, "mac": mac}
            for name, (ip, mac) in nodes.items()
        ],
    }
    found = {name: pd.DataFrame(table) for name, table in rows.items()}
    return Tables(found | {"packets": pd.DataFrame(seen).astype(types)})


def judged(*more):
    return UrlToPage.nothing_else_leaves_the_host(None, tables(*more))


def test_look_ups_the_page_and_what_the_kernel_needs_may_leave():
    assert judged().status is Status.PASS


@pytest.mark.parametrize(
    "packet",
    [
        {"ip_dst": NAMES, "ip_proto": 17, "udp_dport": 53},  # a resolver of its own
        {"ip_dst": RESOLVER, "ip_proto": 17, "udp_dport": 853},
        {"ip_dst": SITE, "ip_proto": 17, "udp_dport": 443},
        {"ip_dst": SITE, "ip_proto": 6, "tcp_dport": 80},
        {"ip_dst": "fd00:4::11", "ip_proto": 6, "tcp_dport": 443},
        {"ip_dst": "ff02::fb", "ip_proto": 17, "udp_dport": 5353},
        {"ip_dst": SITE, "ip_proto": 1, "icmp_type": 8},
        {"ip_dst": "fd00:4::11", "ip_proto": 58, "icmp_type": 128},
        {},  # no packet of IP or ARP at all
    ],
)
def test_nothing_else_may(packet):
    verdict = judged(packet)
    assert verdict.status is Status.FAIL
    assert verdict.evidence[0].frames == (len(PAGE) + 1,)


def test_without_a_packet_of_the_browser_there_is_nothing_to_judge():
    found = tables()
    found["packets"] = found["packets"][:2]
    with pytest.raises(MissingDataError):
        UrlToPage.nothing_else_leaves_the_host(None, found)


def test_a_file_that_never_came_is_missing_data():
    row = {"scenario": PAGES, "visit": "async", "url": "https://a/x.js", "host": site.WWW}
    found = Tables(
        visits=pd.DataFrame([{"scenario": PAGES, "visit": "async", "began_ns": 0}]),
        requests=pd.DataFrame([{**row, "ended_ns": None, "type": "Image"}]),
    )
    for asked in (
        lambda: pages._came_ms(found, "async", "x.js"),
        lambda: pages._own_page_ms(found, "async"),
        lambda: pages._images_ms(found, "async"),
    ):
        with pytest.raises(MissingDataError, match="visit 'async'"):
            asked()
