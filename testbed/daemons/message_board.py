"""A message board; see `testbed.programs.message_board`. Takes no `options`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from testbed.daemons.web_application import WebApplication


@dataclass(frozen=True)
class MessageBoard(WebApplication):
    """Visitors' messages, once for each defence against their scripts."""

    name: ClassVar[str] = "message-board"
    file: ClassVar[str] = "message_board"
    also: ClassVar[Mapping[str, str]] = {
        **WebApplication.also,
        "/usr/lib/python3/dist-packages/bleach": "python3-bleach",
    }
    port: int = 80
