"""Priorities: which responses of a connection the server sends first (RFC 9218)."""

from __future__ import annotations

from analysis import turns
from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    claim,
    near,
    same,
)

from .frames import frames

PRIORITIES = {"u=1": ("urgent3",), "i": ("urgent1", "urgent4"), "u=6": ("urgent0", "urgent2")}
"""What the client says of how urgent it is → files; the most urgent first."""

OPENING = "opening"
"""A file that is asked for first, and is not judged. curl 8 sends the first request together with
the preface, and nghttpd 1.64 begins with its response before it reads on. While that one fills
TCP's send buffer, the server hears of the others."""

URGENT_BYTES = 60_000
"""Less than a stream's first window (RFC 9113 §6.9.2): no response has to wait for a larger one."""

TURNS = 5
"""Two files of 60 kB in frames of at most 16 kB that take turns change more often than this."""


class Priorities(Experiment):
    """Which response comes first."""

    @claim(
        "A client says in the header priority how urgent a response is: u=0 to u=7, and 3 if it "
        "says nothing. The server sends the more urgent first; of equally urgent ones, those with "
        "i (incremental) take turns, and the others come one after another.",
        source="RFC 9218 §4.1, §4.2, §5, §10; RFC 9113 §5.3.2",
    )
    def urgent_responses_come_first(self, tables: Tables) -> Verdict:
        """Five files that are asked for at once, by the stream of each DATA frame."""
        found = frames(tables, "priorities")
        asked = found[found["from_client"] & found["method"].notna()]
        asked = asked[asked["target"] != f"/{OPENING}.txt"]
        data = found[~found["from_client"] & (found["type"] == "DATA")]
        data = data[data["stream"].isin(asked["stream"])]
        if asked.empty or data.empty:
            raise MissingDataError("step 'priorities': no response of HTTP/2 can be read")
        said = [dict(fields).get("priority", "") for fields in asked["headers"]]
        named = list(zip(said, asked["target"], asked["stream"].astype("int64"), strict=True))
        files = {p: [file for own, file, _ in named if own == p] for p in PRIORITIES}
        groups = [{stream for own, _, stream in named if own == p} for p in PRIORITIES]
        wanted = {p: [f"/{name}.txt" for name in names] for p, names in PRIORITIES.items()}
        order = data["stream"].astype("int64").tolist()
        return all_of(
            same(files, wanted, "asked for"),
            near(turns.overtakings(order, groups), 0, abs=0, unit="frames before their time"),
            at_least(
                turns.changes(order, groups[1]), TURNS, unit="changes between the incremental ones"
            ),
            near(turns.changes(order, groups[2]), 1, abs=0, unit="changes between the last ones"),
        ).because("data", data)
