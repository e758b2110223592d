"""Mininet's classes, imported without their side effects.

Mininet's log module replaces the logger class of the whole process; this is undone here. Its node
module loads setuptools for one version comparison (a fifth of a second in a guest); this is avoided
by disabling setuptools' import hook while it loads.
"""

from __future__ import annotations

import logging
import sys
import warnings

from testbed.core.errors import MissingPrerequisiteError

_hooks = [f for f in sys.meta_path if type(f).__module__ == "_distutils_hack"]
for _hook in _hooks:
    sys.meta_path.remove(_hook)
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from mininet import cli, link, log, net, node, nodelib, util
except ImportError as error:
    raise MissingPrerequisiteError("mininet", "sudo apt-get install mininet", str(error)) from error
finally:
    sys.meta_path[:0] = _hooks
    logging.setLoggerClass(logging.Logger)

__all__ = ["cli", "link", "log", "net", "node", "nodelib", "util"]
