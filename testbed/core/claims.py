"""Claims: one textbook sentence each, checked on measured data, with a verdict.

    @claim("A lone flow fills the bottleneck.", source="RFC 5681 §3.1")
    def fills_link(self, tables: Tables) -> Verdict:
        flow = tables.of("flows", scenario="reno")
        return near(flow.goodput_mbps.iloc[0], 9.49, rel=0.02, unit="Mbit/s")

A verdict says what was observed, what was expected and within which tolerance, and points at
the packets that show it. Data that is missing or not a number is INCONCLUSIVE, never a result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from testbed.core.errors import ExitCode, TestbedError
from testbed.core.quantities import in_words, number

if TYPE_CHECKING:
    import pandas as pd

F = TypeVar("F", bound=Callable[..., "Verdict"])


_LISTED = 6
"""Number of cases that one verdict spells out."""


ANY_STALL = math.inf
"""For claims about contents, order and counts: no delay of the host can make them fail."""

_EVIDENCE_ROWS = 12
"""Number of a table's rows kept as evidence."""


JUDGED_SHARE = 0.25
"""A link is judged if at least this share of its packets met no stall of the host."""

_NAMED = 4
"""Up to this many cases that could not be judged are named."""


class Status(StrEnum):
    """Outcome of a claim."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


class MissingDataError(TestbedError):
    """The run has no data for a claim; its verdict becomes INCONCLUSIVE with this reason."""

    exit_code = ExitCode.INCONCLUSIVE


def first(rows: pd.DataFrame, what: str) -> pd.Series[Any]:
    """The first of some rows; MissingDataError, which says `what` is missing, if there is none."""
    return _row(rows, 0, what)


def last(rows: pd.DataFrame, what: str) -> pd.Series[Any]:
    """The last of some rows, as `first`."""
    return _row(rows, -1, what)


def _row(rows: pd.DataFrame, place: int, what: str) -> pd.Series[Any]:
    if rows.empty:
        raise MissingDataError(f"no {what}")
    return rows.iloc[place]


@dataclass(frozen=True)
class Evidence:
    """Where to look: packets of a capture by their numbers, or rows of a table.

    Attributes:
        what: what these packets or rows show.
        scenario: which scenario's data.
        capture: name of the capture the frame numbers belong to.
        frames: 1-based packet numbers, as Wireshark shows them.
        rows: a few rows of numbers, as column → value.
    """

    what: str
    scenario: str = ""
    capture: str = ""
    frames: tuple[int, ...] = ()
    rows: tuple[dict[str, Any], ...] = ()


def evidence(
    what: str, shown: pd.DataFrame | Iterable[int], scenario: str = "", capture: str = ""
) -> tuple[Evidence, ...]:
    """Evidence from packets of one or more captures, or from rows; as for `Verdict.because`."""
    if capture:
        numbers: Any = getattr(shown, "frame", shown)
        return (Evidence(what, scenario, capture, _frames(numbers)),)
    columns = set(getattr(shown, "columns", ()))
    if not scenario and {"scenario", "capture", "frame"} <= columns:
        groups = shown.groupby(["scenario", "capture"], sort=False, observed=True)  # type: ignore[union-attr]
        return tuple(
            Evidence(what, str(name), str(where), _frames(packets["frame"]))
            for (name, where), packets in groups
        )
    rows = shown.head(_EVIDENCE_ROWS).round(4).to_dict("records")  # type: ignore[union-attr]
    kept = tuple({str(key): value for key, value in row.items()} for row in rows)
    return (Evidence(what, scenario, rows=kept),)


def _frames(numbers: Iterable[Any]) -> tuple[int, ...]:
    """Packet numbers, each once."""
    return tuple(dict.fromkeys(int(n) for n in numbers))


@dataclass(frozen=True)
class Case:
    """One of many cases that a verdict is about, in words."""

    observed: str
    expected: str


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Attributes:
        status: PASS, FAIL or INCONCLUSIVE.
        observed, expected, tolerance: in words, with units.
        evidence: where to see it.
        value: the observed number, where it is one (repetitions are averaged over it).
        unit: its unit.
        score: share of a check's points that a FAIL still earns, 0 to 1; for grading.
        cases: all of them, where `observed` or `expected` lists only the first.
    """

    status: Status
    observed: str
    expected: str
    tolerance: str = ""
    evidence: tuple[Evidence, ...] = ()
    value: float | None = None
    unit: str = ""
    score: float = 0.0
    cases: tuple[Case, ...] = ()

    def because(
        self,
        what: str,
        shown: pd.DataFrame | Iterable[int],
        *,
        scenario: str = "",
        capture: str = "",
    ) -> Verdict:
        """The same verdict with more evidence.

        Args:
            what: what it shows.
            shown: packets, as a table with ``scenario``, ``capture`` and ``frame``, or as numbers
                of one capture; or a table of anything else, whose first rows are kept.
            scenario: whose rows or packet numbers these are.
            capture: the packet numbers' capture.
        """
        more = evidence(what, shown, scenario, capture)
        return replace(self, evidence=_each_once((*self.evidence, *more)))

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``verdicts.json``; the score is for graders only."""
        data = asdict(self) | {"status": str(self.status)}
        del data["score"]
        return data


@dataclass(frozen=True)
class Claim:
    """A claim's sentence and source, with the check's name; see `claim` for the rest."""

    name: str
    sentence: str
    source: str
    scenarios: tuple[str, ...] = ()
    bears_stall_s: float = ANY_STALL
    own: tuple[str, ...] = ()
    check: Callable[..., Verdict] = field(repr=False, compare=False, default=lambda *_: None)  # type: ignore[assignment]


def claim(
    sentence: str,
    *,
    source: str,
    scenarios: Iterable[str] = (),
    bears_stall_s: float = ANY_STALL,
    own: Iterable[str] = (),
) -> Callable[[F], F]:
    """Marks a method of an experiment as the check of `sentence`.

    Args:
        sentence: what the textbook says, as one plain sentence.
        source: RFC section or book; ``-`` if there is none.
        scenarios: the scenarios whose data it needs; it is not judged in runs without them.
        bears_stall_s: for a claim about time: the longest timer delay, on the real clock, after
            which a FAIL still counts; after a longer delay it is INCONCLUSIVE. About a tenth of the
            tolerance or of the shortest time that the claim is about; 0.002 is what the links' rate
            limits catch up with. The default: claims about contents, order and counts.
        own: scenarios of a user's own network, each of which is enough by itself.
    """

    def mark(check: F) -> F:
        where = (source.strip(" -"), tuple(scenarios), bears_stall_s, tuple(own))
        check.__claim__ = Claim(check.__name__, sentence, *where, check)  # type: ignore[attr-defined]
        return check

    return mark


def claims_of(cls: type) -> list[Claim]:
    """Claims of an experiment's class, in source order."""
    found: dict[str, Claim] = {}
    for base in reversed(cls.__mro__):
        for name, member in vars(base).items():
            if hasattr(member, "__claim__"):
                found[name] = member.__claim__
    return list(found.values())


