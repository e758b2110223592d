"""Whether workers see a folder that a command writes to, as on a shared disk."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from testbed.core import files
from testbed.core.errors import OutputError

_MARK = ".shared"


@dataclass(frozen=True)
class Shared:
    """A folder with a mark in it that no other has.

    Attributes:
        folder: the folder.
        text: content of the mark.
    """

    folder: Path
    text: str

    @classmethod
    def new(cls, folder: Path) -> Shared:
        """For a folder that `mark` will mark."""
        return cls(folder, secrets.token_hex(16))

    def mark(self) -> None:
        """Writes the mark."""
        files.write_text(self.folder / _MARK, self.text)

    @property
    def is_seen(self) -> bool:
        """Whether this machine sees the same folder."""
        with suppress(OSError):
            return (self.folder / _MARK).read_text(encoding="utf-8") == self.text
        return False

    def require(self) -> None:
        """Refuses to work where it is not seen.

        Raises:
            OutputError: names machine and folder.
        """
        if not self.is_seen:
            raise OutputError(
                f"worker {socket.gethostname()}: does not see {self.folder}; use a folder that all"
                " workers share"
            )
