"""What a request must say, when its body is sent, and who is behind whom."""

from __future__ import annotations

from typing import Any

from analysis.dissect import http
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

from .acts import BODY_BYTES, SLOW_S
from .talk import SERVER, both, said, segments, setting, statuses, text


class Asking(Experiment):
    """What a request must say, when its body is sent, and who is behind whom."""

    @claim(
        "HTTP/1.1 requires Host: a request without it gets 400, and so does one with two; "
        "HTTP/1.0 does without.",
        source="RFC 9112 §3.2; RFC 9110 §7.2",
    )
    def host_is_required(self, tables: Tables) -> Verdict:
        """The same page, without Host, with two, and in the old version."""
        steps = ("no-host", "two-hosts", "old-no-host")
        found = {step: statuses(tables, step) for step in steps}
        wanted = {"no-host": [400], "two-hosts": [400], "old-no-host": [200]}
        return same(found, wanted, "status").because("requests and responses", both(tables, *steps))

    @claim(
        "Host tells two sites at one address and port apart, even on one connection.",
        source="RFC 9110 §7.2, §4.2.3",
    )
    def host_chooses_the_site(self, tables: Tables) -> Verdict:
        """One path, two names."""
        asked = said(tables, "sites", "request")
        answers = said(tables, "sites", "response").to_dict("records")
        pages = [text(row).strip() for row in answers]
        return all_of(
            same(pages, ["<h1>Site a</h1>", "<h1>Site b</h1>"], "pages"),
            same(asked["target"].nunique(), 1, "paths"),
            same(asked["tcp_sport"].nunique(), 1, "connections"),
        ).because("requests and responses", both(tables, "sites"))

    @claim(
        "With Expect: 100-continue a client sends headers alone and waits: after 100 the body "
        "follows; after 401 or 417 it is never sent.",
        source="RFC 9110 §10.1.1, §15.2.1, §15.5.2, §15.5.18",
    )
    def continue_comes_before_the_body(self, tables: Tables) -> Verdict:
        """Bytes of body that left the client, and when."""
        steps = ("expect-100", "expect-401", "expect-417")
        found = {step: (statuses(tables, step), _body_bytes(tables, step)) for step in steps}
        wanted = {
            "expect-100": ([100, 201], BODY_BYTES),
            "expect-401": ([401], 0),
            "expect-417": ([417], 0),
        }
        return all_of(
            same(found, wanted, "status, bytes of body"),
            same(_waits(tables, "expect-100"), True, "body after 100"),
        ).because("requests and responses", both(tables, *steps))

    @claim(
        "Without Expect the whole body crosses the network before the client learns that it is "
        "refused.",
        source="RFC 9110 §10.1.1",
    )
    def unasked_bodies_are_wasted(self, tables: Tables) -> Verdict:
        """The same upload with and without Expect."""
        steps = ("unasked-401", "expect-401")
        found = {step: (statuses(tables, step), _body_bytes(tables, step)) for step in steps}
        wanted = {"unasked-401": ([401], BODY_BYTES), "expect-401": ([401], 0)}
        return same(found, wanted, "status, bytes of body").because(
            "requests and responses", both(tables, *steps)
        )

    @claim(
        "A client need not wait for 100 forever: curl sends the body after a second of silence, "
        "for servers that never say it.",
        source="RFC 9110 §10.1.1",
        bears_stall_s=0.01,
    )
    def clients_do_not_wait_forever(self, tables: Tables) -> Verdict:
        """A server that is silent until it has the body."""
        sent = _with_data(tables, "expect-silent")
        if sent.empty:
            return inconclusive("no request", "headers, then a body")
        head, rest = sent["time_s"].iloc[0], sent["time_s"].iloc[1:]
        waited_s = float(rest.min() - head) if len(rest) else None
        return all_of(
            same(statuses(tables, "expect-silent"), [200], "status"),
            near(_body_bytes(tables, "expect-silent"), BODY_BYTES, abs=0, unit="bytes of body"),
            near(waited_s, 1.0, abs=0.1, unit="s between headers and body"),
        ).because("request and response", both(tables, "expect-silent"))

    @claim(
        "Pipelined responses come in the requests' order: a quick one waits behind a slow one "
        "(head-of-line blocking), and does not on a connection of its own.",
        source="RFC 9112 §9.3.2, §9.4",
        bears_stall_s=0.01,
    )
    def slow_responses_block_quick_ones(self, tables: Tables) -> Verdict:
        """A request that takes two seconds, and one that takes no time."""
        rtt_s = setting(tables, "rtt_s")
        answers = said(tables, "blocked", "response")
        order = [text(row)[:4] for row in answers.to_dict("records")]
        took = {step: _quick_s(tables, step) for step in ("blocked", "alone")}
        return all_of(
            same(order, ["done", '{"nu'], "order"),
            same(said(tables, "blocked", "request")["tcp_sport"].nunique(), 1, "connections"),
            at_least(took["blocked"], SLOW_S, unit="s behind the slow one"),
            at_most(took["alone"], rtt_s + 0.1, unit="s alone"),
        ).because("requests and responses", both(tables, "blocked", "alone"))

    @claim(
        "Two readers that disagree on a request's length let a second request in: a proxy that "
        "goes by Content-Length passes what a server that goes by Transfer-Encoding takes for two, "
        "and another client gets the response to the second.",
        source="RFC 9112 §6.3, §11.2",
    )
    def two_lengths_smuggle_a_request(self, tables: Tables) -> Verdict:
        """What the server gets, and what the victim gets for /notes/1."""
        targets = [str(t) for t in said(tables, "smuggled", "request", SERVER)["target"]]
        return (
            all_of(
                same(targets, ["/notes", "/notes/2"], "requests at the server"),
                same(_victims(tables, "smuggled"), (200, 2), "the victim's status and note"),
            )
            .because("at the client", both(tables, "smuggled"))
            .because("at the server", both(tables, "smuggled", capture=SERVER))
        )

    @claim(
        "A proxy must not pass on a request with both lengths: nginx refuses it (400), HAProxy "
        "removes Content-Length; the victim gets what it asked for.",
        source="RFC 9112 §6.1, §6.3 (3)",
    )
    def careful_proxies_stop_it(self, tables: Tables) -> Verdict:
        """The same attack at two other proxies."""
        found = {}
        for step in ("refused", "one-length"):
            passed = said(tables, step, "request", SERVER).to_dict("records")
            doubtful = sum(
                bool(http.header(row, "Transfer-Encoding") and http.header(row, "Content-Length"))
                for row in passed
            )
            found[step] = (doubtful, *_victims(tables, step))
        wanted = {"refused": (0, 200, 1), "one-length": (0, 200, 1)}
        refusals = statuses(tables, "refused")[:1]
        return all_of(
            same(found, wanted, "passed with both lengths, victim's status and note"),
            same(refusals, [400], "nginx's response to the attacker"),
        ).because("requests and responses", both(tables, *found))


