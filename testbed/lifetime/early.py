"""Until a command hears signals, Ctrl-C ends it at once: without Python's list of calls.

Programs import this before all else (`testbed.lifetime.start` comes next). What it needs is part
of Python itself, so that it takes no time; the module `signal` would.
"""

import _signal  # type: ignore[import-not-found]

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # not ignored, as of nohup
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
