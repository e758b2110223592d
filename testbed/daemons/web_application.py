"""The testbed's web application: Flask behind waitress; see `testbed.programs.web_application`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from testbed import programs
from testbed.daemons.base import Daemon, Place, listens

if TYPE_CHECKING:
    from testbed.author.process import Process


@dataclass(frozen=True)
class WebApplication(Daemon):
    """Notes as resources, logins with sessions and tokens, uploads, redirects, failures.

    Attributes:
        port: where it listens.
        flaws: mistakes that it makes on purpose, by the names in its own list.
        options: settings, as ``session_s=60``.
    """

    name: ClassVar[str] = "web-application"
    program: ClassVar[str] = "/usr/bin/python3"
    package: ClassVar[str] = "python3-flask"
    file: ClassVar[str] = "web_application"
    also: ClassVar[Mapping[str, str]] = {
        f"/usr/lib/python3/dist-packages/{name}": f"python3-{name}"
        for name in ("flask", "jwt", "waitress")
    }
    environment: ClassVar[Mapping[str, str]] = {"MALLOC_ARENA_MAX": "1"}
    """One heap for all threads: what one frees, the others can use."""

    port: int = 8000
    flaws: Sequence[str] = ()
    options: Sequence[str] = ()

    def argv(self, place: Place) -> list[str]:
        """In the foreground, with Debian's Python packages."""
        given = [f"port={self.port}", f"flaws={','.join(self.flaws)}", *self.options]
        return [self.program, "-I", programs.path(self.file), *given]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its port is open."""
        return listens(process, self.port)

    def dry_run(self, place: Place) -> list[str]:
        """Its own check of the settings."""
        return [*self.argv(place), "check"]


@dataclass(frozen=True)
class CacheablePages(WebApplication):
    """Pages that caches may keep; see `testbed.programs.cacheable_pages`. Takes no `options`."""

    name: ClassVar[str] = "cacheable-pages"
    file: ClassVar[str] = "cacheable_pages"
