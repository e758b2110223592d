"""Users' pages for the experiment on page performance: folders and HARs, good and hostile."""

import base64
import json
import os
import re

import pandas as pd
import pytest

from experiments.page_performance import grid, latency, loads, servers, site
from experiments.page_performance.experiment import PagePerformance
from testbed.core.claims import MissingDataError, Status
from testbed.core.errors import ConfigError, ExitCode
from testbed.core.tables import Tables

PAGE = "https://www.example.com/news/"


def folder(tmp_path, **files):
    root = tmp_path / "page"
    for name, text in {"index.html": "<p>hello", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def entry(url, text="x", *, mime="text/plain", status=200, method="GET", **content):
    told = {"mimeType": mime, "text": text, **content}
    return {
        "request": {"method": method, "url": url},
        "response": {"status": status, "content": told},
    }


def archive(tmp_path, *entries):
    path = tmp_path / "recorded.har"
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": list(entries)}}))
    return path


def document(url=PAGE, **more):
    return entry(url, "<p>news", mime="text/html; charset=utf-8", **more)


def refused(path):
    with pytest.raises(ConfigError) as caught:
        site.read(str(path))
    assert caught.value.exit_code is ExitCode.USAGE
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- folders


def test_a_folder_is_served_as_it_is_without_hidden_files(tmp_path):
    root = folder(tmp_path, **{"pictures/a b.png": "p", ".git/config": "secret"})
    found = site.read(str(root))
    assert found.page == "www.example.org/"
    assert found.hosts == {site.OWN: {"index.html": b"<p>hello", "pictures/a b.png": b"p"}}


def test_a_site_survives_its_way_into_the_guest(tmp_path):
    found = site.made(3, 2000)
    assert site.parse(found.text()) == found
    found.write(tmp_path)
    assert (tmp_path / site.OWN / "1.bmp").stat().st_size == pytest.approx(2000, abs=100)


@pytest.mark.parametrize("target", ["/etc/hostname", "index.html", "nowhere", "."])
def test_links_are_refused(tmp_path, target):
    root = folder(tmp_path)
    (root / "link").symlink_to(target)
    assert "link is a symbolic link" in refused(root)


def test_what_is_no_file_is_refused(tmp_path):
    root = folder(tmp_path)
    os.mkfifo(root / "pipe")
    assert "pipe is not a regular file" in refused(root)


def test_names_that_cannot_be_served_are_refused(tmp_path):
    root = folder(tmp_path, **{"a\nb": "x"})
    assert "'a\\nb' is not a name" in refused(root)


def test_a_folder_needs_an_index(tmp_path):
    root = folder(tmp_path)
    (root / "index.html").rename(root / "start.html")
    assert "has no index.html" in refused(root)


def test_what_is_too_much_is_refused(tmp_path, monkeypatch):
    root = folder(tmp_path)
    with (root / "large").open("wb") as file:
        file.truncate(site.LARGEST_BYTES)
    assert "more than 16 MiB" in refused(root)
    (root / "large").unlink()
    deep = root.joinpath(*["d"] * 14)
    deep.mkdir(parents=True)
    assert "nested too deeply" in refused(root)
    monkeypatch.setattr(site, "MOST_FILES", 1)
    assert "more than 1 files" in refused(folder(tmp_path / "other", b="b"))


@pytest.mark.parametrize("name", ["nothing", "page.zip", "missing.har", "a\0b"])
def test_what_is_neither_folder_nor_archive_is_refused(tmp_path, name):
    if name == "page.zip":
        (tmp_path / name).write_text("x")
    assert refused(tmp_path / name).startswith("--site: ")


# ---- archives


def test_an_archive_becomes_hosts_with_files(tmp_path):
    picture = bytes(range(256))
    path = archive(
        tmp_path,
        entry(
            "https://cdn.example.net/a.png", base64.b64encode(picture).decode(), encoding="base64"
        ),
        document(),
        entry("https://www.example.com/news/style.css?v=1", "one", mime="text/css"),
        entry("https://www.example.com/news/style.css?v=2", "two", mime="text/css"),
        entry("https://www.example.com/api", "{}", method="POST"),
        entry("https://www.example.com/gone", "", status=404),
        entry("data:text/plain,x"),
    )
    found = site.read(str(path))
    assert found.page == "www.example.com/news/"
    assert list(found.hosts) == ["www.example.com", "cdn.example.net"]
    assert found.hosts["www.example.com"] == {
        "news/index.html": b"<p>news",
        "news/style.css": b"one",
    }
    assert found.hosts["cdn.example.net"] == {"a.png": picture}


def test_what_is_file_and_folder_becomes_the_folders_index(tmp_path):
    path = archive(
        tmp_path, document("https://h/a"), entry("https://h/a/b/c"), entry("https://h/a/b")
    )
    found = site.read(str(path))
    assert found.page == "h/a"
    assert set(found.hosts["h"]) == {"a/index.html", "a/b/index.html", "a/b/c"}
    found.write(tmp_path / "srv")


def test_an_index_that_is_a_folder_is_refused(tmp_path):
    path = archive(tmp_path, document("https://h/a"), entry("https://h/a/index.html/x"))
    assert "'a' and 'a/index.html' are folders" in refused(path)


@pytest.mark.parametrize("path", ["100%25/", "what%3F", "a%20b/c%23d"])
def test_a_page_has_the_address_that_it_was_recorded_at(tmp_path, path):
    found = site.read(str(archive(tmp_path, document(f"https://h/{path}"))))
    assert found.page == f"h/{path}"


def test_a_path_that_is_too_long_for_a_file_is_left_out(tmp_path):
    long = [entry(f"https://h/{part}") for part in ("é" * 128, "a/" * 501 + "b")]
    found = site.read(str(archive(tmp_path, *long, document("https://h/"))))
    assert set(found.hosts["h"]) == {"index.html"}


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (entry("https://h/../../etc/passwd"), "entry 1"),
        (entry("https://h/%2e%2e/x"), "entry 1"),
        (entry("https://h/a%00b"), "entry 1"),
        (entry("https://h//x/"), "no HTML page"),
        (entry("https://../x"), "entry 1"),
        (entry("https://h;b{/x"), "entry 1"),
        (entry("https://h/x", "?", encoding="base64"), "entry 1"),
        (entry(f"https://h/{'a' * 300}"), "no HTML page"),
        (document("https://./"), "entry 1: .* host '.' is not a DNS name"),
        (document("https://192.0.2.7/"), "entry 1: .* is not a DNS name"),
        (document("https://a.-b/"), "entry 1"),
        (document(f"https://{'a' * 64}.example/"), "entry 1"),
        ({"request": 3}, "entry 1"),
        ("text", "entry 1"),
        (entry("https://h/x", 7), "no HTML page"),
    ],
)
def test_hostile_archives_are_refused(tmp_path, bad, words):
    assert re.search(words, refused(archive(tmp_path, bad)))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"log": {"entries": 3}}', "\0", "[" * 100_000])
