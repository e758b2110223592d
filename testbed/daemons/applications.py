"""Controllers' applications as text and settings: the part that needs no network or Mininet."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from testbed.core.errors import ConfigError
from testbed.core.project import PROJECT

_TIMEOUT_S = 60


def words(settings: Mapping[str, Any]) -> list[str]:
    """Settings in the form of the application's command line."""
    return [f"{name}={_word(value)}" for name, value in settings.items()]


def _word(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def check(app: str, settings: Mapping[str, Any]) -> None:
    """Makes an application check its settings, outside of any network, with this Python.

    Raises:
        ConfigError: what it reported.
    """
    argv = [sys.executable, "-m", "controller", app, "--check", *words(settings)]
    done = subprocess.run(
        argv, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip() or f"ended with {done.returncode}"
        raise ConfigError(f"controller: {said}")
