"""Apache: a web server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place, listens

if TYPE_CHECKING:
    from testbed.author.process import Process

_MODULES = "/usr/lib/apache2/modules"
_ALWAYS = ("authz_core", "mime")


@dataclass(frozen=True)
class Apache(Daemon):
    """One Apache.

    Attributes:
        options: lines of its configuration, as ``DocumentRoot /srv``.
        modules: further modules that `options` need, as ``headers``.
        port: where it listens.
        model: how it serves many connections: ``event`` (threads; idle connections need none),
            ``worker`` (threads), ``prefork`` (processes).
    """

    name: ClassVar[str] = "apache"
    program: ClassVar[str] = "/usr/sbin/apache2"
    package: ClassVar[str] = "apache2"
    environment: ClassVar[Mapping[str, str]] = {"LANG": "C"}
    options: Sequence[str] = ("DocumentRoot /srv",)
    modules: Sequence[str] = ()
    port: int = 80
    model: str = "event"

    def files(self, place: Place) -> dict[str, str]:
        """Its configuration."""
        lines = [
            f"Listen {self.port}",
            f"ServerName {place.node}",
            f"ServerRoot {place.state}",
            f"DefaultRuntimeDir {place.state}",
            f"PidFile {place.state}/apache.pid",
            *(f"LoadModule {m}_module {_MODULES}/mod_{m}.so" for m in self._modules()),
            "User www-data",
            "Group www-data",
            "TypesConfig /dev/null",
            "AddType text/html .html",
            "AddType text/plain .txt",
            "ErrorLog /dev/stderr",
            "CustomLog /dev/stderr common",
            *self.options,
        ]
        return {"apache.conf": "\n".join(lines) + "\n"}

    def _modules(self) -> tuple[str, ...]:
        return (f"mpm_{self.model}", *_ALWAYS, *self.modules)

    def argv(self, place: Place) -> list[str]:
        """In the foreground; accesses and errors are in its log.

        With ``prefork`` it ends by a signal to its process group, which must not be the run's.
        """
        own_group = ["setsid"] if self.model == "prefork" else []
        return [*own_group, self.program, "-DFOREGROUND", "-f", self._conf(place)]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its port is open."""
        return listens(process, self.port)

    def dry_run(self, place: Place) -> list[str]:
        """Apache's own check of the configuration."""
        return [self.program, "-t", "-f", self._conf(place)]

    def _conf(self, place: Place) -> str:
        return f"{place.configs}/apache.conf"
