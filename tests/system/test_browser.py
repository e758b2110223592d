"""A browser in a guest: what it leaves, that it is silent, and that it is the same each time."""

import json

import pytest

from analysis import browser, packets
from testbed.execution import extras

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(bool(extras.missing(["browser"])), reason="no browser: make extra-browser"),
]


def load(in_guest, *options):
    folder, outcome = in_guest("page_load", "--memory-mb", "1024", *options)
    assert outcome["status"] == "complete", (outcome, (folder / "console.log").read_text())
    return folder


def test_a_page_load_is_recorded_and_the_same_each_time(in_guest, busy_machine):
    one, two = load(in_guest), load(in_guest, "--cpu", "0")
    files = [path.relative_to(one) for path in one.rglob("*") if path.is_file()]
    kept = [f for f in files if f.parts[0] in ("browser", "captures", "keys", "events.jsonl")]
    assert len(kept) >= 20
    assert [f for f in kept if (one / f).read_bytes() != (two / f).read_bytes()] == []
    _judge(one)


def _judge(folder):
    began = json.loads((folder / "events.jsonl").read_text().splitlines()[0])
    clock = {"monotonic_ns": began["monotonic_ns"], "realtime_ns": began["time_ns"]}
    tables = browser.read(folder, clock)
    visits = tables["visits"].set_index("visit")
    assert visits.loc["cold", "title"] == "A page"
    asked = tables["requests"].query("visit == 'cold'")
    assert asked["type"].tolist() == ["Document", "Stylesheet", "Script"]
    assert asked["protocol"].unique().tolist() == ["h2"]
    first = asked.iloc[0]
    # ARP and TCP
    for phase, round_trips in {"connect": 2, "tls": 1, "wait": 1}.items():
        assert first[f"{phase}_ns"] == pytest.approx(round_trips * 40e6, rel=0.1), phase
    assert visits.loc["cold", "first_content_ns"] > 4 * 40e6
    texts = tables["console"].set_index("visit")["text"]
    assert float(texts["cold"]) == pytest.approx(5 * 40, rel=0.1)  # performance.now() is virtual
    assert set(texts["script"]) == {"it is A page", "hi"}
    failed = tables["requests"].query("visit == 'nowhere'")
    assert failed["error"].tolist() == ["net::ERR_CONNECTION_REFUSED"]
    assert set(tables["frames"]["visit"]) >= {"cold"}
    assert (folder / tables["frames"]["file"].iloc[0]).read_bytes().startswith(b"\x89PNG")
    seen = packets.read(folder / "captures/h1-eth0.pcap", columns=["ip_src", "tcp_sport"])
    assert set(seen["tcp_sport"].dropna()) >= {int(first["local_port"]), 443}
