"""The documentation's site builds in both languages, without a warning and without a dead link."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from testbed.author.experiment import experiment_files, load
from testbed.book import phrases, words
from testbed.core.project import PROJECT
from testbed.execution import extras
from tests import in_browser

RUN_OF = "fragmentation"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Both languages, with one experiment's run."""
    folder = tmp_path_factory.mktemp("site")
    runs = folder / "runs"
    one_run(runs / f"{RUN_OF}-20260101-000000")
    environment = os.environ | {"TESTBED_RUNS": str(runs), "NO_MKDOCS_2_WARNING": "1"}
    for config, place in (("mkdocs.yml", "site"), ("mkdocs.zh.yml", "site/zh")):
        line = ["mkdocs", "build", "--strict", "--config-file", config, "--site-dir"]
        done = subprocess.run(
            [sys.executable, "-m", *line, folder / place],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    return folder / "site"


def one_run(folder):
    """A complete run's directory, as far as a page of the book needs it."""
    cls = load(RUN_OF)
    scenarios = {name: {} for name in cls(cls.Parameters()).scenarios()}
    meta = {
        "format": 1,
        "experiment": RUN_OF,
        "status": "complete",
        "runtime": "guest",
        "clock": "virtual",
        "seed": 1,
        "fingerprint": "0123456789abcdef00",
        "scenarios": scenarios,
        "parameters": {},
    }
    seen = [{"what": "two", "scenario": "main", "capture": "h1-eth0", "frames": [7, 8], "rows": []}]
    row = {"status": "PASS", "observed": "1472 bytes", "expected": "<1473", "evidence": seen}
    network = {"nodes": [{"name": "h1", "kind": "host"}], "links": []}
    for name in scenarios:
        (folder / "scenarios" / name).mkdir(parents=True)
        (folder / "scenarios" / name / "topology.json").write_text(json.dumps(network))
        (folder / "scenarios" / name / "network.json").write_text('{"addresses": []}')
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / "1_ladder.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "run.json").write_text(json.dumps(meta))
    rows = "".join(f"<p id='{claim.name}'>{claim.sentence}" for claim in cls.claims())
    (folder / "report.html").write_text(rows)
    verdicts = [row | {"claim": claim.name} for claim in cls.claims()]
    (folder / "verdicts.json").write_text(json.dumps(verdicts))


class Page(HTMLParser):
    """A page's links and anchors."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.ids |= {known[key] for key in ("id", "name") if known.get(key)}
        self.links += [known[key] for key in ("href", "src") if known.get(key)]


def dead_links(site):
    """Links of all pages to a file or an anchor that is not there."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    for path, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:|//", link) or path.name == "404.html":
                continue
            target, _, anchor = unquote(link).partition("#")
            file = (path.parent / target).resolve() if target.split("?")[0] else path
            there = pages.get(file) if file.suffix == ".html" else None
            if not file.exists() or (there and anchor and anchor not in there.ids | {"__tabbed"}):
                yield f"{path.relative_to(site)}: {link}"


def test_no_link_is_dead(site):
    assert sorted(set(dead_links(site))) == []


def test_no_page_fetches_anything_from_elsewhere(site):
    for path in [p for folder in (site, site / "zh") for p in folder.glob("*.html")]:
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"<(?:script|img|iframe)[^>]* src=\"?(?:https?:)?//", text), path
        assert not re.findall(r"<link[^>]*stylesheet[^>]* href=\"?(?:https?:)?//", text), path


@pytest.mark.skipif(bool(extras.missing(["browser"])), reason="no browser: make extra-browser")
@pytest.mark.parametrize("name", ["index", f"experiments/{RUN_OF}", f"zh/experiments/{RUN_OF}"])
def test_a_browser_shows_a_page_without_problems(name, site, tmp_path):
    found = in_browser.problems(site / f"{name}.html", tmp_path)
    # the theme asks for the list of pages, which it does not get from a disk and does not need
    assert [problem for problem in found if "sitemap.xml" not in problem] == []


