"""OSPF in large grids."""

import pytest

from testbed.core.claims import Status
from testbed.core.project import PROJECT
from testbed.execution.runner import Request, run

pytestmark = pytest.mark.guest

GRID = PROJECT / "bench" / "ospf_grid.py"


@pytest.mark.parametrize(("r5_cost", "status"), [(0, Status.PASS), (50, Status.FAIL)])
def test_a_grid_has_all_routes_by_all_shortest_ways(r5_cost, status, guest_kernel, tmp_path):
    parameters = {"side": 3, "r5_cost": r5_cost}
    result = run(Request(str(GRID), parameters, out=tmp_path, runtime="guest"))
    assert [verdict.status for _, verdict in result.judged] == [status]
