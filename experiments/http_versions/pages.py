"""The same page over HTTP/1.0, 1.1 on one connection and on six, HTTP/2 and HTTP/3."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import pandas as pd

from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    between,
    claim,
    holds,
    pick,
    same,
)

CLIENT = "h1-eth0"
"""Where packets are captured."""

OLD, H2C, APACHE, TLS, TLS_OLD = 80, 81, 82, 443, 444
"""The servers on h2, by their ports."""

H3 = 443
"""That of HTTP/3, on UDP."""

NGHTTPD = 445
"""The server that follows priorities."""

PARALLEL = 6
"""Connections that a browser opens to one host."""

RTTS_MS = (40.0, 160.0)
RATE_MBPS = 10.0
LOSS_PERCENT = 2.0
REPEATS = 3

QUIC_WINDOW_BYTES = 12_000
"""The first congestion window: ten datagrams (RFC 9002 §7.2), sent evenly (§7.7)."""

SYN, ACK = 2, 16

_COSTS = ["page", "way", "rtt_ms", "loss_percent", "time_s", "rounds", "wire_bytes", "connections"]


@dataclass(frozen=True)
class Page:
    """A page: some files of one size."""

    name: str
    files: int
    size_bytes: int


SMALL, LARGE = Page("small", 12, 600), Page("large", 12, 20_000)
"""The small one fits into the first window of a connection, which is raised for it."""


@dataclass(frozen=True)
class Way:
    """A way to fetch a page.

    Attributes:
        name: as in steps.
        title: as in figures.
        options: of curl; none: nghttp is the client, or aioquic that of HTTP/3.
        port: of the server.
    """

    name: str
    title: str
    options: tuple[str, ...]
    port: int


WAYS = (
    Way("1.0", "HTTP/1.0", ("--http1.0",), OLD),
    Way("1.1", "HTTP/1.1", ("--http1.1",), OLD),
    Way(
        "six",
        f"HTTP/1.1 on {PARALLEL} connections",
        ("--http1.1", "--parallel", "--parallel-max", str(PARALLEL)),
        OLD,
    ),
    Way("2", "HTTP/2", (), H2C),
    Way("3", "HTTP/3", (), H3),
)


def rounds(way: str, files: int) -> int:
    """Round trips for a page whose files fit into the first window."""
    return {
        "1.0": 2 * files,  # for each file a handshake and a request
        "1.1": 1 + files,
        "six": 1 + ceil(files / PARALLEL),
        "2": 2,
        "3": 2,  # with the handshake of TLS
    }[way]


def step_of(page: Page, way: str, rtt_ms: float, repeat: int | None = None) -> str:
    """The step's name; with the number of a repetition: with loss."""
    lossy = "" if repeat is None else f"-lossy-{repeat}"
    return f"{page.name}-{way}-{rtt_ms:g}{lossy}"


def segments(tables: Tables, step: str) -> pd.DataFrame:
    """A step's TCP segments.

    Raises:
        MissingDataError: there are none.
    """
    found = pick(tables, step, CLIENT)
    found = found[found["tcp_flags"].notna()]
    if found.empty:
        raise MissingDataError(f"step '{step}': no TCP segments at {CLIENT}")
    return found.reset_index(drop=True)


def sent(tables: Tables, step: str, way: str) -> pd.DataFrame:
    """A step's packets that carry a page.

    Raises:
        MissingDataError: there are none.
    """
    if way != "3":
        return segments(tables, step)
    found = pick(tables, step, CLIENT)
    found = found[(found["udp_sport"] == H3) | (found["udp_dport"] == H3)]
    if found.empty:
        raise MissingDataError(f"step '{step}': no QUIC at {CLIENT}")
    return found.reset_index(drop=True)


def from_server(found: pd.DataFrame) -> pd.DataFrame:
    """The server's segments with data."""
    return found[(found["tcp_sport"] < 1024) & (found["tcp_payload_bytes"] > 0)]


def connections(found: pd.DataFrame) -> int:
    """Connections that the client began."""
    if found["tcp_flags"].isna().all():
        return int(found.loc[found["udp_dport"] == H3, "udp_sport"].nunique())
    opening = (found["tcp_flags"].astype("int64") & (SYN | ACK)) == SYN
    return int(found.loc[opening, "tcp_sport"].nunique())


def page_s(found: pd.DataFrame) -> float:
    """From the first SYN to the last byte of the page.

    Raises:
        MissingDataError: the server sent nothing.
    """
    data = from_server(found)
    if data.empty:
        raise MissingDataError("the server sent no data")
    return float(data["time_s"].max() - found["time_s"].min())


def took_s(tables: Tables, step: str, way: str) -> float:
    """From the first packet of a step's page to its last byte.

    Raises:
        MissingDataError: the server sent nothing, or nothing that can be read.
    """
    found = sent(tables, step, way)
    if way != "3":
        return page_s(found)
    data = pick(tables, step, CLIENT, table="http3", from_client=False, type="DATA")
    if data.empty:
        raise MissingDataError(f"step '{step}': no data of HTTP/3 can be read")
    return float(data["time_s"].max() - found["time_s"].min())


