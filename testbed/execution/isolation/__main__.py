"""A script that is compiled each time, so it only calls what is compiled already."""

import os
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from testbed.jail.start import main

main(sys.argv[1])
