"""The guest program that turns a student's topology file into data.

The file is Python, so it runs as any student's program, in the sandbox and without a network; what
it prints is checked outside (`testbed.grading.graph_schema`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from testbed.core.project import PROJECT
from testbed.core.rundir import write_json
from testbed.grading import sandbox
from testbed.grading.submission import FOLDER

GRAPH, REASON = "graph.json", "reason.json"
"""In the scenario's folder: the topology that the file describes, or why there is none."""

MODULES = (
    "__init__.py",
    "author/__init__.py",
    "author/graph.py",
    "author/topo.py",
    "core/__init__.py",
    "core/errors.py",
    "core/version.py",
    "net/__init__.py",
    "net/shape.py",
    "net/tclink.py",
)
"""Files of ours that a topology file needs, and no more."""

_TIMEOUT_S = 60
_PROGRAM = """
import importlib.util, json, sys
from testbed.author.topo import Topo, as_data
spec = importlib.util.spec_from_file_location("handed", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
found = [k for k in vars(module).values() if isinstance(k, type) and issubclass(k, Topo)
         and k.__module__ == "handed"]
if len(found) != 1:
    sys.exit(f"holds {len(found)} topologies; write one subclass of Topo")
text = json.dumps(as_data(found[0]()))
with open("/out/graph.json", "w") as file:
    file.write(text)
"""


def main(folder: Path) -> None:
    """Evaluates the one topology file of a scenario's folder."""
    sandbox.prepare()
    names = [p.name for p in (folder / FOLDER).iterdir() if p.is_file()]
    shown = {f"/testbed/testbed/{m}": str(PROJECT / "testbed" / m) for m in MODULES}
    shown |= sandbox.python_packages()
    line = sandbox.argv(
        ["python3", "-c", _PROGRAM, f"{sandbox.WORK}/{names[0]}"],
        folder / FOLDER,
        sandbox.out_folder("topology"),
        shown=shown,
        environment={"PYTHONPATH": "/testbed:/site"},
        network=False,
    )
    log = folder / "topology.log"
    ended = ""
    with log.open("wb") as out:
        try:
            code = subprocess.run(
                line,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                check=False,
                timeout=_TIMEOUT_S,
            ).returncode
        except subprocess.TimeoutExpired:
            code, ended = -1, f"did not finish within {_TIMEOUT_S} s"
    sandbox.collect(folder)
    found = folder / "out" / "topology" / GRAPH
    if code == 0 and found.is_file():
        found.replace(folder / GRAPH)
        return
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = said[-1] if said else f"ended with {code}"
    write_json(folder / REASON, ended or last)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)
