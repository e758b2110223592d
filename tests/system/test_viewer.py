"""The page of `testbed view` in a real browser: driven, clicked, and compared with the run."""

import json
import subprocess
import sys

import pytest

from analysis import packets, route_history
from testbed.core.errors import MissingPrerequisiteError
from testbed.core.project import PROJECT
from testbed.execution import extras
from testbed.execution.runner import Request, run
from testbed.results.data import ScenarioData
from testbed.viewer import bundle
from tests.in_browser import SCHEMES, WIDTHS_PX, browser

pytestmark = [
    pytest.mark.guest,
    pytest.mark.skipif(bool(extras.missing(["browser"])), reason="no browser: make extra-browser"),
]

READY = "document.querySelector('.clock')?.textContent"
ROUTES = """[...document.querySelectorAll('#panel section:last-of-type td:first-child')]
.map(cell => cell.textContent)"""
TEXT = "document.querySelector('#panel').innerText"


@pytest.fixture(scope="module", autouse=True)
def built():
    try:
        bundle.find()
    except MissingPrerequisiteError as error:
        pytest.skip(str(error))


def page_of(folder, *words):
    """What `testbed` writes."""
    argv = [sys.executable, "-m", "testbed", *words, "-o", folder / "page.html"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    return folder / "page.html"


@pytest.fixture(scope="module")
def played(guest_kernel, tmp_path_factory):
    """Run directory and page, by experiment: made when first asked for."""
    folder, made = tmp_path_factory.mktemp("viewer"), {}

    def get(name, *only):
        if name not in made:
            result = run(Request(name, out=folder / "runs", runtime="guest", only=only))
            place = folder / name
            place.mkdir()
            made[name] = result.run.path, page_of(place, "view", result.run.path)
        return made[name]

    return get


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as one:
        yield one


def clock_s(tab):
    return float(tab.value("document.querySelector('.clock').textContent").split()[0])


def go_to_event(tab, time_s):
    """Presses the button for the next event until the bar is there."""
    for _ in range(20):
        if clock_s(tab) >= time_s - 1e-6:
            return
        tab.click("#next_event")
        tab.value("new Promise(requestAnimationFrame)")
    pytest.fail(f"no event at {time_s} s")


@pytest.mark.parametrize("width_px", WIDTHS_PX)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_page_has_no_problems_on_any_screen(played, running, width_px, scheme):
    with running.opened(played("arp")[1], width_px, scheme) as tab:
        tab.until(READY)
        for name in ("moment", "details", "ladder", "claims", "events", "network", "about"):
            tab.click(f"#tab-{name}")
        tab.click("#language")
        tab.click("#theme")
        tab.click("#play")
        assert tab.until("document.documentElement.lang") == "zh-CN"
        assert tab.problems() == []


def test_the_bar_goes_to_packets_events_and_claims_as_the_run_recorded_them(played, running):
    path, page = played("arp")
    scenario = path / "scenarios" / "main"
    events = [json.loads(line) for line in (scenario / "events.jsonl").read_text().splitlines()]
    start_ns = next(one["time_ns"] for one in events if one["event"] == "start")
    steps = [one for one in events if one["event"] == "step"]
    with running.opened(page) as tab:
        tab.until(READY)
        tab.click("#tab-events")
        assert steps[0]["step"] in tab.value(TEXT)
        first_s = (steps[0]["time_ns"] - start_ns) / 1e9
        go_to_event(tab, first_s)
        assert clock_s(tab) == pytest.approx(first_s, abs=1e-6)
        tab.click("#next_packet")
        tab.click("#tab-moment")
        table = packets.read(scenario / "captures" / "h1-eth0.pcap")
        after = table[table["time_ns"] >= steps[0]["time_ns"]].iloc[0]
        assert clock_s(tab) == pytest.approx((after["time_ns"] - start_ns) / 1e9, abs=1e-6)
        tab.click("#panel .pick")
        tab.until("document.querySelector('.layers .tree') !== null")
        assert f"target IP: {after['arp_target_ip']}" in tab.value(TEXT)
        assert f"h1-eth0 {after['frame']}" in tab.value(TEXT)
        verdicts = json.loads((path / "verdicts.json").read_text())
        tab.click("#tab-claims")
        assert tab.value("document.querySelectorAll('.claim').length") == len(verdicts)
        shown = next(one for one in verdicts if one["evidence"] and one["evidence"][0]["frames"])
        frame = shown["evidence"][0]["frames"][0]
        capture = packets.read(scenario / "captures" / f"{shown['evidence'][0]['capture']}.pcap")
        time_ns = int(capture.loc[capture["frame"] == frame, "time_ns"].iloc[0])
        number = verdicts.index(shown) + 1
        tab.click(f".claim:nth-child({number}) summary")
        assert clock_s(tab) == pytest.approx((time_ns - start_ns) / 1e9, abs=1e-3)
        assert tab.problems() == []


def test_playing_jumps_over_silence_and_keys_work(played, running):
    with running.opened(played("arp")[1]) as tab:
        tab.until(READY)
        tab.key(" ")
        said = tab.until("document.querySelector('.note').textContent")
        assert "skipped" in said
        tab.key(" ")
        before = clock_s(tab)
        tab.key("ArrowRight")
        tab.until(f"parseFloat({READY}) >= {before}")
        tab.key("ArrowLeft")
        tab.key("Home")
        tab.until(f"parseFloat({READY}) <= 0")
        assert tab.problems() == []


def test_nodes_and_links_show_what_was_recorded_as_of_the_bars_time(played, running):
    path, page = played("rip", "triangle")
    scenario = path / "scenarios" / "triangle"
    recorded = route_history.history(ScenarioData("triangle", scenario, None))
    events = [json.loads(line) for line in (scenario / "events.jsonl").read_text().splitlines()]
    times_s = [(one["time_ns"] - events[0]["time_ns"]) / 1e9 for one in events]
    assert events[0]["event"] == "start"
    nodes = [one["name"] for one in json.loads((scenario / "topology.json").read_text())["nodes"]]
    with running.opened(page) as tab:
        tab.until(READY)
        tab.click("#tab-network")
        tab.click(f"#panel tr:nth-child({nodes.index('r1') + 1}) .pick")
        found = []
        for time_s in times_s[1:-1]:
            go_to_event(tab, time_s)
            tab.value("new Promise(done => setTimeout(done, 300))")  # the panel follows the bar
            table = recorded.table(clock_s(tab) + 1e-6)
            own = set(table.loc[table["node"] == "r1", "destination"])
            assert {one for one in tab.value(ROUTES) if "." in one} == own
            found.append(frozenset(own))
        assert len(set(found)) > 1
        tab.click("#tab-network")
        tab.click("#panel .scroll:nth-child(2) tbody tr:nth-child(1) .pick")
        tab.until("document.querySelector('.plot canvas') !== null")
        assert tab.problems() == []


def test_a_packet_of_the_picture_opens_when_it_is_clicked(played, running):
    with running.opened(played("rip", "triangle")[1]) as tab:
        tab.until(READY)
        tab.click("#next_packet")
        tab.until("document.querySelector('.flight').textContent.startsWith('1')")
        at = tab.until("document.querySelector('#viewer').dataset.packet")
        x, y = (float(one) for one in at.split())
        tab.click_at(x, y)
        tab.until("document.querySelector('.packet h2') !== null")
        assert "RIP" in tab.value("document.querySelector('.packet h2').textContent")


def test_any_capture_plays(running, tmp_path):
    page = page_of(tmp_path, "capture", "view", PROJECT / "tests" / "captures" / "layers.pcap")
    with running.opened(page, 390) as tab:
        tab.until(READY)
        tab.click("#next_packet")
        tab.click("#tab-moment")
        tab.click("#panel .pick")
        tab.until("document.querySelector('.layers .tree') !== null")
        assert tab.problems() == []
