"""Pictures of captures draw the numbers they are given: each line, mark and label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import flows, packets, tcp
from analysis.plots import captures
from analysis.tcp.states import TRANSITIONS
from testbed import MissingDataError, Tables, plots

CAPTURES = Path(__file__).parents[1] / "captures"

pytestmark = pytest.mark.filterwarnings("error::UserWarning")


@pytest.fixture(scope="module")
def capture() -> pd.DataFrame:
    return packets.read(CAPTURES / "tcp-sender.pcap.gz")


@pytest.fixture(scope="module")
def segments(capture: pd.DataFrame) -> pd.DataFrame:
    """Of the connection with the most data sent again."""
    found = tcp.analyse(capture)
    worst = found.groupby("connection")["retransmission"].sum().idxmax()
    return found[found["connection"] == worst]


def axes_of(figure: Figure) -> Axes:
    (axes,) = figure.axes
    figure.canvas.draw()  # a label that cannot be laid out fails here
    return axes


def drawn(axes: Axes) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Label → x and y of each line that has one."""
    return {
        str(line.get_label()): (np.asarray(line.get_xdata()), np.asarray(line.get_ydata()))
        for line in axes.lines
        if not str(line.get_label()).startswith("_")
    }


def test_throughput_has_a_line_a_flow(capture: pd.DataFrame) -> None:
    rates = flows.rates(flows.with_flow(capture), 0.5)
    lines = drawn(axes_of(captures.throughput(rates)))
    assert len(lines) == rates["flow"].nunique()
    for name, one in rates.groupby("flow"):
        x, y = lines[f"flow {name}"]
        assert x.tolist() == one["start_s"].tolist()
        assert y.tolist() == one["throughput_mbps"].tolist()


def test_round_trips_tell_sure_from_ambiguous(segments: pd.DataFrame) -> None:
    axes = axes_of(captures.round_trips(segments))
    lines = drawn(axes)
    known = segments["ack_rtt_ns"].notna()
    sure = known & ~segments["ack_rtt_ambiguous"]
    assert len(lines["by ACK"][0]) == sure.sum()
    assert lines["by ACK"][1] == pytest.approx(segments.loc[sure, "ack_rtt_ns"].astype(float) / 1e6)
    unsure = known & segments["ack_rtt_ambiguous"]
    told = [len(xy[0]) for label, xy in lines.items() if "twice" in label]
    assert told == ([unsure.sum()] if unsure.any() else [])
    assert axes.get_ylim()[0] == 0


def test_time_sequence_marks_what_was_sent_again(segments: pd.DataFrame) -> None:
    side = int(segments.loc[segments["payload_bytes"] > 0, "side"].mode().iloc[0])
    lines = drawn(axes_of(captures.time_sequence(segments, side)))
    own = segments[(segments["side"] == side) & (segments["payload_bytes"] > 0)]
    again = own["retransmission"]
    assert again.any()
    assert len(lines["sent again"][0]) == again.sum()
    assert len(lines["segment"][0]) == (~again).sum()
    acked = lines["acknowledged up to"][1]
    assert (np.diff(acked) >= 0).mean() > 0.9  # ACKs rise, but for those that overtook others
    silent = drawn(axes_of(captures.time_sequence(segments, 1 - side)))
    assert "sent again" not in silent


def test_distribution_leaves_out_what_is_missing() -> None:
    lines = drawn(axes_of(captures.distribution({"a": [3.0, np.nan, 1.0], "b": []}, "ms")))
    x, share = lines["a (2)"]
    assert (x.tolist(), share.tolist()) == ([1.0, 3.0], [50.0, 100.0])
    assert len(lines["b (0)"][0]) == 0


def test_grouped_keeps_known_numbers() -> None:
    table = pd.DataFrame({"by": ["x", "y", "x"], "v": [1.0, np.nan, 2.0]})
    found = captures.grouped(table, "by", "v")
    assert {name: one.tolist() for name, one in found.items()} == {"x": [1.0, 2.0]}


