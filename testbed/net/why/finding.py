"""What keeps two hosts from talking."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Finding:
    """The first thing that is wrong.

    Attributes:
        node: where.
        text: what, in a sentence.
        command: shows it, typed at Mininet's command line.
    """

    node: str
    text: str
    command: str

    def on_the_way_back(self) -> Finding:
        """The same, of the answer's way."""
        return replace(self, text=f"packets arrive, but answers do not come back: {self.text}")

    def __str__(self) -> str:
        return f"why: {self.text}\nsee: {self.command}"
