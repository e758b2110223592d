"""``python -m testbed``: the command line."""

from testbed.start import main

main()
