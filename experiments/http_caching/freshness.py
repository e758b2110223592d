"""How long a cache answers by itself."""

from __future__ import annotations

from analysis.dissect import http
from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    address,
    all_of,
    at_least,
    at_most,
    claim,
    inconclusive,
    near,
    pick,
    same,
)

from .exchanges import (
    CLIENT,
    date_s,
    elapsed_s,
    from_origin,
    origin_codes,
    outcomes,
    requests,
    response,
    shown,
    some_requests,
    to_origin,
    visit,
)
from .servers import FRESH_S, GUESSED_SHARE, LONG_S, NEW_TEXT, OLD_TEXT

_DATE_S = 1.0
"""Dates and ages are whole seconds."""


class Freshness(Experiment):
    """How long a cache answers by itself."""

    @claim(
        "While a stored response is fresh, for max-age seconds, the cache answers alone; after "
        "that it asks the origin.",
        source="RFC 9111 §4, §4.2",
    )
    def fresh_responses_are_reused(self, tables: Tables) -> Verdict:
        """Another client at once, then shortly before the end and after it."""
        steps = ("again", "almost-stale", "stale")
        return _by_lifetime(tables, "first", steps, FRESH_S)

    @claim(
        "A response from a cache says how many seconds ago the origin made or confirmed it: Age.",
        source="RFC 9111 §4.2.3, §5.1",
    )
    def age_is_stated(self, tables: Tables) -> Verdict:
        """Against the time since the origin's last response."""
        cases = {"again": "first", "almost-stale": "first", "renewed": "stale"}
        parts = []
        for step, origin in cases.items():
            age = http.header(response(tables, step), "Age")
            took_s = elapsed_s(tables, origin, step)
            parts += [
                same(age.isdecimal(), True, f"{step}: has an Age")
                if not age.isdecimal()
                else near(int(age), took_s, abs=_DATE_S, unit="s", what=step)
            ]
        return all_of(*parts).because("responses", shown(tables, *cases))

    @claim(
        "The time that a response spent in one cache counts in the next: by Date, a client's own "
        "cache knows how old it is.",
        source="RFC 9111 §4.2.3",
    )
    def age_counts_in_the_next_cache(self, tables: Tables) -> Verdict:
        """Half its life in the shared cache, and a little more in the client's."""
        arrived_s = elapsed_s(tables, "aged-first", "own-aged")
        whole_s = (
            _began_s(tables, "own-aged-later") - from_origin(tables, "aged-first")[-1]["time_s"]
        )
        if not arrived_s < FRESH_S - _DATE_S or whole_s - arrived_s > FRESH_S - _DATE_S:
            return inconclusive("the visits came too late", f"within {FRESH_S} s each")
        visit(tables, "own-aged-later")
        steps = ("own-aged", "own-aged-later")
        asked = {step: len(requests(tables, step, silent=True)) for step in steps}
        return all_of(
            same(asked, {"own-aged": 1, "own-aged-later": 1}, "requests of the client"),
            same(origin_codes(tables, "own-aged"), {"own-aged": []}, "origin's responses"),
            at_most(whole_s - arrived_s, FRESH_S, unit="s", what="in the client"),
            at_least(whole_s, FRESH_S, unit="s", what="in both"),
        ).because("visits", shown(tables, "aged-first", "own-aged", "own-aged-later"))

    @claim(
        "How long a response is fresh, a shared cache takes from s-maxage, else from max-age, else "
        "from Expires; a client's own cache ignores s-maxage.",
        source="RFC 9111 §4.2.1, §5.2.2.10, §5.3",
    )
    def lifetimes_have_an_order(self, tables: Tables) -> Verdict:
        """s-maxage above max-age; max-age above an Expires long ago."""
        waited_s = elapsed_s(tables, "shared-first", "shared-later")
        visit(tables, "own-stale")
        asked = origin_codes(tables, "shared-later", "expired-again", "own-stale")
        return all_of(
            at_least(waited_s, FRESH_S / 2, unit="s", what="older than max-age"),
            at_most(waited_s, LONG_S, unit="s", what="younger than s-maxage"),
            same(asked, {step: [] for step in asked}, "origin's responses"),
            same(len(requests(tables, "own-stale")), 1, "requests of the client after max-age"),
        ).because("messages", shown(tables, "shared-first", *asked))

    @claim(
        "Where the origin states no lifetime, a cache may guess: typically a tenth of the time "
        "since the last change.",
        source="RFC 9111 §4.2.2",
    )
    def caches_may_guess(self, tables: Tables) -> Verdict:
        """Before a tenth of the page's age, and after it."""
        first = from_origin(tables, "guessed-first")
        if not first:
            raise MissingDataError("step 'guessed-first': no response of the origin was captured")
        lifetime_s = GUESSED_SHARE * (date_s(first[0], "Date") - date_s(first[0], "Last-Modified"))
        stated = [n for n in ("Cache-Control", "Expires") if http.header(first[0], n)]
        return all_of(
            same(stated, [], "lifetime stated by"),
            _by_lifetime(tables, "guessed-first", ("guessed-fresh", "guessed-stale"), lifetime_s),
        )

    @claim(
        "Fresh does not mean current: a change at the origin shows only when the stored response "
        "is stale.",
        source="RFC 9111 §4.2",
    )
    def fresh_is_not_current(self, tables: Tables) -> Verdict:
        """The page is changed after the first request."""
        steps = ("news-first", "news-fresh", "news-stale")
        texts = {"news-first": OLD_TEXT, "news-fresh": OLD_TEXT, "news-stale": NEW_TEXT}
        return all_of(
            same(outcomes(tables, *steps), {s: (200, texts[s]) for s in steps}, "client got"),
            same(
                origin_codes(tables, *steps),
                {"news-first": [200], "news-fresh": [], "news-stale": [200]},
                "origin's responses",
            ),
        ).because("messages", shown(tables, *steps))

    @claim(
        "A fresh response in the client's own cache costs no packet at all.",
        source="RFC 9111 §4, §4.2",
    )
    def own_cache_needs_no_packet(self, tables: Tables) -> Verdict:
        """The second visit of the same page."""
        texts = [str(visit(tables, s)["text"]).strip() for s in ("own-first", "own-again")]
        again = pick(tables, "own-again", CLIENT, silent=True)
        first = pick(tables, "own-first", CLIENT)
        syns = [int((rows["tcp_flags"] == _SYN).sum()) for rows in (first, again)]
        sent = int((again["tcp_payload_bytes"] > 0).sum())
        return all_of(
            same(texts, ["a page of shared"] * 2, "text"),
            same(syns[0] + len(requests(tables, "own-first")) > 0, True, "first visit sends"),
            same((syns[1], sent), (0, 0), "SYNs and segments with data of the second visit"),
        ).because("both visits", shown(tables, "own-first", "own-again"))

    @claim(
        "A hit takes a round trip to the cache; a miss also takes those from the cache to the "
        "origin.",
        source="RFC 9111 §1",
        bears_stall_s=0.0002,
    )
    def hits_save_time(self, tables: Tables) -> Verdict:
        """From request to response, at h1; each round trip passes two links twice."""
        rtt_ms = 4 * self.params.delay_ms
        parts = []
        for step, misses in {"almost-stale": 0, "news-first": 1}.items():
            opened = pick(
                tables, step, "h3-eth0", tcp_flags=_SYN, ip_dst=address(tables, "h4-eth0")
            )
            trips = 1 + misses * (1 + len(opened))
            parts.append(near(_took_ms(tables, step), trips * rtt_ms, abs=2, unit="ms", what=step))
            some_requests(tables, step)
        asked = {s: len(to_origin(tables, s)) for s in ("almost-stale", "news-first")}
        return all_of(
            *parts, same(asked, {"almost-stale": 0, "news-first": 1}, "requests to the origin")
        ).because("messages", shown(tables, *asked))