def _with_data(tables: Tables, step: str) -> Any:
    """The client's segments with data, in order."""
    found = segments(tables, step)
    return found[(found["by"] == "client") & (found["tcp_payload_bytes"] > 0)]


def _body_bytes(tables: Tables, step: str) -> int:
    """Bytes that left the client behind its headers."""
    return int(said(tables, step, "request")["body_bytes"].sum())


def _waits(tables: Tables, step: str) -> bool:
    """True if the body left after the interim response had come."""
    interim = said(tables, step, "response")
    interim = interim[interim["status"] == 100]
    sent = _with_data(tables, step)
    return len(interim) == 1 and len(sent) > 1 and sent["frame"].iloc[1] > interim["frame"].iloc[0]


def _quick_s(tables: Tables, step: str) -> float | None:
    """How long the client waited for the quick response."""
    asked = said(tables, step, "request")
    asked = asked[asked["target"] == "/notes/1"]
    answers = said(tables, step, "response")
    quick = answers[[text(row).startswith("{") for row in answers.to_dict("records")]]
    if asked.empty or quick.empty:
        return None
    return float(quick["time_s"].iloc[0] - asked["time_s"].iloc[0])


def _victims(tables: Tables, step: str) -> tuple[int, int]:
    """Status and note of what came on the second connection; 0 without.

    Raises:
        MissingDataError: the victim asked nothing.
    """
    asked = said(tables, step, "request")
    victim = asked[asked["target"] == "/notes/1"]
    if victim.empty:
        raise MissingDataError(f"step '{step}': the victim's request was not captured")
    answers = said(tables, step, "response")
    mine = answers[answers["tcp_dport"] == victim["tcp_sport"].iloc[-1]].to_dict("records")
    if not mine:
        return 0, 0
    body = text(mine[-1])
    number = next((n for n in (1, 2) if f'"number":{n},' in body.replace(" ", "")), 0)
    return int(mine[-1]["status"]), number
