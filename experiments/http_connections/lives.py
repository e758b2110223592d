"""How connections begin, how long they stay, and how they end."""

from __future__ import annotations

from itertools import pairwise

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
    inconclusive,
    near,
    same,
)

from .crowds import BLOCKED_S, IDLE
from .servers import BIG_BYTES, KEPT_S, LARGE_BYTES, REFUSAL_BYTES
from .talk import (
    ACK,
    CLIENT,
    FIN,
    RST,
    SERVER,
    SYN,
    both,
    flagged,
    said,
    segments,
    statuses,
)

STALL_S = 0.01


class Lives(Experiment):
    """How connections begin, how long they stay, and how they end."""

    @claim(
        "First a TCP connection to port 80 is opened; then the request goes out, then the response "
        "comes.",
        source="RFC 9110 §4.2.1; RFC 9112 §9.1; RFC 9293 §3.5",
    )
    def connection_comes_first(self, tables: Tables) -> Verdict:
        """The first segments of a connection, without mere acknowledgements of data."""
        found = segments(tables, "first")
        told = [_kind(row) for row in found.to_dict("records")]
        begun = flagged(found, SYN, "client")
        if begun.empty:
            raise MissingDataError("no connection began")
        wanted = ["client: SYN", "server: SYN, ACK", "client: ACK", "client: data", "server: data"]
        order = [word for word in told if word != "server: ACK"][: len(wanted)]
        return all_of(
            same(order, wanted, "order"),
            same(set(begun["tcp_dport"].astype(int)), {80}, "port"),
        ).because("its segments", found.head(8))

    @claim(
        "HTTP/1.0 closes after the response unless the client asks to keep the connection; "
        "HTTP/1.1 keeps it unless one side says close.",
        source="RFC 9112 §9.3, §9.6; RFC 1945 §1.3; RFC 2068 §19.7.1",
    )
    def versions_close_and_keep(self, tables: Tables) -> Verdict:
        """Responses on each connection, and who closes it."""
        steps = ("old", "old-kept", "new", "new-close")
        found = {step: (len(statuses(tables, step)), _closer(tables, step)) for step in steps}
        wanted = {
            "old": (1, "server"),
            "old-kept": (2, "client"),
            "new": (2, "client"),
            "new-close": (1, "server"),
        }
        return same(found, wanted, "responses, closed by").because(
            "requests and responses", both(tables, *steps)
        )

    @claim(
        "A kept connection is closed by the server when it has been idle for the keep-alive "
        "timeout; each request starts the time again.",
        source="RFC 9112 §9.5",
        bears_stall_s=STALL_S,
    )
    def idle_connections_are_closed(self, tables: Tables) -> Verdict:
        """Two requests ten seconds apart, and silence."""
        answers = said(tables, "idle", "response")
        found = segments(tables, "idle")
        begun = flagged(found, SYN, "client")
        left = flagged(found, FIN, "client")["frame"].min()
        ends = flagged(found, FIN, "server")
        ends = ends[~(ends["frame"] > left)]  # not those that answer the client's
        if len(answers) < 2:
            return inconclusive("fewer than two responses", "two on one connection")
        closed = len(ends) > 0
        idle_s = float(ends["time_s"].min() - answers["time_s"].max()) if closed else None
        parts = [
            near(len(begun), 1, abs=0, unit="connection"),
            same(closed, True, "closed by the server"),
        ]
        if closed:
            parts.append(near(idle_s, KEPT_S, abs=0.1, unit="s idle"))
        return all_of(*parts).because("responses", answers).because("the end", ends)

    @claim(
        "A server may close at any time: a request that crosses its FIN gets a reset instead of a "
        "response, and must be sent again on a new connection.",
        source="RFC 9112 §9.3.1, §9.5; RFC 9293 §3.10.7.1",
    )
    def late_requests_are_reset(self, tables: Tables) -> Verdict:
        """A request that leaves just before the server's FIN arrives."""
        asked = said(tables, "crossing", "request", SERVER)
        at_server = segments(tables, "crossing", SERVER)
        ends = flagged(at_server, FIN, "server")
        if len(asked) < 2 or ends.empty or ends["frame"].min() > asked["frame"].iloc[1]:
            return inconclusive("the request did not cross the FIN", "FIN first, at the server")
        first_port = asked["tcp_sport"].iloc[1]
        resets = flagged(segments(tables, "crossing"), RST, "server")
        on_first = said(tables, "crossing", "response")
        answered = int((on_first["tcp_dport"] == first_port).sum())
        return all_of(
            near(answered, 1, abs=0, unit="responses on the first connection"),
            at_least(len(resets), 1, unit="resets from the server"),
            same(statuses(tables, "crossing"), [200, 200], "status with the second try"),
        ).because("requests and responses", both(tables, "crossing"))

    @claim(
        "A client that has closed its own direction still gets the whole response.",
        source="RFC 9293 §3.6; RFC 9112 §9.6",
    )
    def half_closed_connections_still_receive(self, tables: Tables) -> Verdict:
        """The client's FIN comes before the response."""
        found = segments(tables, "half-closed")
        ends = flagged(found, FIN, "client")
        data = found[(found["by"] == "server") & (found["tcp_payload_bytes"] > 0)]
        answers = said(tables, "half-closed", "response")
        whole = answers[answers["complete"].astype(bool)]
        asked = said(tables, "half-closed", "request")
        early = len(ends) > 0 and len(data) > 0 and ends["frame"].min() < data["frame"].min()
        return all_of(
            near(len(asked), 1, abs=0, unit="request"),
            same(early, True, "closed before the response"),
            same([int(n) for n in whole["body_bytes"]], [LARGE_BYTES], "bytes of body"),
        ).because("request and response", both(tables, "half-closed"))

    @claim(
        "A reset ends both directions: the server sends nothing more of the response.",
        source="RFC 9293 §3.5.3, §3.10.7.4",
    )
    def resets_end_both_directions(self, tables: Tables) -> Verdict:
        """A client that aborts in the middle of a long file, as the server's side sees it."""
        found = segments(tables, "aborted", SERVER)
        resets = flagged(found, RST, "client")
        data = found[(found["by"] == "server") & (found["tcp_payload_bytes"] > 0)]
        if data.empty:
            return inconclusive("the server sent nothing", "the beginning of a file")
        arrived = len(resets) > 0
        after = int((data["frame"] > resets["frame"].min()).sum()) if arrived else len(data)
        return all_of(
            same(arrived, True, "reset arrived"),
            near(after, 0, abs=0, unit="segments with data after it"),
            at_most(int(data["tcp_payload_bytes"].sum()), BIG_BYTES - 1, unit="bytes sent"),
        ).because("data and reset", pd.concat([data.tail(3), resets.head(1)]))

    @claim(
        "A server that refuses a body and closes at once resets the connection, and the rest of "
        "its response is lost; one that closes in steps delivers it.",
        source="RFC 9112 §9.6; RFC 9293 §3.6.1",
    )
    def closing_at_once_loses_the_response(self, tables: Tables) -> Verdict:
        """413 while the client still sends, by two servers."""
        found = {step: _delivered(tables, step) for step in ("hasty", "patient")}
        wanted = {"hasty": (True, False), "patient": (False, True)}
        answers = both(tables, "hasty", "patient")
        return same(found, wanted, "reset before the end, whole response").because(
            "requests and responses", answers
        )

    @claim(
        "Each idle connection costs the server a socket and kernel memory: twice as many cost "
        "twice as much.",
        source="RFC 9112 §9.5",
    )
    def idle_connections_cost_memory(self, tables: Tables) -> Verdict:
        """Batches of connections, each after one response: sockets, and the kernel's objects."""
        counts = [_kept_sockets(tables, f"idle-{step}") for step in _BATCHES]
        memory = tables.of("memory")
        slab = [memory[memory["step"] == f"idle-{step}"]["slab_bytes"] for step in _BATCHES]
        known = min(memory["slab_bytes"].min(), memory["socket_bytes"].min()) > 0
        if any(len(one) == 0 for one in slab) or not known:
            return inconclusive("the kernel does not tell its memory", "numbers")
        levels = [float(one.iloc[0]) for one in slab]
        first, second = (after - before for before, after in pairwise(levels))
        least = 2 * IDLE * float(memory["socket_bytes"].iloc[0])  # both ends are in one kernel
        return all_of(
            same(counts, [0, IDLE, 2 * IDLE], "sockets"),
            at_least(first, least, unit="bytes for one batch"),
            near(second / first if first else None, 1, abs=0.25, unit="of that for the next"),
        ).because("memory", memory)

    @claim(
        "Idle connections shut others out: when a server has as many as it takes, a new client "
        "is connected by the kernel and gets no response until some leave.",
        source="RFC 9112 §9.5; RFC 9110 §17.1",
    )
    def idle_connections_shut_others_out(self, tables: Tables) -> Verdict:
        """A request behind a hundred idle connections."""
        asked = said(tables, "crowded", "request")
        during = statuses(tables, "crowded")
        after = statuses(tables, "released", asked_in="crowded")
        begun = flagged(segments(tables, "crowded"), SYN, "server")
        mine = begun[begun["tcp_dport"] == asked["tcp_sport"].iloc[-1]]
        answers = said(tables, "released", "response")
        waited_s = float(answers["time_s"].min() - asked["time_s"].max()) if len(answers) else None
        parts = [
            near(len(mine), 1, abs=0, unit="SYN+ACK for the newcomer"),
            same((during, after), ([], [200]), "status in the crowd, and after it"),
        ]
        if waited_s is not None:
            parts.append(at_least(waited_s, BLOCKED_S, unit="s waited"))
        return all_of(*parts).because("request", asked).because("response", answers)


