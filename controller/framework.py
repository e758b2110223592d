"""The controller framework: OS-Ken, or Ryu where ``SDN_FRAMEWORK=ryu`` asks for it.

Both have the same API under another package name; only this module knows which one runs.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

FRAMEWORKS = ("os_ken", "ryu")

NAME = os.environ.get("SDN_FRAMEWORK", FRAMEWORKS[0])


def _load(module: str) -> Any:
    return importlib.import_module(f"{NAME}.{module}")


def _mend_ryu() -> None:
    """Ryu's web server wants a name that eventlet 0.33 has dropped; we serve no web pages."""
    wsgi = importlib.import_module("eventlet.wsgi")
    if not hasattr(wsgi, "ALREADY_HANDLED"):
        wsgi.ALREADY_HANDLED = []  # type: ignore[attr-defined]


class TaskExit(Exception):
    """Ends a thread of the framework."""


def _mend_os_ken(threads: Any) -> None:
    """OS-Ken's native threads take every exception for their wish to end.

    An error in a handler was reported to nobody, and the application was deaf from then on. On Ryu,
    and on OS-Ken's other threads, it is logged and the next event is served.
    """
    if threads.TaskExit is Exception:
        threads.TaskExit = TaskExit


if NAME == "ryu":
    _mend_ryu()

app_manager: Any = _load("base.app_manager")
cfg: Any = _load("cfg")
hub: Any = _load("lib.hub")
_mend_os_ken(hub)
ofp_event: Any = _load("controller.ofp_event")
ofproto: Any = _load("ofproto.ofproto_v1_3")
parser: Any = _load("ofproto.ofproto_v1_3_parser")
_handler: Any = _load("controller.handler")

EventBase: Any = _load("controller.event").EventBase
CONFIG_DISPATCHER: Any = _handler.CONFIG_DISPATCHER
MAIN_DISPATCHER: Any = _handler.MAIN_DISPATCHER
DEAD_DISPATCHER: Any = _handler.DEAD_DISPATCHER


def on(event: Any, states: Any) -> Callable[[F], F]:
    """Decorator: calls a method for an event of a switch in one of `states`."""
    mark: Callable[[F], F] = _handler.set_ev_cls(event, states)
    return mark


BaseApp: Any = app_manager.OSKenApp if NAME == "os_ken" else app_manager.RyuApp
