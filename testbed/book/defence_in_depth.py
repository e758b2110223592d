"""The page that crosses all attacks with all defences, from the latest runs' own tables.

An `AttackExperiment` is on it without being named here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.author import experiment
from testbed.author.defences import NO_DEFENCE, AttackExperiment, Defence, Layer, Outcome
from testbed.book import pages, phrases
from testbed.book.runs import latest
from testbed.core.rundir import REPORT, VERDICTS, RunDir, read_json
from testbed.results.defended import TABLE

if TYPE_CHECKING:
    from testbed.core.language import Words

PAGE = "experiments/defence_in_depth.md"
"""Its place in the site."""

MARKS = {
    Outcome.STOPPED: "✓",
    Outcome.HINDERED: "◐",
    Outcome.WORKS: "✗",
    Outcome.MISSING: "?",
}


_WIDE = "---\nhide: [toc]\n---"
"""The table of contents gives its room to the tables."""


@dataclass(frozen=True)
class Tried:
    """What one experiment tried, and what its latest run says came of it.

    Attributes:
        name: the experiment.
        cls: its class.
        run: the run; None if there is none.
    """

    name: str
    cls: type[AttackExperiment]
    run: RunDir | None

    @cached_property
    def outcomes(self) -> dict[tuple[str, str], Outcome]:
        """Attack and defence → what came of them; empty without a run that has the table."""
        if self.run is None or not self._file.is_file():
            return {}
        import pandas as pd

        rows = pd.read_parquet(self._file).to_dict("records")
        return {(str(r["attack"]), str(r["defence"])): Outcome(r["outcome"]) for r in rows}

    @property
    def _file(self) -> Path:
        assert self.run is not None
        return self.run.tables / f"{TABLE}.parquet"

    @cached_property
    def verdicts(self) -> dict[str, str]:
        """Claim → its status in the run."""
        rows = read_json(self.run.path / VERDICTS) if self.run else []
        return {row["claim"]: row["status"] for row in rows}

    @property
    def has_report(self) -> bool:
        """Whether there is a report to link to."""
        return self.run is not None and (self.run.path / REPORT).is_file()

    @property
    def defences(self) -> dict[str, Defence]:
        """Those that are one."""
        return {name: one for name, one in self.cls.defences.items() if name != NO_DEFENCE}

    def against(self, defence: str) -> list[Outcome]:
        """What came of each attack that a defence was tried against."""
        return [found for (_, one), found in self.outcomes.items() if one == defence]


def every() -> list[Tried]:
    """All experiments that are attacks, in the order of their names."""
    found = []
    for name in experiment.experiment_files():
        cls = experiment.load(name)
        if issubclass(cls, AttackExperiment):
            found.append(Tried(name, cls, latest(name)))
    return found


def together(outcomes: Iterable[Outcome]) -> Outcome:
    """What a defence does against several attacks: hindered stands for some of them stopped.

    Missing as long as one of them is.
    """
    known = set(outcomes)
    if not known or Outcome.MISSING in known:
        return Outcome.MISSING
    return known.pop() if len(known) == 1 else Outcome.HINDERED


def page(words: Words) -> str:
    """The page as Markdown, with tables in HTML."""
    tried = every()
    parts = [
        _WIDE,
        f"# {words(phrases.DEPTH)}",
        words(phrases.DEPTH_INTRODUCTION),
        _counted(tried, words),
        _legend(words),
        f"## {words(phrases.DEPTH_LAYERS)}",
        words(phrases.DEPTH_LAYERS_NOTE),
        _layers(tried, words),
        *(part for one in tried for part in _section(one, words)),
    ]
    return "\n\n".join(parts) + "\n"


def _counted(tried: list[Tried], words: Words) -> str:
    """How many single defences stop all that they were tried against."""
    single = [
        one.against(name)
        for one in tried
        for name, defence in one.defences.items()
        if defence.layer is not Layer.SEVERAL and one.against(name)
    ]
    whole = sum(set(found) == {Outcome.STOPPED} for found in single)
    pairs = sum(len(one.outcomes) for one in tried)
    runs = sum(bool(one.outcomes) for one in tried)
    return words(phrases.DEPTH_COUNTS).format(
        pairs=pairs, runs=runs, of=len(tried), single=len(single), whole=whole
    )


def _legend(words: Words) -> str:
    texts = {
        Outcome.STOPPED: phrases.DEPTH_STOPPED,
        Outcome.HINDERED: phrases.DEPTH_HINDERED,
        Outcome.WORKS: phrases.DEPTH_WORKS,
        Outcome.MISSING: phrases.DEPTH_MISSING,
    }
    marks = (
        f"<li><span class='mark' data-outcome='{outcome}'>{MARKS[outcome]}</span> "
        f"{escape(words(text))}</li>"
        for outcome, text in texts.items()
    )
    return f"<ul class='outcomes'>{''.join(marks)}</ul>"


# ---- attacks by layers


def _layers(tried: list[Tried], words: Words) -> str:
    """One row per experiment, one column per layer, a mark for each defence."""
    used = {d.layer for one in tried for d in one.defences.values()}
    layers = [layer for layer in Layer if layer in used]
    heads = "".join(f"<th scope='col'>{escape(words(layer))}</th>" for layer in layers)
    rows = []
    for one in tried:
        title = pages.handout(one.name, words.language).title
        head = f"<th scope='row'><a href='{one.name}.html'>{escape(title)}</a></th>"
        rows.append(f"<tr>{head}{''.join(_layer_cells(one, layers, words))}</tr>")
    return (
        f"<table class='depth'><thead><tr><th>{escape(words(phrases.DEPTH_ATTACK))}</th>{heads}"
        f"</tr></thead><tbody>\n{''.join(rows)}\n</tbody></table>"
    )


def _layer_cells(one: Tried, layers: list[Layer], words: Words) -> Iterator[str]:
    if not one.outcomes:
        yield f"<td class='absent' colspan='{len(layers)}'>{_absent(one, words)}</td>"
        return
    for layer in layers:
        marks = [
            _mark(one, name, defence, words)
            for name, defence in one.defences.items()
            if defence.layer is layer
        ]
        label = escape(words(layer)) if marks else ""
        yield f"<td data-layer='{label}'>{''.join(marks)}</td>"


def _mark(one: Tried, name: str, defence: Defence, words: Words) -> str:
    """A defence, what it does against all attacks of the experiment, and of how many."""
    found = one.against(name)
    outcome = together(found)
    stopped = sum(each is Outcome.STOPPED for each in found)
    count = f" <small>{stopped}/{len(found)}</small>" if len(found) > 1 else ""
    text = f"{MARKS[outcome]} {escape(words(defence.label))}{count}"
    return _linked(one, defence, outcome, text, words)


def _linked(one: Tried, defence: Defence, outcome: Outcome, text: str, words: Words) -> str:
    """A mark that leads to the claim in the run's report, and says if that claim does not hold."""
    sentences = {claim.name: claim.sentence for claim in one.cls.claims()}
    status = one.verdicts.get(defence.claim, "")
    if status not in ("PASS", ""):
        text += f" <b>{status}</b>"
    title = escape(words(sentences[defence.claim]))
    shown = f"class='mark' data-outcome='{outcome}' title='{title}'"
    if not one.has_report:
        return f"<span {shown}>{text}</span>"
    report = pages.asset(f"reports/{one.name}.html#{defence.claim}", words)
    return f"<a {shown} href='{escape(report)}'>{text}</a>"