_BATCHES = ("none", "one-batch", "two-batches")


def _kind(row: dict[object, object]) -> str:
    """A segment by its sender and its purpose."""
    flags = int(str(row["tcp_flags"] or 0))
    data = ["data"] if int(str(row["tcp_payload_bytes"] or 0)) else []
    names = [name for name, bit in (("SYN", SYN), ("ACK", ACK)) if flags & bit]
    return f"{row['by']}: {', '.join(names if flags & SYN else data or names)}" + (
        " and data" if flags & SYN and data else ""
    )


def _closer(tables: Tables, step: str) -> str:
    """Who sends the first FIN."""
    ends = flagged(segments(tables, step), FIN)
    return "nobody" if ends.empty else str(ends.sort_values("frame")["by"].iloc[0])


def _delivered(tables: Tables, step: str) -> tuple[bool, bool]:
    """A reset from the server came; the response came whole, as the client sees it."""
    codes, answers = statuses(tables, step), said(tables, step, "response")
    whole = answers[answers["complete"].astype(bool) & (answers["body_bytes"] == REFUSAL_BYTES)]
    resets = flagged(segments(tables, step, CLIENT), RST, "server")
    return len(resets) > 0, len(whole) == 1 and codes == [413]


def _kept_sockets(tables: Tables, step: str) -> int:
    """nginx's open connections, as the kernel lists them at the end of a step."""
    begun = tables.of("steps", step=step)["time_s"].iloc[0]
    seen = tables.rows("sockets")
    later = seen[seen["time_s"] >= begun]
    if later.empty:
        raise MissingDataError(f"the kernel listed no sockets in the step '{step}'")
    last = later[later["time_s"] == later["time_s"].min()]
    return int(((last["state"] == "ESTABLISHED") & (last["port"] == 80)).sum())
