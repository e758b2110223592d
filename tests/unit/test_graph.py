"""Topologies are the same graphs, with the same addresses, whether Mininet is there or not."""

import subprocess
import sys

import pytest

from testbed.core.project import PROJECT

NEEDS_A_FILE = {"graphml"}
TOPOLOGIES = sorted(
    {p.stem for p in (PROJECT / "topologies").glob("[a-z]*.py")} - NEEDS_A_FILE,
)

SHOW = """
import importlib, json, sys
if sys.argv[1] == "without":
    sys.modules["mininet"] = None  # an import of it fails from now on
from testbed.author import experiment, topo
from testbed.net.plan import make_plan
assert ("mininet.topo" in sys.modules) == (sys.argv[1] == "with")
graphs = {}
for name in sys.argv[2].split():
    module = importlib.import_module(f"topologies.{name}")
    for key, cls in getattr(module, "topos", {}).items():
        graphs[f"{name} {key}"] = cls()
for name in experiment.experiment_files():
    cls = experiment.load(name)
    for scenario, params in cls(cls.Parameters()).scenarios().items():
        graphs[f"{name} {scenario}"] = cls(params).topology()
rows = {
    name: [topo.as_data(graph), str(make_plan(graph)), graph.links(sort=True, withKeys=True)]
    for name, graph in graphs.items()
}
print(json.dumps(rows, indent=1))
"""


def shown(how, names):
    return subprocess.run(
        [sys.executable, "-c", SHOW, how, names],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    ).stdout


def test_graphs_and_plans_are_mininets():
    pytest.importorskip("mininet.topo")
    names = " ".join(TOPOLOGIES)
    there, gone = shown("with", names), shown("without", names)
    assert "congestion reno" in there
    assert there == gone
