"""One network with its packets, as the page wants it: a scenario of a run, or a capture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.viewer import consequence, words
from testbed.viewer.columns import Pack

CHUNK = 100
"""Opened packets that are deflated together."""

_TALK = ("protocol", "one", "one_port", "two", "two_port")

Where = tuple[str, int]
"""A capture and a packet's number in it."""


@dataclass
class Scene:
    """A network and what happened in it.

    Attributes:
        name: of the scenario.
        nodes: each with ``name``, ``kind``, ``x``, ``y`` and what else the page shows of it.
        links: each with ``nodes`` (two names), ``interfaces``, ``bend`` and texts.
        movements: of `testbed.viewer.movements.find`; times from the scenario's start.
        end_ns: when it ended.
        texts: ``capture``, ``frame``, ``text``, ``mark`` of the packets that are in words.
        read: reads packets of a capture: (capture, numbers) → number → `RawPacket`.
        events: the run's own.
        more: further data, which the page reads when a node is opened.
        first: packets that must be among those with layers.
    """

    name: str
    nodes: Sequence[Mapping[str, Any]]
    links: Sequence[Mapping[str, Any]]
    movements: pd.DataFrame
    end_ns: int
    texts: pd.DataFrame
    read: Callable[[str, Iterable[int]], Mapping[int, Any]]
    events: Sequence[Mapping[str, Any]] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    first: Sequence[Where] = ()

    @cached_property
    def packets(self) -> NDArray[np.int64]:
        """The packet of each movement, by number."""
        return consequence.packets(self.movements, [link["nodes"] for link in self.links])

    def packed(self, pack: Pack, number: int, budget: words.Budget) -> dict[str, Any]:
        """What the page's beginning says of it; the columns go into the pack.

        Args:
            pack: of the page.
            number: of the scene.
            budget: how many packets may have layers; what is spent is taken away.
        """
        rows, prefix = self.movements, f"s{number}-"
        talk, turned, talks = conversations(rows)
        text, mark, said = self._in_words()
        chosen = words.chosen(rows, self.packets, talk, self.rows_of(self.first), budget.opened)
        budget.opened -= len(np.unique(self.packets[chosen]))
        numbers = {
            "took": rows["took_ns"].to_numpy(),
            "way": (rows["link"] * 2 + rows["end"]).to_numpy(),
            "state": (rows["status"] + 4 * rows["stop"]).to_numpy() + 16 * turned,
            "out": rows["out"].to_numpy(),
            "into": rows["into"].to_numpy(),
            "bytes": rows["bytes"].to_numpy(),
            "flags": rows["flags"].to_numpy(),
            "talk": talk,
            "packet": self.packets,
            "text": text,
            "mark": mark,
        }
        columns = {name: pack.numbers(prefix + name, values) for name, values in numbers.items()}
        columns["sent"] = pack.times(f"{prefix}sent", rows["sent_ns"].to_numpy())
        return {
            "name": self.name,
            "nodes": list(self.nodes),
            "links": list(self.links),
            "end_ns": self.end_ns,
            "events": list(self.events),
            "columns": columns,
            "talks": pack.json(f"{prefix}talks", talks),
            "texts": pack.json(f"{prefix}texts", said),
            "opened": pack.numbers(f"{prefix}opened", chosen),
            "layers": self._layers(pack, prefix, chosen),
            "more": pack.json(f"{prefix}more", self.more),
        }

    def places(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Of each movement the capture that shows it, and the packet's number there."""
        ends = np.array([link["interfaces"] for link in self.links], object).reshape(-1, 2)
        rows = self.movements
        link, end, out = (rows[name].to_numpy(np.int64) for name in ("link", "end", "out"))
        capture = ends[link, np.where(out > 0, end, 1 - end)]
        return capture, np.where(out > 0, out, rows["into"].to_numpy(np.int64))

    def rows_of(self, wanted: Iterable[Where]) -> list[int]:
        """Rows of the movements of some packets; without those that are on no link."""
        return [self._index[place] for place in wanted if place in self._index]

    @cached_property
    def _index(self) -> dict[Where, int]:
        """Row of the movement that shows a packet."""
        found: dict[Where, int] = {}
        rows = self.movements
        ends = [link["interfaces"] for link in self.links]
        for name, turned in (("into", 1), ("out", 0)):
            columns = (rows[column].tolist() for column in ("link", "end", name))
            for row, (link, end, frame) in enumerate(zip(*columns, strict=True)):
                if frame:
                    found[ends[link][end ^ turned], frame] = row
        return found

    def _in_words(self) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
        """Numbers of each movement's text and mark in a list of texts; 0: none."""
        nothing = np.zeros(len(self.movements), np.int64)
        if self.texts.empty:
            return nothing, nothing, [""]
        capture, frame = self.places()
        wanted = pd.DataFrame({"capture": capture, "frame": frame})
        found = wanted.merge(self.texts, on=["capture", "frame"], how="left")[["text", "mark"]]
        codes, said = pd.factorize(pd.concat([pd.Series([""]), *(found[c] for c in found)]))
        codes = np.maximum(codes, 0)[1:]
        return codes[: len(found)], codes[len(found) :], [str(one) for one in said]

    def _layers(self, pack: Pack, prefix: str, chosen: NDArray[np.int64]) -> list[str]:
        """Names of the blocks with the opened packets, `CHUNK` in each."""
        captures, frames = self.places()
        places = list(zip(captures[chosen].tolist(), frames[chosen].tolist(), strict=True))
        packets: dict[Where, Any] = {}
        for capture in dict.fromkeys(name for name, _ in places):
            numbers = {frame for name, frame in places if name == capture}
            for frame, packet in self.read(capture, numbers).items():
                packets[capture, frame] = packet
        opened = [words.opened(packets[place]) for place in places]
        return [
            pack.json(f"{prefix}layers{at // CHUNK}", opened[at : at + CHUNK])
            for at in range(0, len(opened), CHUNK)
        ]


def conversations(
    rows: pd.DataFrame,
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, list[Any]]]:
    """Who talks with whom.

    Args:
        rows: movements.

    Returns:
        the number of each row's conversation; 1 where the packet goes from its second end to its
        first, else 0; and the conversations: ``names`` (addresses and protocols) and, for each
        conversation, ``protocol``, ``one``, ``one_port``, ``two``, ``two_port``.
    """
    joined = pd.api.types.union_categoricals(
        [rows[name].astype("category") for name in ("protocol", "src", "dst")]
    )
    protocol, src, dst = joined.codes.astype(np.int64).reshape(3, -1)
    sport, dport = (rows[name].to_numpy(np.int64) for name in ("sport", "dport"))
    swap = (src > dst) | ((src == dst) & (sport > dport))
    ends = pd.DataFrame(
        {
            "protocol": protocol,
            "one": np.where(swap, dst, src),
            "one_port": np.where(swap, dport, sport),
            "two": np.where(swap, src, dst),
            "two_port": np.where(swap, sport, dport),
        }
    )
    grouped = ends.groupby(list(_TALK), sort=False)
    number: NDArray[np.int64] = grouped.ngroup().to_numpy().astype(np.int64)
    opener = pd.Series(swap).groupby(number).first().to_numpy(bool)
    kept = ends[~pd.Series(number).duplicated().to_numpy()]
    names = [str(name) for name in joined.categories]
    talks: dict[str, list[Any]] = {name: kept[name].tolist() for name in _TALK}
    for place in np.flatnonzero(opener):  # the first end is the one that spoke first
        for one, two in (("one", "two"), ("one_port", "two_port")):
            talks[one][place], talks[two][place] = talks[two][place], talks[one][place]
    turned: NDArray[np.int64] = (swap != opener[number]).astype(np.int64)
    return number, turned, {"names": names, **talks}
