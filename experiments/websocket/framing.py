"""Frames: their headers, masks, fragments, pings and the close."""

from __future__ import annotations

import pandas as pd

from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    claim,
    first,
    near,
    pick,
    same,
)

from .talk import CLIENT, frames, some_frames, texts

SIZES_BYTES = (125, 126, 65_535, 65_536)
"""Of binary messages: the largest and the smallest payload of each form of length."""

PARTS = ("one ", "two ", "three")
TOLERANCE_MS = 2.0
"""Both ends are programs that poll their sockets with a resolution of 1 ms."""


class Framing(Experiment):
    """Frames: their headers, masks, fragments, pings and the close."""

    @claim(
        "A frame's header is small: 2 bytes up to 125 bytes of payload, 4 up to 65,535, 10 beyond; "
        "a mask adds 4.",
        source="RFC 6455 §5.2",
    )
    def headers_are_small(self, tables: Tables) -> Verdict:
        """Every frame of the step against the formula."""
        rows = some_frames(tables, "frames")
        wanted = [
            _header_bytes(n, m)
            for n, m in zip(*(rows[name] for name in ("payload_bytes", "masked")), strict=True)
        ]
        sizes = set(rows[rows["type"] == "binary"]["payload_bytes"].astype(int))
        wrong = int((rows["header_bytes"].astype(int) != wanted).sum())
        return all_of(
            near(wrong, 0, abs=0, unit="headers off the formula"),
            same(sorted(set(SIZES_BYTES) - sizes), [], "sizes not seen"),
        ).because("frames", rows)

    @claim(
        "WebSocket carries messages, text (UTF-8) or binary, and they come out as they went in; a "
        "byte stream has no such borders.",
        source="RFC 6455 §5.6, §8.1",
    )
    def messages_stay_whole(self, tables: Tables) -> Verdict:
        """What the client sent, and what the server sent back."""
        sent, back = (_messages(some_frames(tables, "frames", side=s)) for s in _SIDES)
        kinds = {kind for kind, _ in sent}
        return all_of(
            same(kinds, {"text", "binary"}, "kinds"),
            near(len(back), len(sent), abs=0, unit="messages came back"),
            same(back == sent, True, "as sent"),
        ).because("frames", frames(tables, "frames"))

    @claim(
        "Clients mask every frame with a new key, servers none.",
        source="RFC 6455 §5.1, §5.3, §10.3",
    )
    def only_clients_mask(self, tables: Tables) -> Verdict:
        """All frames of two steps."""
        rows = pd.concat(some_frames(tables, step) for step in ("frames", "push"))
        masked = {side: set(part["masked"]) for side, part in rows.groupby("side")}
        keys = rows[rows["side"] == "client"]["masking_key"].dropna()
        return all_of(
            same(masked, {"client": {True}, "server": {False}}, "masked"),
            near(keys.nunique(), len(keys), abs=0, unit="different keys"),
        ).because("frames", rows)

    @claim(
        "A server must not accept a frame without a mask: it closes the connection.",
        source="RFC 6455 §5.1",
    )
    def unmasked_frames_are_refused(self, tables: Tables) -> Verdict:
        """One such frame, past the client's library; a close frame with code 1002 may come too."""
        rows = some_frames(tables, "unmasked")
        sent = rows[(rows["side"] == "client") & ~rows["masked"].astype(bool)]
        bad = first(sent, "frame of the client without a mask")
        echoed = rows[(rows["side"] == "server") & (rows["message"] > 0)]
        ends = _ends(tables, "unmasked", rows)
        ends = ends[ends["frame"] > bad["frame"]]
        by = "nobody" if ends.empty else str(ends["side"].iloc[0])
        return all_of(
            same(by, "server", "ends the connection"),
            near(len(echoed), 0, abs=0, unit="messages back"),
        ).because("frames, and the end", pd.concat([rows, ends]))

    @claim(
        "A ping is answered with a pong that has its data, one round trip later.",
        source="RFC 6455 §5.5.2–5.5.3",
        bears_stall_s=0.0002,
    )
    def pongs_answer_pings(self, tables: Tables) -> Verdict:
        """Pings of the client, at the client."""
        pings = some_frames(tables, "frames", type="ping", side="client")
        pongs = some_frames(tables, "frames", type="pong", side="server")
        round_trip_ms = 2 * self._delay_ms()
        pairs = zip(pings["time_s"], pongs["time_s"], strict=False)
        waits_ms = [1000 * (pong - ping) for ping, pong in pairs]
        data = [[bytes(one) for one in rows["data"]] for rows in (pings, pongs)]
        return all_of(
            same(data[1], data[0], "data"),
            *(near(w, round_trip_ms, abs=TOLERANCE_MS, unit="ms") for w in waits_ms),
        ).because("pings and pongs", pd.concat([pings, pongs]))

    @claim(
        "A message may come in several frames, and a control frame may come between them; the "
        "receiver still gets one message.",
        source="RFC 6455 §5.4",
    )
    def fragments_make_one_message(self, tables: Tables) -> Verdict:
        """A text in parts with a ping inside, and its echo."""
        sent = some_frames(tables, "frames", side="client")
        parts = sent[(sent["message_type"] == "text") & ~sent["fin"].astype(bool)]
        if parts.empty:
            raise MissingDataError("the client sent no message in parts")
        number = parts["message"].iloc[0]
        whole = sent[sent["message"] == number]
        inside = sent.loc[whole.index.min() : whole.index.max()]
        back = texts(some_frames(tables, "frames", side="server"))
        return all_of(
            same(list(whole["type"].iloc[:2]), ["text", "continuation"], "frames"),
            same(list(whole["fin"].astype(bool)), [False] * (len(whole) - 1) + [True], "FIN"),
            at_least(int((inside["type"] == "ping").sum()), 1, unit="ping between"),
            same("".join(PARTS) in back, True, "one message back"),
        ).because("frames", inside)

    @claim(
        "Both ends say goodbye with a close frame and its code; then the server closes TCP first.",
        source="RFC 6455 §1.4, §5.5.1, §7.1.1",
    )
    def both_say_goodbye(self, tables: Tables) -> Verdict:
        """Close frames of both sides, and the FINs after them."""
        closes = frames(tables, "frames", type="close")
        codes = {
            str(r["side"]): "none" if pd.isna(r["close_code"]) else int(r["close_code"])
            for r in closes.to_dict("records")
        }
        packets = pick(tables, "frames", CLIENT)
        fins = packets[(packets["tcp_flags"].fillna(0).astype(int) & 1) > 0]
        if fins.empty:
            raise MissingDataError("the connection did not end")
        port = int(fins["tcp_sport"].iloc[0])
        late = int(fins["frame"].iloc[0]) > int(closes["frame"].max() if len(closes) else 0)
        return all_of(
            same(codes, {"client": 1000, "server": 1000}, "close codes"),
            same(late, True, "TCP ends after the close frames"),
            same(port < 1024, True, "the server's FIN comes first"),
        ).because("closes and FINs", pd.concat([closes, fins]))

    def _delay_ms(self) -> float:
        return float(self.params.delay_ms)


def _ends(tables: Tables, step: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Who ends a connection, in order: close frames, FINs and resets, with their `side`."""
    packets = pick(tables, step, CLIENT, ip_proto=6)
    ending = packets[(packets["tcp_flags"].fillna(0).astype(int) & _FIN_OR_RST) > 0].copy()
    client = rows.loc[rows["side"] == "client", "ip_src"].iloc[0]
    ending["side"] = (ending["ip_src"] == client).map({True: "client", False: "server"})
    return pd.concat([rows[rows["type"] == "close"], ending]).sort_values("frame", kind="stable")


_SIDES = ("client", "server")
_FIN_OR_RST = 0x01 | 0x04


def _header_bytes(payload_bytes: int, masked: bool) -> int:
    """§5.2."""
    extended = 0 if payload_bytes < 126 else 2 if payload_bytes < 1 << 16 else 8
    return 2 + extended + 4 * bool(masked)


def _messages(rows: pd.DataFrame) -> list[tuple[str, bytes]]:
    """Kind and contents of the messages of one side, in their order."""
    found = rows[rows["message"] > 0].groupby("message")
    return [
        (str(part["message_type"].iloc[0]), b"".join(bytes(one) for one in part["data"]))
        for _, part in found
    ]