_SYN = 2


def _by_lifetime(tables: Tables, first: str, steps: tuple[str, ...], lifetime_s: float) -> Verdict:
    """The origin is asked in those steps that come after the end of the lifetime."""
    times_s = {step: elapsed_s(tables, first, step) for step in steps}
    close = [step for step, s in times_s.items() if abs(s - lifetime_s) < _DATE_S]
    if close or not min(times_s.values()) < lifetime_s < max(times_s.values()):
        return inconclusive(
            f"requests after {', '.join(f'{s:.1f} s' for s in times_s.values())}",
            f"before and after {lifetime_s:g} s",
        )
    asked = {step: len(to_origin(tables, step)) for step in steps}
    wanted = {step: int(s > lifetime_s) for step, s in times_s.items()}
    got = {step: status for step, (status, _) in outcomes(tables, *steps).items()}
    ages = ", ".join(f"{step} {s:.1f} s" for step, s in times_s.items())
    return all_of(
        same(asked, wanted, f"requests to the origin ({ages} after its response)"),
        same(got, dict.fromkeys(steps, 200), "client got"),
    ).because("messages", shown(tables, first, *steps))


def _began_s(tables: Tables, step: str) -> float:
    return float(tables.row("steps", step=step)["time_s"])


def _took_ms(tables: Tables, step: str) -> float | None:
    """From the client's request to the response, where h1 sees them."""
    asked = pick(tables, step, CLIENT, table="http", kind="request")["time_s"]
    got = pick(tables, step, CLIENT, table="http", kind="response")["time_s"]
    return 1000 * float(got.max() - asked.min()) if len(asked) and len(got) else None
