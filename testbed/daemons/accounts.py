"""The account that servers of a run know.

`testbed/guest_init/etc` has it in ``passwd`` and ``shadow``; servers look it up by PAM. The
password is public: it is there to be sniffed.
"""

from __future__ import annotations

from pathlib import Path

USER = "alice"
"""Name of the account."""

PASSWORD = "rosebud"
"""Its password."""

HOME = Path("/home/alice")
"""The same folder on every node."""
