"""What a page's words cost: scripts, styles, preload, packing, lazy images, connections."""

from __future__ import annotations

from typing import Any

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
    same,
)

from . import site
from .visits import PAGES, file, known, ms, opened, requests, sent, undisturbed, visit

THIRD_SCRIPT = f"{site.CDN}/kept/script.js"

_CHATTER_MS = 25.0
"""Between an event and its paint: a frame (1/60 s), and the time that Chromium's processes talk."""


class Pages(Experiment):
    """What a page's words cost. Each page is visited by somebody new."""

    site_rtt_ms: Any
    slack_ms: Any
    params: Any

    @claim(
        "A script in the page's head blocks: nothing is painted before it has come. With async "
        "the page is painted without it.",
        source="HTML §4.12.1, §13.2.6.4.4",
        scenarios=[PAGES],
        bears_stall_s=0.002,
    )
    def scripts_block_unless_async(self, tables: Tables) -> Verdict:
        """The same script of the third party, without and with the word."""
        undisturbed(tables, "blocking", "async")
        paints = {name: _first_content_ms(tables, name) for name in ("blocking", "async")}
        came = {name: _came_ms(tables, name, THIRD_SCRIPT) for name in paints}
        return all_of(
            at_least(paints["blocking"], came["blocking"], unit="ms", what="blocking, painted"),
            at_most(paints["async"], came["async"], unit="ms", what="async, painted"),
            at_most(
                paints["async"],
                _own_page_ms(tables, "async") + _CHATTER_MS,
                unit="ms",
                what="async, painted after its own files",
            ),
        ).because("third party's connections", opened(tables, "blocking", PAGES))

    @claim(
        "A style sheet blocks the first paint until it has come, however long that takes.",
        source="HTML §3.1.6 (render-blocking), §4.6.8.23 (link type stylesheet); CSSOM §6.2",
        scenarios=[PAGES],
        bears_stall_s=0.002,
    )
    def style_sheets_block_paint(self, tables: Tables) -> Verdict:
        """A style sheet of the slow third party, against one of the site's own."""
        undisturbed(tables, "late-style", "chain")
        late, own = (_first_content_ms(tables, name) for name in ("late-style", "chain"))
        came = _came_ms(tables, "late-style", "style.css")
        return all_of(
            at_least(late, came, unit="ms", what="painted"),
            at_most(late, came + _CHATTER_MS, unit="ms", what="painted"),
            at_least(late - own, self._third_rtt_ms, unit="ms", what="later than with its own"),
        ).because("third party's connection", opened(tables, "late-style", PAGES))

    @claim(
        "A slow third party delays the load event even if its script does not block: load waits "
        "for all files.",
        source="HTML §13.2.7",
        scenarios=[PAGES],
        bears_stall_s=0.002,
    )
    def third_parties_delay_load(self, tables: Tables) -> Verdict:
        """The page with the async script: TCP, TLS and request take a round trip each."""
        undisturbed(tables, "async")
        loaded = known(ms(visit(tables, "async", PAGES), "loaded"), "load of 'async'")
        came = _came_ms(tables, "async", THIRD_SCRIPT)
        own = _own_page_ms(tables, "async")
        return all_of(
            at_least(loaded, came, unit="ms", what="loaded"),
            at_most(loaded, came + _CHATTER_MS, unit="ms", what="loaded"),
            at_least(came - own, 2 * self._third_rtt_ms, unit="ms", what="after its own files"),
            at_least(
                loaded - _first_content_ms(tables, "async"),
                2 * self._third_rtt_ms,
                unit="ms",
                what="painted before",
            ),
        ).because("third party's connection", opened(tables, "async", PAGES))

    @claim(
        "preload makes the browser ask for a file before it finds out that it needs it: a round "
        "trip less in a chain of files.",
        source="HTML §4.6.8.20 (link type preload)",
        scenarios=[PAGES],
        bears_stall_s=0.001,
    )
    def preload_saves_a_round_trip(self, tables: Tables) -> Verdict:
        """A picture that only the style sheet names."""
        undisturbed(tables, "chain", "preload")
        chain, loaded = (_came_ms(tables, name, "picture.png") for name in ("chain", "preload"))
        return near(
            chain - loaded, self.site_rtt_ms, abs=2 * self.slack_ms, unit="ms", what="sooner"
        ).because("requests", _shown(tables, "preload"))

    @claim(
        "103 Early Hints lets the browser fetch files while the server still thinks: what the page "
        "needs is there when the page comes, and it is painted a round trip sooner.",
        source="RFC 8297 §2; RFC 9110 §15.2; HTML §4.6.8.20 (link type preload)",
        scenarios=[PAGES],
        bears_stall_s=0.001,
    )
    def early_hints_save_a_round_trip(self, tables: Tables) -> Verdict:
        """A page that takes a program 200 ms, without hints and with one for its style sheet."""
        undisturbed(tables, *site.MADE)
        style = {name: file(tables, name, "style.css") for name in site.MADE}
        waits = {name: known(_took_ms(row), "end of style.css") for name, row in style.items()}
        paints = {name: _first_content_ms(tables, name) for name in site.MADE}
        return all_of(
            same([bool(style[name]["early"]) for name in site.MADE], [False, True], "by a hint"),
            near(
                waits["made"] - waits["hinted"],
                self.site_rtt_ms,
                abs=2 * self.slack_ms,
                unit="ms",
                what="less for the style sheet",
            ),
            near(
                paints["made"] - paints["hinted"],
                self.site_rtt_ms,
                abs=_CHATTER_MS,
                unit="ms",
                what="painted sooner",
            ),
        ).because("requests", _shown(tables, "hinted"))

    @claim(
        "Packing saves bytes, and so time: what fits into fewer of TCP's first rounds comes "
        "sooner.",
        source="RFC 9110 §8.4.1.3; RFC 6928 §2; RFC 5681 §3.1",
        scenarios=[PAGES],
        bears_stall_s=0.001,
    )
    def packing_saves_bytes_and_time(self, tables: Tables) -> Verdict:
        """A long style sheet, as it is and with gzip."""
        undisturbed(tables, "unpacked", "packed")
        plain, packed = (file(tables, n, "long.css") for n in ("unpacked", "packed"))
        took = {
            name: known(ms(row, "receive"), name)
            for name, row in (("plain", plain), ("packed", packed))
        }
        return all_of(
            same(int(packed["body_bytes"]), int(plain["body_bytes"]), "bytes when unpacked"),
            at_most(
                float(packed["wire_bytes"]) / float(plain["wire_bytes"]), 0.5, unit="of the bytes"
            ),
            at_least(took["plain"] - took["packed"], self.site_rtt_ms, unit="ms", what="saved"),
        ).because("style sheets", pd.DataFrame([plain, packed])[["url", "wire_bytes"]])

    @claim(
        "Lazy images far below the window are not asked for.",
        source="HTML §2.5.7 (lazy loading attributes)",
        scenarios=[PAGES],
    )
    def lazy_images_are_not_asked_for(self, tables: Tables) -> Verdict:
        """Twelve images below the window, without and with loading=lazy."""
        undisturbed(tables, "eager", "lazy")
        count = {n: len(requests(tables, n, PAGES, type="Image")) for n in ("eager", "lazy")}
        saved = [ms(visit(tables, n, PAGES), "loaded") for n in ("eager", "lazy")]
        return all_of(
            same(count, {"eager": site.IMAGES, "lazy": 0}, "images asked for"),
            at_least(known(saved[0], "load") - known(saved[1], "load"), 0, unit="ms saved"),
        ).because("requests", _shown(tables, "eager"))

    @claim(
        "Over HTTP/1.1 a browser opens six connections to a host, and each carries one request at "
        "a time; over HTTP/2 one connection carries all of them.",
        source="RFC 9112 §9.4, §9.3.2; RFC 9113 §5, §9.1",
        scenarios=[PAGES],
        bears_stall_s=0.001,
    )
    def six_connections_or_one(self, tables: Tables) -> Verdict:
        """A page with twelve images, at two ports of the site."""
        undisturbed(tables, "old", "many")
        count = {name: len(opened(tables, name, PAGES)) for name in ("old", "many")}
        kinds = {name: set(sent(requests(tables, name, PAGES))["protocol"]) for name in count}
        wait = {name: _images_ms(tables, name) for name in count}
        return all_of(
            same(count, {"old": 6, "many": 1}, "connections"),
            same(kinds, {"old": {"http/1.1"}, "many": {"h2"}}, "protocols"),
            at_least(wait["old"] - wait["many"], self.site_rtt_ms, unit="ms", what="later"),
        ).because("connections", opened(tables, "old", PAGES))

    @property
    def _third_rtt_ms(self) -> float:
        return 2 * float(self.params.third_ms)


