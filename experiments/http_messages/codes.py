"""Status codes: each by its cause, and the same request without the cause."""

from __future__ import annotations

from collections.abc import Iterable

from analysis.dissect import http
from testbed import Experiment, Tables, Verdict, all_of, claim, near, same

from .messages import answer, both, said, statuses

GOOD = {200, 201, 204, 206}


class Codes(Experiment):
    """Status codes: each by its cause, and the same request without the cause."""

    @claim(
        "2xx says that it worked: 200 with the resource, 201 for a new one, 204 without a body, "
        "206 with a part.",
        source="RFC 9110 §15.3",
    )
    def success_has_its_kinds(self, tables: Tables) -> Verdict:
        """Reading, adding, replacing, and a range."""
        steps = {"get-first": 200, "post-first": 201, "put-first": 204, "range-begin": 206}
        found = {step: answer(tables, step)["status"] for step in steps}
        empty = int(answer(tables, "put-first")["body_bytes"])
        return all_of(
            same(found, steps, "status"), near(empty, 0, abs=0, unit="bytes of body with 204")
        ).because("requests and responses", both(tables, *steps))

    @claim(
        "3xx with Location sends the client elsewhere: 301 and 308 for good, 302, 303 and 307 for "
        "now.",
        source="RFC 9110 §15.4",
    )
    def redirects_say_where(self, tables: Tables) -> Verdict:
        """Each status and its Location."""
        names = ("301", "302", "303", "307", "308")
        places = {name: http.header(answer(tables, name), "Location") for name in names}
        missing = [name for name, place in places.items() if not place.startswith("/notes")]
        return all_of(
            _caused(tables, names), same(missing, [], "without Location to the notes")
        ).because("requests and responses", both(tables, *names))

    @claim(
        "304 says that the client's copy is still good, and has no body.",
        source="RFC 9110 §13.1.2, §15.4.5",
    )
    def unchanged_is_not_sent_again(self, tables: Tables) -> Verdict:
        """The ETag that the client has, and an older one."""
        sizes = {s: int(answer(tables, s)["body_bytes"]) > 0 for s in ("304", "304-control")}
        return all_of(
            _caused(tables, ["304"]),
            same(sizes, {"304": False, "304-control": True}, "has a body"),
        ).because("requests and responses", both(tables, *sizes))

    @claim(
        "4xx blames the request: malformed (400), not logged in (401), forbidden (403), no such "
        "resource (404), a method that the resource does not have (405).",
        source="RFC 9110 §15.5.1–6, RFC 9112 §3.2",
    )
    def client_errors_have_causes(self, tables: Tables) -> Verdict:
        """401 says how to log in, 405 which methods there are."""
        says = {
            "401": http.header(answer(tables, "401"), "WWW-Authenticate").split(" ")[0],
            "405": http.header(answer(tables, "405"), "Allow"),
        }
        names = ("400", "401", "403", "404", "405")
        return all_of(
            _caused(tables, names),
            same(says["401"], "Basic", "WWW-Authenticate"),
            same("GET" in says["405"] and "DELETE" not in says["405"], True, "Allow fits"),
        ).because("requests and responses", both(tables, *names))

    @claim(
        "More causes of 4xx: a conflict with the current version (409), no length (411), a "
        "condition that does not hold (412), a range outside the resource (416).",
        source="RFC 9110 §15.5.10, §15.5.12–13, §15.5.17",
    )
    def preconditions_have_causes(self, tables: Tables) -> Verdict:
        """416 says how long the page is."""
        names = ("409", "411", "412", "416")
        size = http.header(answer(tables, "416"), "Content-Range")
        return all_of(_caused(tables, names), same(size, "bytes */3000", "Content-Range")).because(
            "requests and responses", both(tables, *names)
        )

    @claim(
        "Limits have codes of their own: a body too large (413), a URI too long (414), too many "
        "requests (429).",
        source="RFC 9110 §15.5.14–15; RFC 6585 §4",
    )
    def limits_have_causes(self, tables: Tables) -> Verdict:
        """One byte more than nginx takes; the second request within a minute."""
        names = ("413", "414", "429")
        return _caused(tables, names).because("requests and responses", both(tables, *names))

    @claim(
        "100 lets a client that expects it send the body; an expectation that the server does not "
        "know gets 417.",
        source="RFC 9110 §10.1.1, §15.2.1, §15.5.18",
    )
    def expectations_are_answered(self, tables: Tables) -> Verdict:
        """A client that waits for 100, and one that expects a miracle."""
        return all_of(
            same(statuses(tables, "100"), [100, 201], "status with Expect"),
            same(statuses(tables, "100-control"), [201], "without"),
            _caused(tables, ["417"]),
        ).because("responses", both(tables, "100", "417"))

    @claim(
        "5xx blames the server: a failure inside (500), an unreachable server behind a proxy "
        "(502), none available (503), one that is too slow (504).",
        source="RFC 9110 §15.6",
    )
    def server_errors_have_causes(self, tables: Tables) -> Verdict:
        """An exception; nginx without its server; HAProxy without any; nginx that waits 2 s."""
        names = ("500", "502", "503", "504")
        rows = said(tables, "504", "request"), said(tables, "504", "response")
        waited = float(rows[1]["time_s"].max() - rows[0]["time_s"].min()) if len(rows[0]) else None
        return all_of(
            _caused(tables, names), near(waited, 2.0, abs=0.2, unit="s until 504")
        ).because("requests and responses", both(tables, *names))


def _caused(tables: Tables, names: Iterable[str]) -> Verdict:
    """Each status comes with its cause; without the cause the same request succeeds."""
    names = list(names)
    found = {name: answer(tables, name)["status"] for name in names}
    controls = {name: answer(tables, f"{name}-control")["status"] for name in names}
    bad = sorted(name for name, status in controls.items() if status not in GOOD)
    return all_of(
        same(list(found.values()), [int(name) for name in names], "status"),
        same(bad, [], "fail without the cause"),
    )
