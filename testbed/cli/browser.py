"""`--open`: shows a page in the user's browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from testbed.core.errors import TestbedError

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME")
"""One of these environment variables is set where windows can be shown."""


def open_page(path: Path) -> None:
    """Opens a page in the browser.

    Raises:
        TestbedError: there is no display, or no program that opens pages.
    """
    graphical = any(os.environ.get(name) for name in _DISPLAYS)
    if sys.platform.startswith("linux") and not graphical:
        raise TestbedError(f"--open: no display here; open {path} in a browser")
    if click.launch(str(path)) != 0:
        raise TestbedError(f"--open: no program opened the page; open {path} in a browser")
