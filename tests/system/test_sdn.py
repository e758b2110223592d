"""Software-defined networks on another framework, with other applications, and one that crashes."""

from pathlib import Path

import pytest

from testbed.author.experiment import load
from testbed.core.claims import Status
from testbed.core.errors import RunIncompleteError
from testbed.daemons.controller import RYU_SITE
from testbed.execution.runner import Request, run

pytestmark = pytest.mark.guest


@pytest.fixture(scope="session")
def finished(guest_kernel, tmp_path_factory):
    """Verdicts of a run by claim; each is made once."""
    known = {}

    def of(name, parameter="", scenarios=""):
        key = (name, parameter, scenarios)
        if key not in known:
            given = dict([parameter.split("=")]) if parameter else {}
            request = Request(
                name,
                given,
                out=tmp_path_factory.mktemp("runs"),
                runtime="guest",
                only=tuple(filter(None, scenarios.split(","))),
            )
            result = run(request)
            known[key] = {c.name: verdict for c, verdict in result.judged}
        return known[key]

    return of


def test_on_ryu_it_is_the_same(finished):
    if not RYU_SITE.is_dir():
        pytest.skip("Ryu is not installed (scripts/install-ryu.sh)")
    verdicts = finished("sdn_learning", "framework=ryu", "learning,bridge")
    assert {v.status for v in verdicts.values()} == {Status.PASS}, verdicts


APPS = Path(__file__).with_name("programs") / "sdn_apps.py"


@pytest.mark.parametrize("claim", [c.name for c in load(str(APPS)).claims()])
def test_the_other_applications_work(claim, finished):
    verdict = finished(str(APPS))[claim]
    assert verdict.status is Status.PASS, verdict


CRASH = """
from dataclasses import dataclass
from testbed import Experiment
from testbed.daemons import controller
from topologies.switch_star import SwitchStar

class Crash(Experiment):
    "A controller that ends as soon as it starts."
    @dataclass(frozen=True)
    class Parameters:
        pass
    def topology(self):
        return SwitchStar(hosts=3)
    def run(self, net):
        controller.control_node(net.network)
        controller.start(net, "load_balancer", {"servers": "10.0.0.4", "virtual": "nowhere"})
"""


def test_a_controller_that_crashes_on_start_ends_the_run(tmp_path: Path, guest_kernel):
    path = tmp_path / "crash.py"
    path.write_text(CRASH)
    with pytest.raises(RunIncompleteError) as caught:
        run(Request(str(path), out=tmp_path, runtime="guest", wall_limit_s=60))
    assert "setting virtual: 'nowhere' is not an IPv4 address" in str(caught.value)
    assert "(crash.py:16)" in str(caught.value)
