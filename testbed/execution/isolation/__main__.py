"""A script that is compiled each time, so it only calls what is compiled already."""

import os
import sys

folder = os.path.abspath(__file__)
for _ in range(4):  # testbed/execution/isolation/__main__.py
    folder = os.path.dirname(folder)
sys.path.append(folder)

from testbed.execution.isolation.start import main  # noqa: E402

main(sys.argv[1])
