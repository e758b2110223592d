"""PostgreSQL: a database server, made anew for each run."""

from __future__ import annotations

import shlex
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place, listens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.author.process import Process

_VERSIONS = Path("/usr/lib/postgresql")


def _folder() -> Path:
    """Where the newest installed version keeps its programs; each version has a folder."""
    found = [path.parent for path in _VERSIONS.glob("[0-9]*/bin/postgres")]
    return max(found, key=lambda path: int(path.parent.name), default=_VERSIONS / "15" / "bin")


@dataclass(frozen=True)
class Postgresql(Daemon):
    """One PostgreSQL with one database, ``postgres``.

    Every statement goes to its log, with the time (s since 1970) and the user. Users need no
    password: the addresses in `clients` are let in under the names that `statements` make.

    Attributes:
        port: where it listens.
        statements: SQL that makes tables, users and grants before the server listens; statements
            are separated by a semicolon and an empty line.
        clients: addresses or prefixes that may connect.
        logged: which statements are logged: ``none``, ``ddl``, ``mod``, ``all``.
    """

    name: ClassVar[str] = "postgresql"
    program: ClassVar[str] = str(_folder() / "postgres")
    package: ClassVar[str] = "postgresql"
    also: ClassVar[dict[str, str]] = {"setpriv": "util-linux"}
    owner: ClassVar[str] = "postgres"  # it refuses to run as root
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # its fast shutdown
    environment: ClassVar[dict[str, str]] = {"TZ": "UTC", "LC_ALL": "C"}
    port: ClassVar[int] = 5432
    statements: str = ""
    clients: Sequence[str] = ("0.0.0.0/0",)
    logged: str = "all"

    def files(self, place: Place) -> dict[str, str]:
        """The configuration, who may connect, and the first statements."""
        conf = [
            "listen_addresses = '*'",
            f"port = {self.port}",
            f"unix_socket_directories = '{place.state}'",
            f"hba_file = '{place.configs}/pg_hba.conf'",
            "dynamic_shared_memory_type = mmap",
            "shared_buffers = 16MB",
            "max_connections = 30",
            "fsync = off",  # what it stores ends with the run
            "jit = off",
            "autovacuum = off",
            "timezone = 'UTC'",
            "log_timezone = 'UTC'",
            "log_line_prefix = '%n %u '",
            f"log_statement = '{self.logged}'",
        ]
        allowed = "".join(f"host all all {client} trust\n" for client in self.clients)
        lines = "".join(f"{line}\n" for line in conf)
        return {
            "postgresql.conf": lines,
            "pg_hba.conf": allowed,
            "first.sql": f"{self.statements}\n\n",
        }

    def argv(self, place: Place) -> list[str]:
        """Makes the database, fills it, then serves in the foreground."""
        data = f"{place.state}/data"
        conf = f"--config-file={place.configs}/postgresql.conf"
        user = f"setpriv --reuid={self.owner} --regid={self.owner} --clear-groups"
        make = [f"{_folder()}/initdb", "-D", data, *_INITDB]
        fill = [self.program, "--single", "-j", "-D", data, conf, "-c", "log_statement=none"]
        serve = [self.program, "-D", data, conf]
        first = shlex.quote(f"{place.configs}/first.sql")
        filled = shlex.quote(f"{place.state}/filled")  # it ends with 0 after a wrong statement
        script = (
            f"{user} {shlex.join(make)} && {user} {shlex.join(fill)} postgres < {first} "
            f"> {filled} 2>&1; cat {filled}; if grep -q 'ERROR: ' {filled}; then exit 1; fi; "
            f"exec {user} {shlex.join(serve)}"
        )
        return ["/bin/sh", "-c", script]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its port is open, which it opens when it can answer."""
        return listens(process, self.port)

    def dry_run(self, place: Place) -> list[str]:
        """It reads its configuration and names a setting; an unknown one is an error."""
        conf = f"--config-file={place.configs}/postgresql.conf"
        return [self.program, "-C", "port", "-D", str(place.configs), conf]


_INITDB = (
    *("--username=postgres", "--auth=trust", "--locale=C", "--encoding=UTF8"),
    *("--no-sync", "--no-instructions"),
)