def test_states_show_the_whole_diagram_and_the_path() -> None:
    capture = packets.read(CAPTURES / "layers.pcap")
    path = tcp.states(tcp.analyse(capture))
    path = path[path["connection"] == path["connection"].iloc[0]]
    axes = axes_of(captures.states(path, ("h1", "h2")))
    texts = [text.get_text() for text in axes.texts if text.get_text()]
    names = {name for pair in TRANSITIONS.items() for name in (pair[0][0], pair[1])}
    assert names <= set(texts)
    taken = [text for text in texts if text[0].isdigit()]
    assert len(taken) == len(path[path["before"] != path["state"]])
    bold = {t.get_text() for t in axes.texts if t.get_fontweight() == "bold"}
    assert bold == {*path["before"], *path["state"]}
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["h1", "h2"]


def test_topology_has_values_on_its_links() -> None:
    links = pd.DataFrame(
        {
            "node1": ["h1", "r1"],
            "node2": ["r1", "h2"],
            "shape": ["10 Mbit/s, 5 ms", None],
            "share": [0.25, 1.0],
        }
    )
    texts = [t.get_text() for t in axes_of(captures.topology(links)).texts]
    assert {"h1", "r1", "h2", "10 Mbit/s\n5 ms"} <= set(texts)
    texts = [t.get_text() for t in axes_of(captures.topology(links, "share")).texts]
    assert {"0.25", "1"} <= set(texts)


@pytest.mark.parametrize("draw", [captures.round_trips, captures.time_sequence])
def test_no_segments_make_an_empty_picture(draw: object, segments: pd.DataFrame) -> None:
    assert callable(draw)
    assert not drawn(axes_of(draw(segments.iloc[:0])))


MESSAGES = pd.DataFrame(
    {
        "scenario": "main",
        "time_s": [0.5, 1.0, 30.0, 31.0],
        "sender": ["r10", "r2", "r10", "r2"],
        "type": ["request", "response", "response", "response"],
    }
)


def test_a_timeline_has_a_row_per_sender_in_natural_order_and_the_steps() -> None:
    steps = pd.DataFrame({"scenario": "main", "time_s": [0.0, 20.0], "step": ["begin", "failure"]})
    tables = Tables(messages=MESSAGES, steps=steps)
    axes = axes_of(plots.timeline(tables, "messages", by="sender", kind="type"))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["r10", "r2"]
    drawn = {str(line.get_label()): line.get_xdata() for line in axes.lines}
    assert list(drawn["request"]) == [0.5] and list(drawn["response"]) == [1.0, 30.0, 31.0]
    assert {text.get_text() for text in axes.texts} == {"begin", "failure"}


def test_throughput_shows_the_bottlenecks_capacity_where_it_is_known() -> None:
    goodput = pd.DataFrame(
        {"scenario": "main", "flow": ["a", "a", "b"], "time_s": [0.0, 1.0, 1.0], "mbps": [4, 5, 3]}
    )
    tables = Tables(goodput=goodput)
    assert _labels(plots.throughput(tables)) == ["a", "b", "all"]
    tables["setting"] = pd.DataFrame({"scenario": ["main"], "rate_mbps": [10.0]})
    tables["flows"] = pd.DataFrame({"scenario": "main", "flow": ["a", "b"], "label": ["A", "B"]})
    assert _labels(plots.throughput(tables)) == ["A", "B", "all", "link, 10 Mbit/s"]
    with pytest.raises(MissingDataError):
        plots.throughput(Tables())


def test_a_window_has_no_phases_where_the_algorithm_has_none() -> None:
    cwnd = pd.DataFrame(
        {
            "scenario": "main",
            "time_s": [0.0, 1.0, 2.0],
            "cwnd_segments": [10, 20, 10],
            "ssthresh_segments": [None, 10, 10],
        }
    )
    phases = pd.DataFrame(
        {"scenario": ["main"], "phase": ["slow start"], "start_s": [0.0], "end_s": [1.0]}
    )
    none = pd.DataFrame({"scenario": pd.Series(dtype=str), "time_s": pd.Series(dtype=float)})
    tables = Tables(cwnd=cwnd, phases=phases, retransmissions=none)
    assert "ssthresh" in _labels(plots.window(tables))
    assert "ssthresh" not in _labels(plots.window(tables, without_phases=["main"]))


def _labels(figure: Figure) -> list[str]:
    return list(axes_of(figure).get_legend_handles_labels()[1])