def test_a_dead_link_is_found(tmp_path):
    (tmp_path / "a.html").write_text("<a href='b.html#x'></a><a href='c.html'></a><p id='y'>")
    (tmp_path / "b.html").write_text("<a href='a.html#y'></a><a href='#z'></a>")
    assert sorted(dead_links(tmp_path)) == ["a.html: b.html#x", "a.html: c.html", "b.html: #z"]


@pytest.mark.parametrize("name", sorted(experiment_files()))
def test_every_experiment_has_its_page(name, site):
    for folder in (site, site / "zh"):
        page = Page((folder / "experiments" / f"{name}.html").read_text(encoding="utf-8"))
        assert {claim.name for claim in load(name).claims()} <= page.ids


def test_a_run_gives_verdicts_figures_and_evidence(site):
    for folder in (site, site / "zh"):
        text = (folder / "experiments" / f"{RUN_OF}.html").read_text(encoding="utf-8")
        assert "1472 bytes" in text and "&lt;1473" in text and "0123456789abcdef" in text
        assert "7, 8" in text and "main/captures/h1-eth0.pcap" in text
    for file in (f"figures/{RUN_OF}/1_ladder.svg", f"figures/{RUN_OF}/network_1.svg"):
        assert (site / "experiments" / file).is_file()
        assert not (site / "zh/experiments" / file).exists(), "the languages share figures"


def test_an_experiment_without_a_run_says_so(site):
    assert "not run here yet" in (site / "experiments/arp.html").read_text(encoding="utf-8")


def test_commands_and_interface_are_there(site):
    commands = (site / "reference/commands.html").read_text(encoding="utf-8")
    for word in ("testbed run", "testbed verify", "--repeat"):
        assert word in commands
    interface = Page((site / "reference/experiment.html").read_text(encoding="utf-8"))
    assert {"runningnetworkcapture", "near"} <= interface.ids
    links = (site / "reference/links.html").read_text(encoding="utf-8")
    assert "<td>one-way propagation delay.</td>" in links


def test_every_page_leads_to_the_same_page_in_the_other_language(site):
    for path in (site / "zh").rglob("*.html"):
        place = path.relative_to(site / "zh")
        if place.name != "404.html":
            assert site / place in targets(path), place
            assert path in targets(site / place), place


def targets(path):
    """The files that a page links to."""
    links = Page(path.read_text(encoding="utf-8")).links
    return {(path.parent / unquote(link.partition("#")[0])).resolve() for link in links}


def test_long_names_in_tables_can_be_broken_and_others_cannot(site):
    text = (site / "packet-columns.html").read_text(encoding="utf-8")
    assert "<code>captured_<wbr>bytes</code>" in text and "<code>packets.read(capture)" in text
    text = (site / "experiments/sdn_learning.html").read_text(encoding="utf-8")
    assert "learning_<wbr>switch, hub" in text
    assert '<code><span class="option">--control</span>-delay-ms</code>' in text
    for page, code in (("links", "float | None"), ("commands", " NAME|FILE|none")):
        assert f"{code}</code>" in (site / f"reference/{page}.html").read_text(encoding="utf-8")


def test_numbered_lists_go_on_behind_tables_and_code(site):
    for page, items in (("labs/subnetting", 4), ("howto/course", 6)):
        text = (site / f"{page}.html").read_text(encoding="utf-8")
        first = re.search(r"<ol>.*?</ol>", text, re.S)
        assert first and first[0].count("<li>") == items, page


def test_topologies_have_tables_and_no_markup(site):
    text = (site / "reference/topologies.html").read_text(encoding="utf-8")
    assert "<td>r&lt;i&gt;</td>" in text and "| ---" not in text and "====" not in text


def test_a_chinese_reader_is_told_which_pages_are_english_and_finds_them_by_chinese_names(site):
    for page in ("reference/commands", "labs/rip", "changelog", "install"):
        text = (site / "zh" / f"{page}.html").read_text(encoding="utf-8")
        assert labels_in_chinese(phrases.NOT_TRANSLATED) in text, page
    text = (site / "zh/install.html").read_text(encoding="utf-8")
    assert "安装方式" in text and "Installation" in text  # in the navigation, and the page itself


def labels_in_chinese(text):
    return words.words("zh")(text)
