"""Starts a run's first process so that nothing of it outlives its starter, whatever kills that.

A program of its own (standard library alone):
``python -I -S testbed/execution/isolation/__main__.py SPEC``. Every link of the chain asks for the
kernel's parent-death signal: this program, the guest, and each of the guest's helpers. Root's runs
are also in namespaces of their own: all processes of a PID namespace die with its first one, and in
a mount namespace everything but the run directory is read-only. An ordinary user's guest is
restricted by Landlock instead.
"""

CANNOT_START = 125
"""Exit code: the namespaces cannot be created, or the program cannot be executed."""
