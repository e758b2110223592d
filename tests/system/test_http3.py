"""HTTP/3 of other programs than aioquic, where the system has them: Debian 13, not 12."""

import subprocess

import pytest

from testbed.core.project import PROJECT
from testbed.execution import extras
from testbed.execution.runner import Request, run

PROGRAM = PROJECT / "tests" / "system" / "programs" / "nginx_http3.py"
KNOWN_BY = {"curl": ("-V", "HTTP3"), "/usr/sbin/nginx": ("-V", "http_v3_module")}


def lacking():
    """The programs that do not speak HTTP/3 here."""
    for program, (option, word) in KNOWN_BY.items():
        said = subprocess.run([program, option], capture_output=True, text=True, check=False)
        if word not in said.stdout + said.stderr:
            yield program


@pytest.mark.guest
def test_nginx_gives_a_file_to_both_clients(guest_kernel, tmp_path):
    if found := [*lacking(), *extras.missing(["quic", "tls"])]:
        pytest.skip(f"no HTTP/3 here: {', '.join(found)}")
    result = run(Request(str(PROGRAM), out=tmp_path / "runs", runtime="guest"))
    [(_, verdict)] = result.judged
    assert verdict.status.name == "PASS", verdict.observed
