"""What a connection outlives: another address, other keys, silence."""

from __future__ import annotations

import pandas as pd

from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    at_most,
    claim,
    near,
    pick,
    same,
)

from .talk import CLIENT, elsewhere, frames, moved_s, packets, whole
from .visits import IDLE_S, LARGE_BYTES, PORT


class Moves(Experiment):
    """What a connection outlives."""

    @claim(
        "A QUIC connection is not bound to addresses: the client's address changes in the middle "
        "of a download, the server proves the new one with a challenge, and the download goes on, "
        "without another handshake.",
        source="RFC 9000 §9, §8.2",
    )
    def download_survives_a_new_address(self, tables: Tables) -> Verdict:
        """Packets behind the change."""
        found = frames(tables, "move")
        later = found[found["time_s"] > moved_s(tables, "move")]
        away = later[elsewhere(later, found)]
        data = away[(away["type"] == "STREAM") & ~away["from_client"] & (away["stream"] == 0)]
        asked = away[(away["type"] == "PATH_CHALLENGE") & ~away["from_client"]]
        proven = away[(away["type"] == "PATH_RESPONSE") & away["from_client"]]
        body = found[(found["type"] == "STREAM") & ~found["from_client"] & (found["stream"] == 0)]
        reached, ended = whole(body)
        return all_of(
            at_least(int(data["data_bytes"].sum()), 1, unit="bytes to the new address"),
            same(bool(set(asked["challenge"]) & set(proven["challenge"])), True, "challenge met"),
            same(ended and reached > LARGE_BYTES, True, "whole file"),
            same(found["connection"].nunique(), 1, "connections"),
            same("Initial" in set(later["packet"]), False, "another handshake"),
        ).because("packets to and from the new address", packets(away).head(8))

    @claim(
        "A TCP connection is bound to its addresses and ports: the same change stops the download.",
        source="RFC 9293 §3.3.1; RFC 9000 §9",
    )
    def download_over_tcp_stops(self, tables: Tables) -> Verdict:
        """Data before, and what the client sends while it is elsewhere."""
        found = pick(tables, "tcp-move", CLIENT)
        found = found[found["tcp_flags"].notna()]
        away_s, home_s = moved_s(tables, "tcp-move"), moved_s(tables, "tcp-move", "home")
        data = found[(found["tcp_sport"] == PORT) & (found["tcp_payload_bytes"] > 0)]
        before = data[data["time_s"] <= away_s]
        if before.empty:
            raise MissingDataError("step 'tcp-move': no data before the change")
        meanwhile = found[(found["time_s"] > away_s) & (found["time_s"] < home_s)]
        answers = meanwhile[meanwhile["tcp_dport"] == PORT]
        came = int(data.drop_duplicates("tcp_seq")["tcp_payload_bytes"].sum())
        return all_of(
            at_most(came, LARGE_BYTES - 1, unit="bytes of the file and more that come in all"),
            near(len(answers), 0, abs=0, unit="segments of the client while it is elsewhere"),
        ).because("around the change", pd.concat([before.tail(2), meanwhile.head(4)]))

    @claim(
        "New keys need no handshake: one side flips a bit of the header, the other follows, and "
        "the data continue.",
        source="RFC 9001 §6",
    )
    def one_bit_changes_the_keys(self, tables: Tables) -> Verdict:
        """The key phase of packets with short headers."""
        found = packets(frames(tables, "keys", packet="1-RTT"))
        phases = {
            side: found.loc[found["from_client"] == (side == "client"), "key_phase"].tolist()
            for side in ("client", "server")
        }
        data = frames(tables, "keys", type="STREAM", from_client=False, key_phase=1)
        changed = found[found["key_phase"] == 1]
        begin_s = float(changed["time_s"].min()) if len(changed) else float("inf")
        every = frames(tables, "keys")
        late = set(every.loc[every["time_s"] >= begin_s, "packet"])
        return all_of(
            same({side: sorted(set(seen)) for side, seen in phases.items()}, _BOTH, "key phases"),
            at_least(int(data["data_bytes"].sum()), 1, unit="bytes under the new keys"),
            same(late - {"1-RTT"}, set(), "packets of handshakes since"),
        ).because("packets with the new keys", changed.head(4))

    @claim(
        "A connection on which nothing arrives for the idle timeout ends without any packet; "
        "otherwise CONNECTION_CLOSE ends it at once.",
        source="RFC 9000 §10.1, §10.2",
    )
    def silence_ends_a_connection(self, tables: Tables) -> Verdict:
        """Frames that close, and what the client said when."""
        closes = {
            step: len(frames(tables, step, type="CONNECTION_CLOSE")) for step in ("open", "silence")
        }
        found = frames(tables, "silence")
        ends = pick(tables, "silence", None, table="ends")
        if ends.empty:
            raise MissingDataError("step 'silence': the client does not say how it ended")
        waited_s = float(ends["time_s"].iloc[0]) - float(found["time_s"].max())
        return all_of(
            same(closes["open"] > 0, True, "CONNECTION_CLOSE where the client has finished"),
            same(closes["silence"], 0, "CONNECTION_CLOSE where it stays"),
            near(waited_s, IDLE_S, abs=IDLE_S / 10, unit="s from the last packet to the end"),
        ).because("the last packets", packets(found).tail(3))


_BOTH = {"client": [0, 1], "server": [0, 1]}
