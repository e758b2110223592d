"""What a cache shares among its clients, and what it must not."""

from __future__ import annotations

from analysis.dissect import http
from testbed import Experiment, MissingDataError, Tables, Verdict, all_of, at_least, claim, same

from .exchanges import (
    from_origin,
    origin_codes,
    outcomes,
    requests,
    responses,
    shown,
    some_requests,
    text,
    to_origin,
    visit,
)
from .servers import LONG_S

_LANGUAGES = {"english": "Good morning", "german": "Guten Morgen"}


class Sharing(Experiment):
    """What a cache shares among its clients, and what it must not."""

    @claim(
        "A shared cache asks the origin once for many clients, even if all ask before the first "
        "response has come.",
        source="RFC 9111 §1, §4",
    )
    def one_request_serves_many(self, tables: Tables) -> Verdict:
        """Several clients at the same time."""
        asked, got = requests(tables, "crowd"), responses(tables, "crowd")
        answers = from_origin(tables, "crowd")
        if not answers:
            raise MissingDataError("step 'crowd': no response of the origin was captured")
        early = sum(row["time_s"] < answers[0]["time_s"] for row in asked)
        return all_of(
            at_least(early, 2, unit="requests before the origin's first response"),
            same(len(to_origin(tables, "crowd")), 1, "requests to the origin"),
            same(
                [text(row) for row in got],
                ["a page for a crowd"] * len(asked),
                "what the clients got",
            ),
        ).because("messages", shown(tables, "crowd"))

    @claim(
        "no-store: no cache keeps the response, neither a shared one nor the client's own.",
        source="RFC 9111 §5.2.2.5",
    )
    def no_store_is_not_kept(self, tables: Tables) -> Verdict:
        """Two clients, and one twice."""
        for step in ("unstored-first", "own-unstored-first"):
            some_requests(tables, step)
        visit(tables, "own-unstored-again")
        steps = ("unstored-first", "unstored-again", "own-unstored-first", "own-unstored-again")
        asked = {step: len(to_origin(tables, step)) for step in steps}
        return all_of(
            same(asked, dict.fromkeys(steps, 1), "requests to the origin"),
            same(header_of_origin(tables, steps[0]), "no-store", "Cache-Control"),
        ).because("messages", shown(tables, *steps))

    @claim(
        "private: a shared cache does not keep the response, the client's own may.",
        source="RFC 9111 §5.2.2.7",
    )
    def private_is_for_one_client(self, tables: Tables) -> Verdict:
        """Two clients of the shared cache, and two visits of the other client."""
        shared = origin_codes(tables, "private-first", "private-other", "own-private-first")
        seen = visit(tables, "own-private-again")
        again = requests(tables, "own-private-again", silent=True)
        return all_of(
            same(shared, {step: [200] for step in shared}, "origin's responses"),
            same(len(again), 0, "requests at the second visit"),
            same(str(seen["text"]).strip(), "a page of private", "which shows"),
        ).because("messages", shown(tables, *shared, "own-private-again"))

    @claim(
        "A response to a request with Authorization is for one client, even if it is fresh: a "
        "shared cache does not keep it, unless public, s-maxage or must-revalidate allows it.",
        source="RFC 9111 §3.5",
    )
    def authorized_responses_are_not_shared(self, tables: Tables) -> Verdict:
        """Two clients log in to the same page."""
        steps = ("secret-first", "secret-other")
        asking = [row for step in steps for row in some_requests(tables, step)]
        given = [bool(http.header(row, "Authorization")) for row in asking]
        asked = {step: len(to_origin(tables, step)) for step in steps}
        stated = {header_of_origin(tables, step) for step in steps[:1]}
        return all_of(
            same(given, [True, True], "requests with Authorization"),
            same(stated, {f"max-age={LONG_S}"}, "Cache-Control"),
            same(asked, dict.fromkeys(steps, 1), "requests to the origin"),
        ).because("messages", shown(tables, *steps))

    @claim(
        "Vary names the request's headers that chose the response: the cache keeps one response "
        "for each, and mixes none up.",
        source="RFC 9111 §4.1; RFC 9110 §12.5.5",
    )
    def vary_keeps_responses_apart(self, tables: Tables) -> Verdict:
        """A greeting in two languages, each for two clients."""
        steps = ("english", "english-again", "german", "german-again")
        got = {step: body for step, (_, body) in outcomes(tables, *steps).items()}
        asked = {step: len(to_origin(tables, step)) for step in steps}
        wanted = {step: _LANGUAGES[step.split("-")[0]] for step in steps}
        return all_of(
            same(got, wanted, "client got"),
            same(asked, dict(zip(steps, (1, 0, 1, 0), strict=True)), "requests to the origin"),
        ).because("messages", shown(tables, *steps))


def header_of_origin(tables: Tables, step: str) -> str:
    """Cache-Control, as the origin gave it in a step."""
    return next((http.header(row, "Cache-Control") for row in from_origin(tables, step)), "")
