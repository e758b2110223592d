"""A site with members; see `testbed.programs.member_pages`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from testbed.daemons.web_application import WebApplication


@dataclass(frozen=True)
class MemberPages(WebApplication):
    """Logins, once for each way to protect sessions and tokens; behind a server with TLS."""

    name: ClassVar[str] = "member-pages"
    file: ClassVar[str] = "member_pages"
