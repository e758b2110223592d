"""What a browser tells, read: requests, phases, HAR, net-log; and the pipe by which it tells it."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from analysis import browser
from analysis.browser import har, net_log, requests
from testbed.core.errors import ConvergenceError, ParseError, TestbedError
from testbed.daemons import devtools

ZERO = {"monotonic_ns": 0, "realtime_ns": 0}
PAGE, STYLE = "http://www.example.org/", "https://www.example.org/a.css"
TIMING = {
    "requestTime": 10.001,
    "dnsStart": 1.0,
    "dnsEnd": 5.0,
    "connectStart": 5.0,
    "connectEnd": 45.0,
    "sslStart": 25.0,
    "sslEnd": 45.0,
    "sendStart": 46.0,
    "sendEnd": 46.5,
    "receiveHeadersStart": 66.5,
    "receiveHeadersEnd": 67.0,
}
REUSED = dict.fromkeys(TIMING, -1) | {
    "requestTime": 10.1,
    "sendStart": 0.5,
    "sendEnd": 0.6,
    "receiveHeadersStart": 20.6,
    "receiveHeadersEnd": 21.0,
}


def wanted(name, url, time_s, **more):
    request = {"url": url, "method": "GET", "headers": {}, "initialPriority": "High"}
    told = {"requestId": name, "request": request, "timestamp": time_s, "wallTime": 1.7e9 + time_s}
    initiator = {"type": "parser"}
    return event("requestWillBeSent", **told, type="Document", initiator=initiator, **more)


def response(**more):
    return {
        "status": 200,
        "statusText": "OK",
        "headers": {},
        "protocol": "h2",
        "mimeType": "text/html",
        "connectionId": 23,
        "connectionReused": False,
        "remoteIPAddress": "[2001:db8::1]",
        "remotePort": 443,
        "encodedDataLength": 90,
        "timing": TIMING,
        **more,
    }


def event(name, **told):
    return {"method": f"Network.{name}", "params": told}


LOAD = [
    wanted("1", PAGE, 10.0),
    wanted(
        "1",
        PAGE.replace("http:", "https:"),
        10.0005,
        redirectResponse=response(status=307, headers={"Non-Authoritative-Reason": "HSTS"})
        | {"timing": None, "connectionId": 0},
    ),
    event("responseReceived", requestId="1", type="Document", response=response()),
    event("dataReceived", requestId="1", timestamp=10.07, dataLength=300),
    event("loadingFinished", requestId="1", timestamp=10.075, encodedDataLength=390),
    wanted("2", STYLE, 10.099),
    event("responseReceivedExtraInfo", requestId="2", statusCode=304, headers={"Etag": "x"}),
    event(
        "responseReceived",
        requestId="2",
        type="Stylesheet",
        response=response(timing=REUSED, connectionReused=True),
    ),
    event("loadingFinished", requestId="2", timestamp=10.122, encodedDataLength=80),
    wanted("3", "https://elsewhere.example.net/x.js", 10.1),
    event("loadingFailed", requestId="3", timestamp=10.2, errorText="net::ERR_FAILED"),
    wanted("4", "https://www.example.org/kept.png", 10.1),
    event("requestServedFromCache", requestId="4"),
    event("responseReceived", requestId="4", type="Image", response=response(connectionId=0)),
    {"method": "Page.loadEventFired", "params": {"timestamp": 10.2}},
    event("loadingFinished", requestId="unknown", timestamp=1.0, encodedDataLength=1),
]


def test_requests_have_their_phases():
    _, page, style, failed, kept = requests.of_events(LOAD)
    assert page.phases_ns == {
        "blocked": 2_500_000,  # 0.5 ms before the network began, 1 ms before DNS, 1 ms before send
        "dns": 4_000_000,
        "connect": 20_000_000,
        "tls": 20_000_000,
        "send": 500_000,
        "wait": 20_000_000,
        "receive": 7_500_000,
    }
    assert sum(page.phases_ns.values()) == page.ended_ns - page.began_ns == 74_500_000
    assert style.phases_ns["connect"] == style.phases_ns["dns"] == style.phases_ns["tls"] == 0
    assert (style.status, style.served_from, style.reused) == (304, "network", True)
    assert (page.address, page.port, page.wire_bytes) == ("2001:db8::1", 443, 390)
    assert (failed.error, failed.served_from) == ("net::ERR_FAILED", "")
    assert {k for k, v in failed.phases_ns.items() if v} == {"blocked"}
    assert kept.served_from == "memory"


def test_a_pause_is_before_the_load_event():
    ended = event("loadingFinished", requestId="1", timestamp=10.01, encodedDataLength=9)
    loaded = {"method": "Page.loadEventFired", "params": {"timestamp": 10.02}}
    early = [wanted("1", PAGE, 10.0), ended, loaded]
    assert not requests.paused(early)
    assert not requests.paused([*early, wanted("2", STYLE, 15.0)])  # a timer's own request
    late = {"method": "Page.loadEventFired", "params": {"timestamp": 10.07}}
    assert requests.paused([wanted("1", PAGE, 10.0), ended, late])
    assert requests.paused([*early[:2], wanted("2", STYLE, 15.0)])


def test_a_browser_redirects_itself_where_hsts_says_so():
    first, second, *_ = requests.of_events(LOAD)
    assert (first.url, first.status, first.served_from) == (PAGE, 307, "hsts")
    assert second.url.startswith("https:") and first.request == second.request


def test_the_archive_is_har_1_2():
    archive = har.archive(requests.of_events(LOAD), {"title": "", "url": PAGE, "entries": []})
    log = json.loads(json.dumps(archive))["log"]
    assert log["version"] == "1.2" and len(log["entries"]) == 5
    assert log["pages"][0]["startedDateTime"] == "2023-11-14T22:13:30.000000Z"
    for entry in log["entries"]:
        assert entry["pageref"] == log["pages"][0]["id"]
        assert {"request", "response", "cache", "timings", "time"} <= set(entry)
        spent = {k: v for k, v in entry["timings"].items() if k != "ssl" and v > 0}
        assert sum(spent.values()) == pytest.approx(entry["time"])


# ---- files that are not as they should be


@pytest.fixture
def scenario(tmp_path):
    visit = tmp_path / "browser" / "h1" / "cold"
    visit.mkdir(parents=True)
    (visit / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in LOAD))
    (visit / "state.json").write_text(json.dumps({"title": "x", "url": PAGE, "entries": []}))
    (visit.parent / "net-log.json").write_text(log_of(connected(23, "10.0.0.1:34368")))
    return tmp_path


def connected(number, address):
    told = {"local_address": address, "remote_address": "10.0.1.11:443"}
    return {"type": 7, "phase": 2, "source": {"id": number}, "params": told}


def log_of(*events):
    constants = json.dumps({"logEventTypes": {"TCP_CONNECT": 7}})
    lines = ",\n".join(json.dumps(event) for event in events)
    return f'{{"constants":{constants},\n"events": [\n{lines}]}}\n'


def test_tables_join_requests_and_ports(scenario):
    tables = browser.read(scenario, {"monotonic_ns": 9_000_000_000, "realtime_ns": 0})
    found = tables["requests"].set_index("url")
    assert found.loc[STYLE, "local_port"] == 34368 and found.loc[STYLE, "began_ns"] == 1_099_000_000
    assert {name: list(t.columns) for name, t in tables.items()} == {
        name: list(columns) for name, columns in browser.COLUMNS.items()
    }
    assert tables["visits"]["began_ns"].tolist() == [1_000_000_000]


def test_of_a_visit_that_was_made_again_the_last_attempt_counts():
    names = ["cold", *(browser.attempt_name("cold", number) for number in (2, 3)), "other"]
    tables = {
        "visits": pd.DataFrame({"visit": names, "loaded_ns": range(4)}),
        "packets": pd.DataFrame({"step": ["", *names], "frame": range(5)}),
        "looked": pd.DataFrame({"network": ["cold"]}),
    }
    found = browser.last_attempts(tables)
    assert found["visits"].to_numpy().tolist() == [["cold", 2], ["other", 3]]
    assert found["packets"].to_numpy().tolist() == [["", 0], ["cold", 3], ["other", 4]]
    assert len(found["looked"]) == 1


def test_a_run_without_a_browser_has_empty_tables(tmp_path):
    assert all(table.empty for table in browser.read(tmp_path, ZERO).values())


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("cold/events.jsonl", "{}\n", "events.jsonl: line 1"),
        ("cold/events.jsonl", '{"method": "x", "params": {}}\n{"method"', "line 2"),
        ("cold/events.jsonl", json.dumps(event("requestWillBeSent", requestId=1)), "DevTools"),
        ("cold/state.json", "[", "state.json"),
        ("cold/state.json", "{}", "DevTools tells them"),
        ("net-log.json", "{", "net-log.json: line"),
        ("net-log.json", "[]", "is not a net-log"),
        ("net-log.json", '{"constants": 1}', "not as Chromium"),
        ("net-log.json", log_of({"phase": 2}), "not as Chromium"),
        ("cold/events.jsonl", json.dumps(LOAD[0]).replace("10.0,", "1e999,"), "OverflowError"),
        ("cold/events.jsonl", json.dumps(LOAD[0]).replace("10.0,", "1e15,"), "OverflowError"),
        ("cold/events.jsonl", "[" * 100_000, "events.jsonl: line 1: maximum recursion"),
        ("cold/state.json", "[" * 100_000, "state.json: file: maximum recursion"),
        ("net-log.json", "[" * 100_000, "net-log.json: file: maximum recursion"),
        ("net-log.json", log_of(connected(1e400, "10.0.0.1:1")), "not as Chromium"),
    ],
)
def test_damaged_files_are_named(scenario, file, text, said):
    (scenario / "browser" / "h1" / file).write_text(text)
    with pytest.raises(ParseError, match=said):
        browser.read(scenario, ZERO)


def test_separators_in_strings_end_no_line(scenario):
    said = "one\u2028two\u2029three\x85four"
    told = {"type": "log", "args": [{"value": said}], "timestamp": 1.0}
    lines = json.dumps({"method": "Runtime.consoleAPICalled", "params": told}, ensure_ascii=False)
    (scenario / "browser" / "h1" / "cold" / "events.jsonl").write_text(lines + "\n")
    assert browser.read(scenario, ZERO)["console"]["text"].tolist() == [said]


def test_a_net_log_that_was_cut_off_is_read_to_its_last_line(tmp_path):
    whole = log_of(connected(1, "10.0.0.1:1001"), connected(2, "10.0.0.1:1002"))
    (tmp_path / "log").write_text(whole[: whole.index("1002")])
    assert net_log.local_ports(tmp_path / "log") == {1: 1001}


# ---- the pipe

ECHO = """
import json, os, sys
text = b""
while True:
    text += os.read(3, 65536)
    while b"\\0" in text:
        message, _, text = text.partition(b"\\0")
        asked = json.loads(message)
        if asked["method"] == "end":
            sys.exit()
        heard = {"method": "heard", "params": {"a": "x" * 100000}}
        os.write(4, json.dumps(heard).encode() + b"\\0")
        if asked["method"] == "silence":
            continue
        answer = {"id": asked["id"], "result": asked["params"]}
        if asked["method"] == "refuse":
            answer = {"id": asked["id"], "error": {"message": "not today"}}
        os.write(4, json.dumps(answer).encode() + b"\\0")
"""


@pytest.fixture
def tools(tmp_path, monkeypatch):
    monkeypatch.setattr(devtools, "_LOOK_S", 0.05)
    pipe = devtools.DevTools(tmp_path, "browser in h1")
    argv = pipe.argv([sys.executable, "-c", ECHO])
    with subprocess.Popen(argv) as process:
        pipe.watch(lambda: process.poll() is None)
        yield pipe
        process.kill()
    pipe.close()


def test_commands_are_answered_and_events_heard(tools):
    heard = []
    tools.on_event = heard.append
    assert tools.call("echo", word="hi") == {"word": "hi"}
    assert [event["method"] for event in heard] == ["heard"]
    with pytest.raises(TestbedError, match="browser in h1: refuse: not today"):
        tools.call("refuse")


def test_a_browser_that_ends_or_is_silent_is_reported(tools, monkeypatch):
    monkeypatch.setattr(devtools, "ANSWER_S", 0.2)
    with pytest.raises(ConvergenceError, match="answer to silence"):
        tools.call("silence")
    with pytest.raises(TestbedError, match="has ended before: answer to end"):
        tools.call("end")
