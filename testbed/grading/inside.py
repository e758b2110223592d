"""The program that runs in a grading guest: `execution.inside` with a lab's files and a sandbox.

A scenario's folder holds the lab's Python files in ``lab/<name>/``; a class of ``hidden.py`` comes
before that of ``lab.py``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from testbed.execution.inside import run_scenario
from testbed.grading import loading, sandbox

if __name__ == "__main__":
    sandbox.prepare()
    code = run_scenario(Path(sys.argv[1]), loading.load_lab)
    sys.stdout.flush()
    os._exit(code)  # a guest's interpreter has nothing to clean up