def inconclusive(why: str, expected: str = "") -> Verdict:
    """Not enough data to judge."""
    return Verdict(Status.INCONCLUSIVE, why, expected)


def holds(condition: bool, *, observed: str, expected: str) -> Verdict:
    """A plain yes-or-no check."""
    return Verdict(Status.PASS if condition else Status.FAIL, observed, expected)


def same(observed: Any, expected: Any, what: str = "") -> Verdict:
    """`observed` equals `expected`: text, numbers, or collections of these (sets in any order)."""
    before = f"{what}: " if what else ""
    return holds(
        observed == expected,
        observed=before + in_words(observed),
        expected=before + in_words(expected),
    )


def near(
    observed: float | None,
    expected: float,
    *,
    rel: float | None = None,
    abs: float | None = None,
    unit: str = "",
    what: str = "",
) -> Verdict:
    """`observed` lies within `rel` (a fraction) or `abs` (in `unit`) of `expected`.

    Args:
        observed: the number; None or NaN: INCONCLUSIVE.
        expected: what it should be; NaN: INCONCLUSIVE.
        rel: how far it may be off, as a fraction of `expected`.
        abs: the same in `unit`.
        unit: of all numbers; may be words, such as ``segments in flight``.
        what: which number this is, where a claim has several; printed before it.
    """
    if (rel is None) == (abs is None):
        raise ValueError("give rel or abs")
    slack = rel * math.fabs(expected) if rel is not None else (abs or 0.0)
    tolerance = f"±{100 * rel:.3g} %" if rel is not None else f"±{number(slack, unit)}"
    if slack == 0:  # a count: the same number, or not
        tolerance = ""
    said = number(expected, unit)
    return _judge(observed, expected - slack, expected + slack, said, tolerance, unit, what)


def at_least(observed: float | None, low: float, *, unit: str = "", what: str = "") -> Verdict:
    """`observed` is `low` or more; `unit` and `what` as for `near`."""
    return _judge(observed, low, math.inf, f"≥ {number(low, unit)}", "", unit, what)


