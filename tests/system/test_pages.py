"""The pages that people are shown, opened in a real browser on this machine."""

import subprocess
import sys

import pytest

from testbed.core.project import PROJECT
from testbed.execution import extras
from testbed.execution.runner import Request, run
from tests.in_browser import problems

pytestmark = pytest.mark.skipif(
    bool(extras.missing(["browser"])), reason="no browser: make extra-browser"
)

BAD = """<!doctype html><div style="width: 2000px">wide</div><img src="http://example.org/x.png">
<script>console.error('bad'); nothing.at.all</script>"""


def test_what_is_wrong_with_a_page_is_found(tmp_path):
    (tmp_path / "bad.html").write_text(BAD)
    found = "\n".join(problems(tmp_path / "bad.html", tmp_path))
    for words in (
        "390 px, light: asks the network for http://example.org/x.png",
        "390 px, dark: bad",
        "1440 px, dark: ReferenceError: nothing is not defined",
        "1440 px, light: too wide, ",
    ):
        assert words in found


@pytest.mark.guest
def test_a_report_has_no_problems(guest_kernel, tmp_path):
    result = run(Request("arp", out=tmp_path / "runs", runtime="guest"))
    assert problems(result.run.path / "report.html", tmp_path) == []


@pytest.mark.parametrize("name", ["layers", "applications"])
def test_the_page_of_a_capture_has_no_problems(name, tmp_path):
    capture = PROJECT / "tests" / "captures" / f"{name}.pcap"
    argv = [sys.executable, "-m", "testbed", "capture", "report", capture]
    subprocess.run([*argv, "-o", tmp_path / "page.html"], check=True, capture_output=True)
    assert problems(tmp_path / "page.html", tmp_path) == []