def costs(tables: Tables) -> pd.DataFrame:
    """What each page cost; steps without a page are left out.

    Returns:
        one row per step: ``page``, ``way``, ``rtt_ms``, ``loss_percent``, ``time_s``, ``rounds``
        (the same time in round trips), ``wire_bytes`` (both directions, with all headers),
        ``connections``
    """
    known, rows = set(tables.of("steps")["step"]), []
    for page in (SMALL, LARGE):
        for way in WAYS:
            for rtt_ms in RTTS_MS:
                for repeat in (None, *range(REPEATS)):
                    step = step_of(page, way.name, rtt_ms, repeat)
                    if step not in known:
                        continue
                    loss = 0.0 if repeat is None else LOSS_PERCENT
                    found, time_s = sent(tables, step, way.name), took_s(tables, step, way.name)
                    rows.append(
                        {
                            "page": page.name,
                            "way": way.name,
                            "rtt_ms": rtt_ms,
                            "loss_percent": loss,
                            "time_s": time_s,
                            "rounds": 1e3 * time_s / rtt_ms,
                            "wire_bytes": int(found["wire_bytes"].sum()),
                            "connections": connections(found),
                        }
                    )
    return pd.DataFrame(rows, columns=_COSTS)


class Pages(Experiment):
    """How long a page takes, and why."""

    @claim(
        "For n small files that fit into a connection's first window HTTP/1.0 needs 2n round "
        "trips, HTTP/1.1 1 + n on one connection and 1 + n/6 on six, HTTP/2 two, and HTTP/3 two, "
        "although it encrypts.",
        source="RFC 1945 §1.3; RFC 9112 §9.3; RFC 9113 §5; RFC 9114 §4.1; RFC 9000 §7",
    )
    def round_trips_follow_the_formula(self, tables: Tables) -> Verdict:
        """Beyond the round trips a page takes at most the time that its bytes need on the link;
        that of HTTP/3 also the time over which QUIC spreads them, a window per round trip."""
        judged, shown = [], []
        for way in WAYS:
            for rtt_ms in RTTS_MS:
                step = step_of(SMALL, way.name, rtt_ms)
                found = sent(tables, step, way.name)
                shown.append(found)
                wire_ms = float(found["wire_bytes"].sum()) * 8 / (RATE_MBPS * 1e3)
                least_ms = rounds(way.name, SMALL.files) * rtt_ms
                if way.name == "3":
                    wire_ms += rtt_ms * SMALL.files * SMALL.size_bytes / QUIC_WINDOW_BYTES
                took_ms = 1e3 * took_s(tables, step, way.name)
                what = f"{way.title}, {rtt_ms:g} ms"
                judged.append(between(took_ms, least_ms, least_ms + wire_ms, unit="ms", what=what))
        return all_of(*judged).because("segments", pd.concat(shown))

    @claim(
        "HTTP/1.0 has a connection per file; HTTP/1.1, HTTP/2 and HTTP/3 need one.",
        source="RFC 1945 §1.3; RFC 9112 §9.3; RFC 9113 §9.1; RFC 9114 §3.3",
    )
    def connections_are_counted(self, tables: Tables) -> Verdict:
        """SYNs of the small page."""
        expected = {"1.0": SMALL.files, "1.1": 1, "six": PARALLEL, "2": 1, "3": 1}
        seen = {way: sent(tables, step_of(SMALL, way, RTTS_MS[0]), way) for way in expected}
        found = {way: connections(own) for way, own in seen.items()}
        return same(found, expected, "connections").because("packets", pd.concat(seen.values()))

    @claim(
        "HTTP/2 sends fewer bytes for a page of many small files than HTTP/1.1.",
        source="RFC 9113 §1; RFC 7541 §1",
    )
    def bytes_are_fewer(self, tables: Tables) -> Verdict:
        """What the client sends, without headers of TCP and below."""
        asked_bytes, shown = {}, []
        for way in ("1.1", "2"):
            found = segments(tables, step_of(SMALL, way, RTTS_MS[0]))
            asked = found[(found["tcp_dport"] < 1024) & (found["tcp_payload_bytes"] > 0)]
            asked_bytes[way] = int(asked["tcp_payload_bytes"].sum())
            shown.append(asked)
        if not all(asked_bytes.values()):
            raise MissingDataError("a client sent nothing")
        return holds(
            asked_bytes["2"] < asked_bytes["1.1"],
            observed=f"{asked_bytes['2']} bytes with HTTP/2, {asked_bytes['1.1']} with HTTP/1.1",
            expected="fewer with HTTP/2",
        ).because("segments of the clients", pd.concat(shown))

    @claim(
        "On a lossy path one connection, of HTTP/2 or HTTP/3, is slower than six of HTTP/1.1, "
        "which have six windows; on a clean one it wins if the files are small.",
        source="RFC 9114 §1.1; RFC 9113 §9.1; RFC 9002 §7.3",
    )
    def loss_turns_the_tables(self, tables: Tables) -> Verdict:
        """The large page with loss, all repetitions, and the small one without: who is slower."""
        found = costs(tables)
        judged = []
        for page, loss, winner, loser in (
            (SMALL, 0.0, "2", "six"),
            (SMALL, 0.0, "3", "six"),
            (LARGE, LOSS_PERCENT, "six", "2"),
            (LARGE, LOSS_PERCENT, "six", "3"),
        ):
            one = found[(found["page"] == page.name) & (found["loss_percent"] == loss)]
            total = one.groupby("way")["time_s"].sum()
            if not {winner, loser} <= set(total.index):
                raise MissingDataError(f"the {page.name} page was not fetched both ways")
            judged.append(
                at_least(
                    float(total[loser] / total[winner]),
                    1.0,
                    what=f"{page.name} page, {loss:g} % loss: time of {loser} to {winner}",
                )
            )
        return all_of(*judged).because("page times", found)
