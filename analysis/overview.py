"""What is in a capture: its protocols, who talked to whom, and when.

Each function gives one table; any value of a packet may be missing. All are computed on whole
columns, so that a million packets take a second or two.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis import flows, listing

MOST_BINS = 60
"""Most rows of `over_time`."""

_STEPS = (1, 2, 5)
_SHORTEST_BIN_NS = 1_000


def hierarchy(packets: pd.DataFrame, said: dict[int, tuple[str, str]]) -> pd.DataFrame:
    """Packets and bytes by protocol, each below the one that carries it.

    Args:
        packets: as `analysis.packets.read` gives them.
        said: of `analysis.messages.by_frame`: which packets carry messages of which protocol.

    Returns:
        ``depth`` (from 0), ``protocol``, ``packets``, ``share_percent``, ``bytes``; carriers before
        what they carry, larger ones first.
    """
    counted: dict[tuple[str, ...], list[int]] = {}
    for names, count, octets in _counted_paths(packets, said):
        path: tuple[str, ...] = ()
        for name in filter(None, map(str, names)):
            path = (*path, name)
            total = counted.setdefault(path, [0, 0])
            total[0] += int(count)
            total[1] += int(octets)
    rows = [
        {
            "depth": len(path) - 1,
            "protocol": path[-1],
            "packets": count,
            "share_percent": 100 * count / len(packets),
            "bytes": octets,
        }
        for path, (count, octets) in sorted(counted.items(), key=lambda one: _rank(one[0], counted))
    ]
    return pd.DataFrame(rows, columns=["depth", "protocol", "packets", "share_percent", "bytes"])


def _counted_paths(
    packets: pd.DataFrame, said: dict[int, tuple[str, str]]
) -> Iterator[tuple[list[str], int, int]]:
    """Names of the levels, packets and bytes of each stack of protocols."""
    codes, names = np.zeros(len(packets), np.int64), []
    for level in _levels(packets, said):
        of_level, known = pd.factorize(level)
        codes = codes * len(known) + of_level
        names.append(known)
    stacks, codes = np.unique(codes, return_inverse=True)
    count = np.bincount(codes, minlength=len(stacks))
    octets = np.zeros(len(stacks), np.int64)
    np.add.at(octets, codes, packets["wire_bytes"].to_numpy(np.int64))
    if not len(stacks):
        return
    levels = np.unravel_index(stacks, [len(known) for known in names])
    stacked = [known[of_level] for known, of_level in zip(names, levels, strict=True)]
    for place, stack in enumerate(zip(*stacked, strict=True)):
        yield [str(name) for name in stack], int(count[place]), int(octets[place])


def _rank(path: tuple[str, ...], counted: dict[tuple[str, ...], list[int]]) -> tuple[object, ...]:
    """Sorts a path behind its carrier and before smaller siblings."""
    parts = (path[:length] for length in range(1, len(path) + 1))
    return tuple((-counted[part][0], part[-1]) for part in parts)


def _levels(packets: pd.DataFrame, said: dict[int, tuple[str, str]]) -> list[np.ndarray]:
    """Link, network, transport and application protocol of each packet; empty: none."""
    count = len(packets)
    link, network, inner, application = (np.full(count, "", object) for _ in range(4))
    link[(packets["eth_src"].notna() | packets["eth_type"].notna()).to_numpy(bool)] = "Ethernet"
    names = packets["protocol"].astype(object).fillna("").to_numpy(object)
    version = packets["ip_version"].to_numpy(np.int64, na_value=0)
    for number, name in ((4, "IPv4"), (6, "IPv6")):
        network[version == number] = name
    network = np.where(network == "", names, network)
    above = (version > 0) & (names != network)
    inner[above] = names[above]
    if said:
        frames = packets["frame"].to_numpy(np.int64)
        known = np.flatnonzero(np.isin(frames, np.fromiter(said, np.int64, len(said))))
        application[known] = [said[frame][0] for frame in frames[known].tolist()]
    application[application == inner] = ""
    network[network == ""] = "not decoded"
    return [link, network, inner, application]


def endpoints(packets: pd.DataFrame) -> pd.DataFrame:
    """Who sent and received how much; addresses are those of IP, or else of Ethernet.

    Returns:
        ``address``, ``packets``, ``bytes``, ``sent_packets``, ``sent_bytes``,
        ``received_packets``, ``received_bytes``; the largest first.
    """
    octets = packets["wire_bytes"].astype("int64")
    parts = []
    for end, what in (("src", "sent"), ("dst", "received")):
        sums = octets.groupby(listing.ends(packets, end)).agg(["size", "sum"])
        parts.append(sums.set_axis([f"{what}_packets", f"{what}_bytes"], axis=1))
    both = pd.concat(parts, axis=1).fillna(0).astype("int64")
    both = both[both.index != ""]
    both.insert(0, "packets", both["sent_packets"] + both["received_packets"])
    both.insert(1, "bytes", both["sent_bytes"] + both["received_bytes"])
    both = both.rename_axis("address").reset_index()
    return both.sort_values(["bytes", "address"], ascending=[False, True], ignore_index=True)


def conversations(packets: pd.DataFrame) -> pd.DataFrame:
    """Who talked to whom, by protocol and ports.

    Returns:
        the columns of `analysis.flows.flows` (both ways) and ``start_s`` (since the capture's first
        packet), the largest first.
    """
    found = flows.flows(packets, both_ways=True)
    first = int(packets["time_ns"].iloc[0]) if len(packets) else 0
    found["start_s"] = (found["first_ns"] - first) / 1e9
    return found.sort_values(["wire_bytes", "flow"], ascending=[False, True], ignore_index=True)


def over_time(packets: pd.DataFrame, most: int = MOST_BINS) -> pd.DataFrame:
    """Packets and bytes in at most `most` steps of 1, 2 or 5 times a power of ten.

    Returns:
        ``start_s`` (since the earliest packet), ``step_s``, ``packets``, ``bytes``,
        ``throughput_mbps``.
    """
    columns = ["start_s", "step_s", "packets", "bytes", "throughput_mbps"]
    if packets.empty:
        return pd.DataFrame(columns=columns)
    times = packets["time_ns"].to_numpy(np.int64)
    first = int(times.min())
    step_ns = _step_ns(int(times.max()) - first, most)
    number = (times.astype(object) - first if _is_wild(times) else times - first) // step_ns
    number = number.astype(np.int64)
    bins = int(number.max()) + 1
    octets = np.bincount(number, packets["wire_bytes"].to_numpy(np.float64), bins)
    return pd.DataFrame(
        {
            "start_s": np.arange(bins) * (step_ns / 1e9),
            "step_s": step_ns / 1e9,
            "packets": np.bincount(number, minlength=bins),
            "bytes": octets.astype(np.int64),
            "throughput_mbps": octets * 8e3 / step_ns,
        }
    )


def _is_wild(times: np.ndarray) -> bool:
    """True if the times are so far apart that their differences do not fit into 64 bits."""
    return int(times.max()) - int(times.min()) >= 1 << 63


def _step_ns(span_ns: int, most: int) -> int:
    """The shortest round step with which a span has at most `most` of them."""
    power = _SHORTEST_BIN_NS
    while True:
        for factor in _STEPS:
            if span_ns // (power * factor) < most:
                return power * factor
        power *= 10
