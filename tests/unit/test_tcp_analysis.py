"""TCP analysis against tshark's `tcp.analysis` fields (tests/captures/make_tcp.py)."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import packets, tcp
from analysis.tcp.sequence import delivered_by_sack
from testbed.core.errors import ConfigError
from tests.unit.segments import ACK, RST, SYN, Segment, data, segments

CAPTURES = Path(__file__).parents[1] / "captures"
NAMES = sorted(path.name.removesuffix(".pcap.gz") for path in CAPTURES.glob("tcp-*.pcap.gz"))

NUMBERS = {
    "duplicate_ack_num": "duplicate_ack_number",
    "duplicate_ack_frame": "duplicate_ack_frame",
    "acks_frame": "acks_frame",
    "bytes_in_flight": "bytes_in_flight",
}
BOOLEANS = [name for name in tcp.KINDS if name != "timeout_retransmission"] + ["reused_ports"]

EXPLAINED: dict[tuple[str, str], list[int]] = {}
"""Frames in which we differ on purpose; docs/tcp-analysis.md says why. None in these captures."""


def load(name: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    capture = packets.read(CAPTURES / f"{name}.pcap.gz")
    ours = tcp.analyse(capture)
    text = gzip.decompress((CAPTURES / f"{name}.tsv.gz").read_bytes()).decode()
    theirs = pd.read_csv(io.StringIO(text), sep="\t", dtype=str).set_index("frame.number")
    theirs.index = theirs.index.astype(int)
    return capture, ours.set_index("frame"), theirs


@pytest.fixture(scope="module", params=NAMES)
def both(request: pytest.FixtureRequest) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    _, ours, theirs = load(request.param)
    assert ours.index.tolist() == theirs.index.tolist()
    return request.param, ours, theirs


@pytest.mark.parametrize("kind", BOOLEANS)
def test_kind_agrees_with_tshark(both: tuple[str, pd.DataFrame, pd.DataFrame], kind: str) -> None:
    name, ours, theirs = both
    differ = ours[kind] != theirs[f"tcp.analysis.{kind}"].notna()
    assert ours.index[differ].tolist() == EXPLAINED.get((name, kind), [])


@pytest.mark.parametrize("field", list(NUMBERS))
def test_number_agrees_with_tshark(
    both: tuple[str, pd.DataFrame, pd.DataFrame], field: str
) -> None:
    name, ours, theirs = both
    got = ours[NUMBERS[field]].astype("Float64").fillna(-1)
    want = theirs[f"tcp.analysis.{field}"].astype("Float64").fillna(-1)
    assert ours.index[(got != want).to_numpy()].tolist() == EXPLAINED.get((name, field), [])


def test_rtt_and_stream_agree_with_tshark(both: tuple[str, pd.DataFrame, pd.DataFrame]) -> None:
    _, ours, theirs = both
    want = theirs["tcp.analysis.ack_rtt"].astype(float)
    got = ours.ack_rtt_ns.astype("Float64").astype(float) / 1e9
    assert np.allclose(got, want, atol=1e-9, equal_nan=True)
    assert ours.connection.tolist() == theirs["tcp.stream"].astype(int).tolist()


def test_captures_hold_every_kind() -> None:
    """Each kind occurs somewhere, so that agreement means something."""
    seen = pd.concat([load(name)[1][list(tcp.KINDS)] for name in NAMES])
    never = [kind for kind in tcp.KINDS if not seen[kind].any()]
    assert never == []


def test_handshake_rtt_is_tsharks_initial_rtt() -> None:
    capture, ours, theirs = load("tcp-sender")
    table = tcp.connections(capture, tcp.analyse(capture)).set_index(["connection", "side"])
    initial = theirs["tcp.analysis.initial_rtt"].astype(float).groupby(ours.connection).last()
    got = table.xs(0, level="side").handshake_rtt_ns.astype(float) / 1e9
    assert np.allclose(got, initial.loc[got.index], atol=1e-9)
    assert (got > 0).all()


def test_connection_sums() -> None:
    capture, _, _ = load("tcp-sender")
    segments = tcp.analyse(capture)
    table = tcp.connections(capture, segments)
    assert table.segments.sum() == len(segments)
    assert table.payload_bytes.sum() == segments.payload_bytes.sum()
    assert (table.unique_bytes <= table.payload_bytes).all()
    lossy = table[table.retransmission > 0]
    assert (lossy.unique_bytes < lossy.payload_bytes).all()
    assert len(lossy) >= 2
    assert table.mss_bytes.dropna().unique().tolist() == [1460]
    assert table.goodput_mbps.max() < 5  # what the token bucket lets pass


def test_rates_add_up_to_the_bytes() -> None:
    capture, _, _ = load("tcp-receiver")
    segments = tcp.analyse(capture)
    rates = tcp.rates(segments, capture, bin_s=0.25)
    wire = (rates.throughput_mbps * 1e6 / 8 * 0.25).sum()
    assert wire == pytest.approx(capture.wire_bytes[segments.index].sum())
    assert (rates.goodput_mbps <= rates.throughput_mbps).all()
    with pytest.raises(ConfigError, match="bin_s: 0"):
        tcp.rates(segments, capture, bin_s=0)
    with pytest.raises(ConfigError, match="choose a larger one"):
        tcp.rates(segments, capture, bin_s=1e-8)


def test_timestamp_rtt_begins_at_the_first_segment_of_its_tick() -> None:
    capture, ours, _ = load("tcp-sender")
    capture = capture.set_index("frame")
    sure = ours[ours.ack_rtt_ns.notna() & ours.timestamp_rtt_ns.notna()]
    echoes_acked = capture.tcp_tsecr[sure.index].to_numpy() == (
        capture.tcp_tsval[sure.acks_frame.astype(int)].to_numpy()
    )
    same = sure[echoes_acked.astype(bool)]
    assert len(same) > 30
    assert (same.timestamp_rtt_ns >= same.ack_rtt_ns).all()
    assert (same.timestamp_rtt_ns - same.ack_rtt_ns < 10**6).mean() > 0.8  # the clock ticks in ms


def test_ambiguous_rtts_are_marked() -> None:
    """Every ACK that answers data behind their retransmission (RFC 6298 §3)."""
    _, ours, _ = load("tcp-sender")
    checked = 0
    answers = ours[ours.acks_frame.notna()]
    for frame, sent in ours[ours.retransmission].iterrows():
        later = answers[(answers.index > frame) & (answers.connection == sent.connection)]
        later = later[later.ack == sent.seq + sent.payload_bytes]
        assert later.ack_rtt_ambiguous.all()
        checked += len(later)
    assert checked > 20
    assert not answers.ack_rtt_ambiguous.all()


def test_states_of_a_whole_connection() -> None:
    capture, _, _ = load("tcp-random-1")
    path = tcp.states(tcp.analyse(capture))
    client = path[path.side == 0]
    assert client.state.tolist()[:2] == ["SYN-SENT", "ESTABLISHED"]
    assert path[path.side == 1].state.tolist()[:2] == ["SYN-RECEIVED", "ESTABLISHED"]
    assert {"FIN-WAIT-1", "CLOSE-WAIT"} & set(path.state)
    assert (path.before != path.state).all()


def test_missing_column_is_named() -> None:
    with pytest.raises(ConfigError, match="column 'tcp_window' is missing"):
        tcp.analyse(packets.read(CAPTURES / "layers.pcap").drop(columns="tcp_window"))


def test_no_tcp_gives_no_segments() -> None:
    capture = packets.read(CAPTURES / "layers.pcap")
    capture = capture[capture.protocol == "ARP"]
    segments = tcp.analyse(capture)
    assert len(segments) == 0
    assert len(tcp.connections(capture, segments)) == 0
    assert len(tcp.rates(segments, capture)) == 0
    assert len(tcp.states(segments)) == 0


@pytest.mark.parametrize(
    ("ack", "blocks", "delivered"),
    [
        (100, [(200, 300)], 100),
        (100, [(300, 400), (200, 250)], 150),
        (100, [(50, 80)], 0),  # below the ACK: a duplicate (RFC 2883 §4.1)
        (100, [(40, 100), (200, 300)], 100),
        (100, [(220, 240), (200, 300)], 100),  # within the second block: a duplicate (§4.2)
        (2**32 - 10, [(2**32 - 50, 2**32 - 20), (5, 15)], 10),
    ],
)
def test_blocks_that_tell_of_duplicates_deliver_nothing(
    ack: int, blocks: list[tuple[int, int]], delivered: int
) -> None:
    values: dict[str, int | None] = {"tcp_ack": ack, "tcp_sack_count": len(blocks)}
    for number in (1, 2, 3):
        ends = blocks[number - 1] if number <= len(blocks) else (None, None)
        values |= {f"tcp_sack{number}_left": ends[0], f"tcp_sack{number}_right": ends[1]}
    row = pd.DataFrame({name: pd.array([value], "UInt32") for name, value in values.items()})
    assert delivered_by_sack(row, np.array([0])).tolist() == [delivered]


def analysed(*rows: Segment, acks: dict[int, int] | None = None) -> pd.DataFrame:
    """The analysis of a table made by hand; `acks` gives acknowledgement numbers by frame."""
    table = segments(*rows).assign(wire_bytes=60, tcp_window=1000)
    table["tcp_ack"] = [(acks or {}).get(frame, 0) for frame in table["frame"]]
    options = [name for name in tcp.NEEDED if name not in table]
    return tcp.analyse(table.assign(**dict.fromkeys(options))).set_index("frame")


def test_a_connection_opened_again_after_a_reset_starts_from_its_own_numbers() -> None:
    isn, theirs = 1000, 3_900_000_000
    found = analysed(
        (0, isn, SYN, b"", 0),
        (1, 0, RST | ACK, b"", 0),
        (0, isn, SYN, b"", 0),
        (1, theirs, SYN | ACK, b"", 0),
        (0, isn + 1, ACK, b"", 0),
        data(0, isn + 1, b"q" * 125),
        data(1, theirs + 1, b"a" * 100),
        acks={2: isn + 1, 4: isn + 1, 5: theirs + 1, 6: theirs + 1, 7: isn + 126},
    )
    assert found["connection"].tolist() == [0] * 7
    assert not found["retransmission"].any() and not found["lost_segment"].any()
    assert found["seq"].tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert found["ack"].tolist()[3:] == [1, 1, 1, 126]
    assert found["bytes_in_flight"].dropna().tolist() == [125, 100]


def test_a_new_number_in_a_second_answer_is_a_new_beginning() -> None:
    isn, first, second = 1000, 5000, 4_000_000_000
    found = analysed(
        (0, isn, SYN, b"", 0),
        (1, first, SYN | ACK, b"", 0),
        (1, second, SYN | ACK, b"", 0),
        data(0, isn + 1, b"q" * 125),
        data(1, second + 1, b"a" * 50),
        acks={2: isn + 1, 3: isn + 1, 4: second + 1, 5: isn + 126},
    )
    assert not found["retransmission"].any() and not found["lost_segment"].any()
    assert found["seq"].tolist() == [0, 0, 0, 1, 1]
    assert found["bytes_in_flight"].dropna().tolist() == [125, 50]


def test_a_reset_without_ack_acknowledges_nothing() -> None:
    found = analysed(
        data(0, 100, b"ab"),
        (1, 500, ACK, b"", 0),
        data(0, 100, b"ab"),
        (1, 500, RST, b"", 0),
        acks={2: 102, 4: 102},
    )
    assert found["acks_frame"].dropna().to_dict() == {2: 1}
