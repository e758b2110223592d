"""Pages of a shop over a database; see `testbed.programs.database_pages`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from testbed.daemons.web_application import WebApplication
from testbed.programs import shop


@dataclass(frozen=True)
class DatabasePages(WebApplication):
    """Logins, a search and items, once for each defence against injected SQL.

    Attributes:
        accounts: name → password of those who may log in.
        statements: SQL that makes tables, users and their rights in PostgreSQL.
        users: PostgreSQL's users: the owner of the tables, one who may read accounts, one who may
            read items.
    """

    name: ClassVar[str] = "database-pages"
    file: ClassVar[str] = "database_pages"
    also: ClassVar[Mapping[str, str]] = {
        **WebApplication.also,
        "/usr/lib/python3/dist-packages/psycopg": "python3-psycopg",
    }
    accounts: ClassVar[Mapping[str, str]] = shop.ACCOUNTS
    statements: ClassVar[str] = "\n\n".join((*shop.TABLES, *shop.RIGHTS))
    users: ClassVar[tuple[str, ...]] = (shop.OWNER, shop.DOORKEEPER, shop.READER)
