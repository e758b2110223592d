"""Scripted peers: packet scripts in packetdrill's notation, compared to 10 µs.

`notation` reads a script (with Lark, on the user's side); `player` plays it in a node with the
standard library alone: it sends what the script sends and compares what comes with what the script
expects.
"""

from __future__ import annotations

from pathlib import Path

_PLAYER = Path(__file__).resolve().parent / "player.py"


def argv(plan: str) -> list[str]:
    """The start-up line of the player for a file that `notation.plan` made."""
    return ["/usr/bin/python3", "-I", "-S", str(_PLAYER), plan]