def test_what_is_no_archive_is_refused(tmp_path, text):
    path = tmp_path / "x.har"
    path.write_text(text)
    assert "x.har" in refused(path)


def test_an_archive_with_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "MOST_HOSTS", 1)
    assert "has 2 hosts; at most 1" in refused(
        archive(tmp_path, document(), document("https://b/"))
    )
    monkeypatch.setattr(site, "LARGEST_BYTES", 3)
    assert "more than 0 MiB" in refused(archive(tmp_path, document()))


# ---- the grid


def params(**values):
    return PagePerformance.Parameters(**values)


def test_each_visit_has_a_name_of_its_own():
    for version in grid.VERSIONS:
        names = [point.name for point in grid.points(params(), version)]
        assert len(set(names)) == len(names) >= 18


def test_the_loss_changes_least_often():
    losses = [p.loss_percent for p in grid.points(params(losses_percent=(2.0, 1.0)), "1.1")]
    grid_alone = losses[:-3]
    assert grid_alone == sorted(grid_alone)


def test_a_grid_that_takes_too_long_is_refused():
    many = tuple(float(n) for n in range(1, 31))
    with pytest.raises(ConfigError, match=r"visits over HTTP/1\.1; at most 400"):
        PagePerformance(params(rates_mbps=many, rtts_ms=many)).scenarios()


def test_hosts_are_mapped_and_all_others_unknown():
    flags = servers.flags({"a.example": "10.0.0.1"}, b"key", quic=True)
    assert flags[0] == "--host-resolver-rules=MAP a.example 10.0.0.1,MAP * ~NOTFOUND"
    assert flags[1] == "--origin-to-force-quic-on=a.example:443"


def test_servers_pin_the_group_which_costs_no_more_with_newer_libraries():
    assert "ssl_ecdh_curve X25519" in servers._SITE


# ---- claims


def visits(*rows):
    usual = {"scenario": "http2", "loss_percent": 0.0, "cc": "reno", "tls": "1.3", "pause_ms": 0.0}
    usual |= {"window_segments": 10, "rate_mbps": 20.0, "rtt_ms": 200.0, "load_ms": 1000.0}
    usual |= {"visit": "v", "kilobytes": 245.0}
    return Tables({"loads": pd.DataFrame([usual | row for row in rows])})


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{}], "scenario=http1"),
        ([{"scenario": "http1"}], "no undisturbed visit with .*, tls none"),
        ([{"scenario": "http1", "rtt_ms": 10.0}], "10 ms and 20 Mbit/s do not tell round trips"),
    ],
)
def test_handshakes_are_judged_with_all_kinds_and_where_round_trips_count(rows, words):
    with pytest.raises(MissingDataError, match=words):
        PagePerformance.handshakes_take_round_trips(None, visits(*rows))


@pytest.mark.parametrize(
    ("times_ms", "status"),
    [
        ((1400.0, 1000.0, 820.0), Status.PASS),
        ((1000.0, 1000.0, 1000.0), Status.FAIL),
        ((1400.0, 1000.0, 950.0), Status.FAIL),
        ((1900.0, 1000.0, 820.0), Status.FAIL),
    ],
)
def test_a_first_window_saves_something_and_no_more_than_its_doublings(
    monkeypatch, times_ms, status
):
    monkeypatch.setattr(loads, "pick", lambda *told, **equals: None)
    monkeypatch.setattr(latency, "beginnings", lambda tables, shown: pd.DataFrame())
    rows = [
        {"window_segments": segments, "load_ms": ms}
        for segments, ms in zip(grid.WINDOWS_SEGMENTS, times_ms, strict=True)
    ]
    found = PagePerformance.first_windows_save_round_trips(None, visits(*rows))
    assert found.status is status
