"""Dovecot: gives the users of the system their mail over POP3."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place, listens

if TYPE_CHECKING:
    from testbed.author.process import Process


_ALWAYS = """\
protocols = pop3
ssl = no
listen = 0.0.0.0
base_dir = {state}/dovecot
log_path = /dev/stderr
first_valid_uid = 1000
"""

_SINCE_2_4 = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = ~/Maildir
passdb pam {
}
userdb passwd {
}
"""

_BEFORE = """\
disable_plaintext_auth = no
mail_location = maildir:~/Maildir
passdb {
  driver = pam
}
userdb {
  driver = passwd
}
"""


class Dovecot(Daemon):
    """One Dovecot, without TLS: it takes passwords in the clear."""

    name, program, package = "dovecot", "/usr/sbin/dovecot", "dovecot-pop3d"
    also: ClassVar[Mapping[str, str]] = {"/usr/lib/dovecot/pop3": "dovecot-pop3d"}

    def files(self, place: Place) -> dict[str, str]:
        """Its configuration, in the syntax of the version that is installed."""
        own = _SINCE_2_4 if self._version() >= (2, 4) else _BEFORE
        always = _ALWAYS.format(state=place.state)
        return {"dovecot.conf": own + always}  # since 2.4 the versions must come first

    def _version(self) -> tuple[int, int]:
        said = subprocess.run(
            [self.program, "--version"], capture_output=True, text=True, check=True
        )
        major, minor = said.stdout.split(".")[:2]
        return int(major), int(minor)

    def argv(self, place: Place) -> list[str]:
        """In the foreground."""
        return [self.program, "-F", "-c", self._conf(place)]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its port is open."""
        return listens(process, 110)

    def dry_run(self, place: Place) -> list[str]:
        """Dovecot's own check of the configuration."""
        return ["doveconf", "-n", "-c", self._conf(place)]

    def _conf(self, place: Place) -> str:
        return f"{place.configs}/dovecot.conf"
