"""Which chains the figure shows, and what their clients trust."""

from __future__ import annotations

from analysis.plots import certificates as plots
from testbed import MissingDataError, Tables

from . import talk, visits
from .chains import ISSUING, ROOT
from .middle import MALLORY

TRUSTED = {
    "valid": (ROOT,),
    "missing-intermediate": (ROOT,),
    "with-intermediate": (ROOT, ISSUING),
    "self-signed": (ROOT,),
    "root-sent": (ROOT,),
    "issued-by-server": (ROOT,),
    "damaged": (ROOT,),
    "middle-trusted": (ROOT, MALLORY),
}
"""Step → subjects of the certificates in the client's file."""


def chains(tables: Tables) -> dict[str, plots.Chain]:
    """Step → its chain; steps without one are left out."""
    found = {}
    for step, trusted in TRUSTED.items():
        case = talk.CASES.get(step)
        reason = visits.reason_step(case) if case else step
        try:
            sent, words = talk.certificates(tables, step), talk.words(tables, reason)
        except MissingDataError:
            continue
        found[step] = plots.Chain(sent, trusted, words, accepted=words == "accepted")
    return found
