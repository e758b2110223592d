"""Exim: a mail server that delivers to the users of the system."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.accounts import PASSWORD, USER
from testbed.daemons.base import Daemon, Place, listens

if TYPE_CHECKING:
    from testbed.author.process import Process


_CONFIG = """\
primary_hostname = {node}
qualify_domain = {domain}
domainlist local_domains = {domain}
spool_directory = {spool}
log_file_path = {spool}/%slog
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
auth_advertise_hosts = *
smtp_banner = $primary_hostname ESMTP
received_header_text = Received: from $sender_helo_name by $primary_hostname
acl_smtp_auth = accept
acl_smtp_rcpt = check_recipient

begin acl
check_recipient:
  accept domains = +local_domains
  deny message = relay not permitted

begin routers
local:
  driver = accept
  check_local_user
  transport = maildir

begin transports
maildir:
  driver = appendfile
  directory = $home/Maildir
  maildir_format
  create_directory

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
"""

_OWNER = "Debian-exim"


@dataclass(frozen=True)
class Exim(Daemon):
    """One Exim, without TLS: it accepts letters for its domain, and passwords in the clear.

    Attributes:
        domain: the domain of its mailboxes.
    """

    name: ClassVar[str] = "exim"
    program: ClassVar[str] = "/usr/sbin/exim4"
    package: ClassVar[str] = "exim4-daemon-light"
    domain: str = "example.org"

    def files(self, place: Place) -> dict[str, str]:
        """Its configuration."""
        given = {"domain": self.domain, "user": USER, "password": PASSWORD}
        spool = f"{place.state}/exim"
        return {"exim.conf": _CONFIG.format(node=place.node, spool=spool, **given)}

    def folders(self, place: Place) -> dict[str, Path]:
        """Where it looks for its configuration; deliveries lose their rights with any other."""
        folder = place.state / "exim4"
        folder.mkdir(exist_ok=True)
        return {"/etc/exim4": folder}

    def argv(self, place: Place) -> list[str]:
        """In the foreground.

        It reads only files that are root's, and writes its spool as a user of its own; so the
        shell copies the one and makes the other first.
        """
        copy = f"cp {shlex.quote(self._conf(place))} /etc/exim4/exim4.conf"
        spool = f"install -d -o {_OWNER} -g {_OWNER} {shlex.quote(f'{place.state}/exim')}"
        return ["sh", "-c", f"{copy} && {spool} && exec {self.program} -v -bdf -oX 25"]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its port is open."""
        return listens(process, 25)

    def dry_run(self, place: Place) -> list[str]:
        """Exim's own check of the configuration."""
        return [self.program, "-bV", "-C", self._conf(place)]

    def _conf(self, place: Place) -> str:
        return f"{place.configs}/exim.conf"
