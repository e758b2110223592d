"""What packets say, in a few words, and all their layers with their bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from analysis.packets import RawPacket
    from analysis.tree import Node

MOST_DESCRIBED = 60_000
"""Packets of a page that are put into words; the page has names and lengths of all others."""

MOST_OPENED = 4_000
"""Packets of a page with their layers and bytes."""

FIRST_OPENED = 20
"""Packets at the beginning of each conversation that come before others."""

MOST_BYTES = 2_048
"""Bytes of a packet that the page shows."""


def describe(packets: pd.DataFrame, frames: Iterable[int]) -> pd.DataFrame:
    """Some packets of a capture in words.

    Args:
        packets: the whole capture, with all columns and ``payload``.
        frames: numbers of those that are wanted.

    Returns:
        ``frame``, ``text``, ``mark`` (what is odd about it, or an empty text).
    """
    from analysis import listing, messages, tcp

    shown = packets[packets["frame"].isin(list(frames))]
    segments = tcp.analyse(packets.drop(columns="payload"))
    said = messages.by_frame(messages.find(packets))
    lines = listing.lines(shown.drop(columns="payload"), segments, said)
    return pd.DataFrame(
        {
            "frame": lines["frame"].to_numpy(),
            "text": listing.named(lines),
            "mark": listing.problems(lines),
        }
    )


@dataclass
class Budget:
    """Packets of a page, or of one of its scenes, that may have words and layers."""

    described: int = MOST_DESCRIBED
    opened: int = MOST_OPENED

    def share(self, scenes: int) -> Budget:
        """What one of some scenes may spend."""
        return Budget(self.described // scenes, self.opened // scenes)

    def spend(self, share: Budget, rest: Budget) -> None:
        """Takes away what a scene used of its share."""
        self.described -= share.described - rest.described
        self.opened -= share.opened - rest.opened


def chosen(
    movements: pd.DataFrame,
    packets: NDArray[np.int64],
    talks: NDArray[np.int64],
    first: Iterable[int],
    most: int,
) -> NDArray[np.int64]:
    """Rows of the movements that the page can open: all those of the packets that are chosen.

    Args:
        movements: of `testbed.viewer.movements.find`.
        packets: the packet of each.
        talks: the conversation of each.
        first: rows that come before all others, such as evidence.
        most: how many packets there may be.
    """
    begins = ~pd.Series(packets).duplicated().to_numpy()  # the first movement of a packet
    nth = pd.Series(begins.astype(int)).groupby(talks).cumsum().to_numpy()
    rank = np.where(nth <= FIRST_OPENED, 1, 2)
    rank[movements["status"].to_numpy() == 3] = 1  # lost: people want to know what
    rank[np.fromiter(first, np.int64)] = 0
    ranks = pd.Series(rank).groupby(packets, sort=False).min()
    found = ranks.sort_values(kind="stable").index[:most]
    return np.flatnonzero(np.isin(packets, found.to_numpy()))


def opened(packet: RawPacket) -> dict[str, Any]:
    """A packet's layers, as ``tree`` (name, value, start, length, problem, children) and bytes."""
    from analysis import tree

    root = tree.of_packet(packet)
    return {"tree": [_plain(node) for node in root.children], "hex": packet.data[:MOST_BYTES].hex()}


def _plain(node: Node) -> list[Any]:
    found: list[Any] = [node.name, node.value, node.start, node.length]
    if node.children or node.problem:
        found.append(node.problem)
    if node.children:
        found.append([_plain(child) for child in node.children])
    return found
