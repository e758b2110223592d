"""The page: what was collected, and the bundle that shows it, in one HTML file."""

from __future__ import annotations

from testbed.core import language
from testbed.core.quantities import number
from testbed.results.html import template
from testbed.viewer.bundle import Bundle
from testbed.viewer.of_run import Collected

MOST_BYTES = 30_000_000
"""Of a page: a larger one opens slowly on a telephone."""


def render(collected: Collected, bundle: Bundle) -> str:
    """The page as HTML.

    Args:
        collected: a run or a capture.
        bundle: what shows it.
    """
    about = collected.about | {"notes": collected.notes}
    if language.explicit():
        about["language"] = language.chosen()
    collected.pack.json("about", about)
    return template("view.html.j2").render(
        title=str(collected.about["title"]),
        script=bundle.script,
        style=bundle.style,
        licences=bundle.licences,
        blocks=collected.pack.in_base64(),
    )


def too_large(page: str) -> str:
    """A sentence if the page is larger than it should be, else an empty text."""
    size = len(page)
    if size <= MOST_BYTES:
        return ""
    return (
        f"the page has {number(size // 1_000_000, 'MB')}, more than {MOST_BYTES // 1_000_000}; "
        "choose less with --scenario, --from-s and --to-s"
    )
