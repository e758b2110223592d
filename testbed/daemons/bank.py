"""A bank; see `testbed.programs.bank`. Takes no `options`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from testbed.daemons.web_application import WebApplication


@dataclass(frozen=True)
class Bank(WebApplication):
    """Transfers, once for each defence against requests that foreign pages cause."""

    name: ClassVar[str] = "bank"
    file: ClassVar[str] = "bank"