def at_most(observed: float | None, high: float, *, unit: str = "", what: str = "") -> Verdict:
    """`observed` is `high` or less; `unit` and `what` as for `near`."""
    limit = "" if high == 0 and isinstance(high, int) else "≤ "  # of things counted, ≤ 0 is 0
    return _judge(observed, -math.inf, high, f"{limit}{number(high, unit)}", "", unit, what)


def between(
    observed: float | None, low: float, high: float, *, unit: str = "", what: str = ""
) -> Verdict:
    """`observed` lies in a closed interval; `unit` and `what` as for `near`."""
    said = f"{number(low)} to {number(high, unit)}"
    return _judge(observed, low, high, said, "", unit, what)


def all_of(*verdicts: Verdict) -> Verdict:
    """One verdict over several cases: FAIL if any fails, else INCONCLUSIVE if any is."""
    if not verdicts:
        return inconclusive("no case to judge")
    statuses = [v.status for v in verdicts]
    worst = next(s for s in (Status.FAIL, Status.INCONCLUSIVE, Status.PASS) if s in statuses)
    shown = [v for v in verdicts if v.status == worst] if worst != Status.PASS else verdicts
    cases = _cases(shown)
    numbers = [v.value for v in verdicts if v.value is not None]
    units = {v.unit for v in verdicts}
    like = len(numbers) == len(verdicts) and len({(v.unit, v.expected) for v in verdicts}) == 1
    return Verdict(
        worst,
        _listed([c.observed for c in cases]),
        _listed([c.expected for c in cases]),
        _listed(list(dict.fromkeys(v.tolerance for v in shown if v.tolerance))),
        _each_once(e for v in shown for e in v.evidence),
        sum(numbers) / len(numbers) if like else None,
        units.pop() if like else "",
        cases=_all_cases(shown) if len(cases) > _LISTED else (),
    )


def presuming(premise: Verdict, *verdicts: Verdict) -> Verdict:
    """All verdicts as in `all_of`; INCONCLUSIVE, whatever they say, if the premise does not hold.

    For what chance or the setting had to provide, such as enough losses to see what they cause.

    Args:
        premise: what the claim presupposes; several: `all_of` them.
        verdicts: what it says.
    """
    if premise.status is Status.PASS:
        return all_of(premise, *verdicts)
    return replace(premise, status=Status.INCONCLUSIVE)


def _each_once(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    found: list[Evidence] = []
    for one in evidence:
        if one not in found:
            found.append(one)
    return tuple(found)


def _cases(verdicts: Sequence[Verdict]) -> list[Case]:
    """Different cases in order, so that what was observed stays next to what was expected."""
    return list(dict.fromkeys(Case(v.observed, v.expected) for v in verdicts))


def _all_cases(verdicts: Sequence[Verdict]) -> tuple[Case, ...]:
    """All cases, with those that a verdict already lists."""
    return tuple(case for v in verdicts for case in v.cases or (Case(v.observed, v.expected),))


def with_unjudged(judged: Sequence[Verdict], unjudged: Sequence[str], worst_us: float) -> Verdict:
    """FAIL if a judged case fails; a PASS only if all cases were judged.

    Args:
        judged: verdicts of those that could be judged.
        unjudged: names of the others.
        worst_us: the longest stall that affected any case.
    """
    if not unjudged:
        return all_of(*judged)
    more = f" and {len(unjudged) - _NAMED} more" if len(unjudged) > _NAMED else ""
    spoiled = inconclusive(
        f"the host's stalls (up to {worst_us / 1e3:.1f} ms) leave nothing to judge for "
        f"{'; '.join(unjudged[:_NAMED])}{more}"
    )
    return all_of(*judged, spoiled)


def _listed(words: Sequence[str]) -> str:
    """The first few of many; one that all of them share, once."""
    if len(set(words)) == 1:
        return words[0]
    more = len(words) - _LISTED
    return "; ".join([*words[:_LISTED], *([f"… ({more} more)"] if more > 0 else [])])


def _judge(
    observed: float | None,
    low: float,
    high: float,
    expected: str,
    tolerance: str,
    unit: str,
    what: str,
) -> Verdict:
    before = f"{what}: " if what else ""
    if observed is None or not math.isfinite(observed):
        return inconclusive(f"{before}no measurement", before + expected)
    if math.isnan(low) or math.isnan(high):
        return inconclusive(f"{before}no measurement of the limit", before + expected)
    status = Status.PASS if low <= observed <= high else Status.FAIL
    seen = before + number(observed, unit)
    return Verdict(status, seen, before + expected, tolerance, (), observed, unit)


Judged = tuple[Claim, Verdict]
"""A claim and its verdict."""