def _absent(one: Tried, words: Words) -> str:
    """Why there is nothing to show, and the command that helps."""
    if one.run is None:
        return f"{escape(words(phrases.NO_RUN))}: <code>make exp-{one.name}</code>"
    command = f"testbed replay {one.run.path.name}"
    return f"{escape(words(phrases.DEPTH_OLD_RUN))}: <code>{command}</code>"


# ---- one experiment's attacks by its defences


def _section(one: Tried, words: Words) -> Iterator[str]:
    """Its table, with each pair's outcome."""
    title = pages.handout(one.name, words.language).title
    yield f"## [{title}]({one.name}.md)"
    if not one.outcomes:
        yield f"<p class='absent'>{_absent(one, words)}</p>"
        return
    tried = [name for name in one.cls.defences if one.against(name)]
    heads = "".join(
        f"<th scope='col'>{escape(words(one.cls.defences[name].label))}</th>" for name in tried
    )
    rows = "".join(_row(one, *attack, tried, words) for attack in one.cls.attacks.items())
    corner = escape(words(phrases.DEPTH_ATTACK))
    yield (
        f"<div class='pairs'><table><thead><tr><th>{corner}</th>{heads}"
        f"</tr></thead><tbody>\n{rows}\n</tbody></table></div>"
    )


def _row(one: Tried, attack: str, text: str, defences: list[str], words: Words) -> str:
    cells = []
    for name in defences:
        outcome = one.outcomes.get((attack, name))
        if outcome is None:
            cells.append(f"<td title='{escape(words(phrases.DEPTH_UNTRIED))}'>–</td>")
            continue
        mark = f"{MARKS[outcome]} {escape(words(str(outcome)))}"
        cells.append(f"<td>{_linked(one, one.cls.defences[name], outcome, mark, words)}</td>")
    return f"<tr><th scope='row'>{escape(words(text))}</th>{''.join(cells)}</tr>\n"
