"""vsftpd: an FTP server for the users of the system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from testbed.daemons.base import Daemon, Place, listens

if TYPE_CHECKING:
    from testbed.author.process import Process


_OPTIONS = (
    "listen=YES",
    "background=NO",
    "anonymous_enable=YES",
    "local_enable=YES",
    "write_enable=YES",
    "port_enable=YES",
    "connect_from_port_20=YES",
    "pasv_enable=YES",
    "connect_timeout=5",  # s; then it reports that it cannot reach the client
    "pam_service_name=vsftpd",
    "seccomp_sandbox=NO",  # kills the program where the kernel has calls it does not know
)


@dataclass(frozen=True)
class Vsftpd(Daemon):
    """One vsftpd, with active and passive transfers.

    Attributes:
        anonymous: folder shown to whoever logs in as ``anonymous``; must not be writable.
    """

    name: ClassVar[str] = "vsftpd"
    program: ClassVar[str] = "/usr/sbin/vsftpd"
    package: ClassVar[str] = "vsftpd"
    anonymous: str = "/srv"

    def argv(self, place: Place) -> list[str]:
        """In the foreground.

        Options instead of a file: it refuses files that are not root's, such as those in the run
        directory of an ordinary user.
        """
        options = (*_OPTIONS, f"anon_root={self.anonymous}", f"secure_chroot_dir={place.state}")
        return [self.program, *(f"-o{option}" for option in options)]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its port is open."""
        return listens(process, 21)