def _first_content_ms(tables: Tables, name: str) -> float:
    return known(ms(visit(tables, name, PAGES), "first_content"), f"first paint of '{name}'")


def _took_ms(request: pd.Series[Any]) -> float | None:
    """From wanting a file to having it; None: it never came."""
    ended_ns = request["ended_ns"]
    return None if pd.isna(ended_ns) else float(ended_ns - request["began_ns"]) / 1e6


def _came_ms(tables: Tables, name: str, path: str) -> float:
    """When a file had come, after the visit began.

    Raises:
        MissingDataError: it never came.
    """
    return _after_ms(tables, name, file(tables, name, path)["ended_ns"], path)


def _own_page_ms(tables: Tables, name: str) -> float:
    """When all that the site itself has for the page had come.

    Raises:
        MissingDataError: nothing came.
    """
    found = requests(tables, name, PAGES, host=site.WWW)
    return _after_ms(tables, name, found["ended_ns"].max(), f"file of {site.WWW}")


def _after_ms(tables: Tables, name: str, ended_ns: Any, what: str) -> float:
    began_ns = visit(tables, name, PAGES)["began_ns"]
    if pd.isna(ended_ns) or pd.isna(began_ns):
        raise MissingDataError(f"in visit '{name}' no {what} came")
    return float(ended_ns - began_ns) / 1e6


def _images_ms(tables: Tables, name: str) -> float:
    """From the first image wanted to the last one that had come.

    Raises:
        MissingDataError: one never came.
    """
    found = requests(tables, name, PAGES, type="Image")
    if found.empty or found["ended_ns"].isna().any():
        raise MissingDataError(f"in visit '{name}' not all images came")
    return float(found["ended_ns"].max() - found["began_ns"].min()) / 1e6


def _shown(tables: Tables, name: str) -> pd.DataFrame:
    found = requests(tables, name, PAGES)
    return found[["url", "initiator", "began_ns", "ended_ns"]]
