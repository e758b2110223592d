"""Priorities: which of the responses on a connection the server sends first (RFC 9218)."""

from __future__ import annotations

import pandas as pd

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
    pick,
    same,
)

from .talk import CLIENT, SERVER, frames
from .visits import LATER, PRIORITIES, TURNS


def requests(tables: Tables, step: str) -> dict[int, tuple[str, str]]:
    """Stream → path and Priority field value of its request, as packets have them.

    Raises:
        MissingDataError: no request can be read.
    """
    said = pick(tables, step, CLIENT, table="http3", from_client=True, kind="request")
    said = said[said["target"].notna()]
    if said.empty:
        raise MissingDataError(f"step '{step}': no request of HTTP/3 can be read")
    return {
        int(row["stream"]): (str(row["target"]), dict(row["headers"]).get("priority", ""))
        for row in said.to_dict("records")
    }


def sent(tables: Tables, step: str, capture: str) -> pd.DataFrame:
    """STREAM frames with a server's responses, in the order in which they left.

    Raises:
        MissingDataError: there are none.
    """
    found = frames(tables, step, capture=capture, from_client=False, type="STREAM")
    found = found[(found["stream"] % 4 == 0) & (found["data_bytes"] > 0)]
    if found.empty:
        raise MissingDataError(f"step '{step}': no data of QUIC that can be read")
    return found.sort_values("number", kind="stable").reset_index(drop=True)


class Priorities(Experiment):
    """Which response comes first."""

    @claim(
        "A client says how urgent each response is: 0 to 7, and 3 if it says nothing. The server "
        "sends the more urgent first; of equally urgent ones, incremental ones take turns, and "
        "the others come one after another.",
        source="RFC 9218 §4.1, §4.2, §5, §10",
    )
    def urgent_responses_come_first(self, tables: Tables) -> Verdict:
        """Five files that are asked for at once, by the stream of each frame that came."""
        step = "priorities"
        asked, data = requests(tables, step), sent(tables, step, CLIENT)
        groups = [{s for s, (_, said) in asked.items() if said == one} for one in PRIORITIES]
        files = {said: [p for p, own in asked.values() if own == said] for said in PRIORITIES}
        order = data["stream"].astype("int64").tolist()
        return all_of(
            same(files, {said: list(paths) for said, paths in PRIORITIES.items()}, "asked for"),
            near(turns.overtakings(order, groups), 0, abs=0, unit="frames before their time"),
            at_least(
                turns.changes(order, groups[1]), TURNS, unit="changes between the incremental ones"
            ),
            near(turns.changes(order, groups[2]), 1, abs=0, unit="changes between the last ones"),
        ).because("data", data.head(12))

    @claim(
        "A client that changes its mind says so in a PRIORITY_UPDATE frame, and the server follows "
        "at once, in the middle of a response.",
        source="RFC 9218 §7.2, §10",
    )
    def updates_change_the_order(self, tables: Tables) -> Verdict:
        """At the server: the streams of the frames that it sent before and after the update."""
        step = "update"
        small = [stream for stream, (path, _) in requests(tables, step).items() if path == LATER]
        data = sent(tables, step, SERVER)
        said = pick(tables, step, SERVER, table="http3", type="PRIORITY_UPDATE")
        if said.empty or not small:
            raise MissingDataError(f"step '{step}': no PRIORITY_UPDATE that can be read")
        at_s = float(said["time_s"].iloc[0])
        before, after = data[data["time_s"] < at_s], data[data["time_s"] >= at_s]
        own = after["stream"] == small[0]
        first = after[: own.sum()]
        return (
            all_of(
                same(said["detail"].tolist(), [f"{small[0]}: u=0"], "said"),
                near(int((before["stream"] == small[0]).sum()), 0, abs=0, unit="frames before it"),
                at_least(int(own.sum()), 2, unit="frames after it"),
                near(int((first["stream"] != small[0]).sum()), 0, abs=0, unit="others among them"),
                at_least(int((~own).sum()), 1, unit="frames of the other response afterwards"),
            )
            .because("the update", said)
            .because("data", pd.concat([before.tail(3), after.head(6)]))
        )
