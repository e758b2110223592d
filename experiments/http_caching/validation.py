"""How a cache finds out whether what it has is still good, and what it does if it cannot."""

from __future__ import annotations

from analysis.dissect import http
from testbed import (
    Experiment,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    claim,
    inconclusive,
    near,
    pick,
    same,
)

from .exchanges import (
    CACHE,
    elapsed_s,
    from_origin,
    origin_codes,
    outcomes,
    requests,
    response,
    responses,
    shown,
    to_origin,
    visit,
)
from .servers import FRESH_S


class Validation(Experiment):
    """How a cache finds out whether what it has is still good."""

    @claim(
        "A stale response is validated by its ETag: If-None-Match, and 304 without a body says "
        "that the stored one is good; then it is fresh again.",
        source="RFC 9111 §4.3.1, §4.3.4; RFC 9110 §13.1.2, §15.4.5",
    )
    def etags_validate(self, tables: Tables) -> Verdict:
        """The page after its lifetime, and once more."""
        etag = http.header(_origins(tables, "first"), "ETag")
        return all_of(
            _validated(tables, "first", "stale", "If-None-Match", etag),
            same(origin_codes(tables, "renewed"), {"renewed": []}, "afterwards"),
            same(outcomes(tables, "stale")["stale"], (200, "a page of fresh"), "client got"),
        ).because("messages", shown(tables, "first", "stale", "renewed"))

    @claim(
        "Without an ETag, Last-Modified serves: If-Modified-Since.",
        source="RFC 9111 §4.3.1; RFC 9110 §13.1.3",
    )
    def dates_validate(self, tables: Tables) -> Verdict:
        """The same for a page without an ETag."""
        first, asked = _origins(tables, "dated-first"), to_origin(tables, "dated-stale")
        tags = [http.header(first, "ETag"), *(http.header(row, "If-None-Match") for row in asked)]
        date = http.header(first, "Last-Modified")
        return all_of(
            same([tag for tag in tags if tag], [], "ETags"),
            _validated(tables, "dated-first", "dated-stale", "If-Modified-Since", date),
            same(outcomes(tables, "dated-stale")["dated-stale"][1], "a page of dated", "text"),
        ).because("messages", shown(tables, "dated-first", "dated-stale"))

    @claim(
        "no-cache allows keeping, but not using without asking: each time the origin is asked, "
        "and 304 saves the body.",
        source="RFC 9111 §5.2.2.4",
    )
    def no_cache_asks_each_time(self, tables: Tables) -> Verdict:
        """Twice in a row."""
        steps = ("checked-first", "checked-again")
        return all_of(
            same(
                origin_codes(tables, *steps),
                {"checked-first": [200], "checked-again": [304]},
                "origin's responses",
            ),
            same(outcomes(tables, *steps)["checked-again"], (200, "a page of checked"), "client"),
        ).because("messages", shown(tables, *steps))

    @claim(
        "A cache with a fresh response answers a client's If-None-Match itself, with 304.",
        source="RFC 9111 §4.3.2",
    )
    def caches_validate_for_clients(self, tables: Tables) -> Verdict:
        """The client's copy is stale, the shared cache's is not."""
        seen, asked = visit(tables, "own-stale"), requests(tables, "own-stale")
        tags = [http.header(row, "If-None-Match") for row in asked]
        codes = [int(row["status"]) for row in responses(tables, "own-stale")]
        return all_of(
            same(tags, [http.header(_origins(tables, "own-first"), "ETag")], "If-None-Match"),
            same(codes, [304], "cache's response"),
            same(origin_codes(tables, "own-stale"), {"own-stale": []}, "origin's responses"),
            same(str(seen["text"]).strip(), "a page of shared", "the client shows"),
        ).because("messages", shown(tables, "own-first", "own-stale"))

    @claim(
        "A client that sends no-cache gets the response from the origin, however fresh the "
        "cache's is.",
        source="RFC 9111 §5.2.1.4",
    )
    def reloading_reaches_the_origin(self, tables: Tables) -> Verdict:
        """The same page twice within its lifetime."""
        sent = [http.header(row, "Cache-Control") for row in requests(tables, "reload")]
        return all_of(
            same(sent, ["no-cache"], "client sent"),
            same(len(to_origin(tables, "reload")), 1, "requests to the origin"),
            same(outcomes(tables, "reload")["reload"], (200, "a page of public"), "client got"),
        ).because("messages", shown(tables, "reload-first", "reload"))

    @claim(
        "A cache that cannot reach the origin may hand out a stale response.",
        source="RFC 9111 §4.2.4",
    )
    def offline_caches_serve_stale(self, tables: Tables) -> Verdict:
        """The origin's server has ended; a page that was never asked for is not to be had."""
        last = "renewed" if from_origin(tables, "renewed") else "stale"
        verdicts = _offline(tables, last, "offline")
        got = outcomes(tables, "offline", "offline-unknown")
        code = got["offline-unknown"][0]
        return all_of(
            *verdicts,
            same(got["offline"], (200, "a page of fresh"), "client got"),
            same(code in range(500, 600), True, f"{code} for what the cache does not have"),
        ).because("messages", shown(tables, "offline", "offline-unknown"))

    @claim(
        "must-revalidate forbids that: the client gets an error instead.",
        source="RFC 9111 §5.2.2.2",
    )
    def must_revalidate_forbids_stale(self, tables: Tables) -> Verdict:
        """A page that the cache has, with the same lifetime."""
        stored = origin_codes(tables, "must-first", "must-again")
        wanted: dict[str, list[int]] = {"must-first": [200], "must-again": []}
        code = outcomes(tables, "offline-must")["offline-must"][0]
        return all_of(
            same(stored, wanted, "origin's responses before"),
            *_offline(tables, "must-first", "offline-must"),
            same(code in range(500, 600), True, f"{code}, an error of the cache"),
        ).because("messages", shown(tables, "must-first", "must-again", "offline-must"))


def _origins(tables: Tables, step: str) -> dict[object, object]:
    """The origin's response in a step; without one, an empty row."""
    rows = from_origin(tables, step)
    return rows[-1] if rows else {"headers": ()}


def _validated(tables: Tables, first: str, step: str, name: str, value: str) -> Verdict:
    """The origin was asked with a condition, and confirmed it without a body."""
    took_s = elapsed_s(tables, first, step)
    conditions = [http.header(row, name) for row in to_origin(tables, step)]
    sizes = [int(row["body_bytes"]) for row in from_origin(tables, step)]
    return all_of(
        at_least(took_s, FRESH_S, unit="s after the origin's response"),
        same(bool(value), True, "the origin gives a validator"),
        same(conditions, [value], name),
        same(origin_codes(tables, step), {step: [304]}, "origin's responses"),
        same(sizes, [0], "bytes of body"),
        same(int(response(tables, step)["status"]), 200, "client got"),
    )


def _offline(tables: Tables, stored: str, step: str) -> list[Verdict]:
    """The cache tried to reach the origin for a response that is stale, and was refused."""
    took_s = elapsed_s(tables, stored, step)
    if took_s < FRESH_S:
        return [inconclusive(f"asked {took_s:.1f} s after storing", f"after {FRESH_S} s")]
    origin = address(tables, "h4-eth0")
    refused = pick(tables, step, CACHE, ip_src=origin, tcp_flags=_RST_ACK)
    return [
        at_least(len(refused), 1, unit="refused connections to the origin"),
        near(len(from_origin(tables, step)), 0, abs=0, unit="responses of the origin"),
    ]


_RST_ACK = 0x14
