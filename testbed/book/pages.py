"""The book's pages as Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from testbed.author import experiment, experiment_folder
from testbed.book import chapters, phrases
from testbed.book.runs import latest
from testbed.book.words import joined
from testbed.core.claims import Claim
from testbed.core.language import Words
from testbed.core.parameters import Parameter, parameters_of
from testbed.core.rundir import REPORT, VERDICTS, RunDir, read_json
from testbed.results.pictures import drawings, figure_files

_SHOWN_FRAMES = 12


@dataclass(frozen=True)
class Handout:
    """What is written by hand about an experiment.

    Attributes:
        title: its short name.
        start: what stands before the first section.
        rest: the sections: what to look for, parameters to try, questions.
    """

    title: str
    start: str
    rest: str


def handout(name: str, language: str) -> Handout:
    """An experiment's handout in a language, else in English, else an empty one."""
    root = experiment.experiment_files()[name]
    for path in (experiment_folder.handout(root, one) for one in (language, "en")):
        if path.is_file():
            text = joined(path.read_text(encoding="utf-8"))
            title, _, body = text.lstrip().partition("\n")
            start, mark, rest = body.partition("\n## ")
            return Handout(title.lstrip("# "), start.strip("\n"), (mark + rest).strip("\n"))
    return Handout(name, "", "")


# ---- contents


def contents(words: Words) -> str:
    """The table of contents: chapters of the course, what is there and what is still to come."""
    lines = [f"# {words(phrases.BOOK)}", "", words(phrases.INTRODUCTION), ""]
    for chapter in chapters.read():
        lines += [f"## {numbered(chapter.number, words(chapter.title))}", ""]
        for section in chapter.sections:
            title = numbered(section.number, words(section.title))
            if not section.experiments:
                lines.append(f"- {words.pair(title, f'*{words(phrases.TO_COME)}*')}")
            elif section.title == chapters.FURTHER:
                lines += [f"- {_entry(name, words)}" for name in section.experiments]
            else:
                entries = words.listed(_entry(name, words) for name in section.experiments)
                lines.append(f"- {words.pair(title, entries)}")
        lines.append("")
    return "\n".join(lines)


def numbered(number: str, title: str) -> str:
    """A heading with the course's number before it, where it has one."""
    return f"{number} {title}" if number else title


def _entry(name: str, words: Words) -> str:
    told = _counts(latest(name)) or words(phrases.NO_RUN)
    return f"[{handout(name, words.language).title}]({name}.md) <small>{told}</small>"


def _counts(run: RunDir | None) -> str:
    statuses = Counter(v["status"] for v in read_json(run.path / VERDICTS)) if run else Counter()
    return ", ".join(f"{n} {status}" for status, n in statuses.items())


# ---- one experiment


def page(name: str, words: Words) -> str:
    """What an experiment does and claims, its handout, and what its latest run showed."""
    cls, run, text = experiment.load(name), latest(name), handout(name, words.language)
    parts = [
        f"# {text.title}",
        f"<p class='subtitle'>{escape(words(cls.title()))}</p>",
        _placed(name, run, words),
        *(words(p) for p in cls.paragraphs()),
        text.start or f"    make exp-{name}",
        *_network(name, run, words),
        *_claims(name, cls.claims(), run, words),
        *_figures(name, run, words),
        text.rest,
        *_parameters(parameters_of(cls.Parameters), words),
        *_provenance(name, run, words),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _placed(name: str, run: RunDir | None, words: Words) -> str:
    numbers = [s.number for s in chapters.sections_of(name) if s.number]
    facts = [f"`{name}`"]
    if numbers:
        facts.append(f"{words(phrases.SECTIONS)} {', '.join(dict.fromkeys(numbers))}")
    facts.append(_counts(run) or words(phrases.NO_RUN))
    return " · ".join(facts)


def asset(path: str, words: Words) -> str:
    """A file of the English site, as a page of the book in this language reaches it."""
    return path if words.language == "en" else f"../../experiments/{path}"


def _network(name: str, run: RunDir | None, words: Words) -> Iterator[str]:
    shown = drawings(run) if run else {}
    if not shown:
        return
    yield f"## {words(phrases.NETWORK)}"
    figures = []
    for number, names in enumerate(shown.values(), 1):
        caption = (
            words.pair(words(phrases.SCENARIOS), words.listed(names)) if len(shown) > 1 else ""
        )
        source = asset(f"figures/{name}/network_{number}.svg", words)
        figures.append(_figure(source, caption, "network"))
    yield figures[0]
    if rest := "\n".join(figures[1:]):
        summary = escape(words(phrases.OTHER_NETWORKS))
        yield f"<details><summary>{summary}</summary>\n{rest}\n</details>"


def _figure(source: str, caption: str, kind: str) -> str:
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    picture = f"<img src='{escape(source)}' alt='{escape(caption or kind)}' loading='lazy'>"
    return f"<figure class='{kind}'><a href='{escape(source)}'>{picture}</a>{below}</figure>"


def _claims(name: str, claims: list[Claim], run: RunDir | None, words: Words) -> Iterator[str]:
    verdicts = {v["claim"]: v for v in read_json(run.path / VERDICTS)} if run else {}
    yield f"## {words(phrases.CLAIMS if run else phrases.CLAIMS_ALONE)}"
    if run and words.language != "en":
        yield words(phrases.NUMBERS_ARE_QUOTED)
    for claim in claims:
        verdict = verdicts.get(claim.name)
        rows = [f"<div class='claim' id='{claim.name}' data-status='{_status(verdict)}'>"]
        rows.append(f"<p class='sentence'>{escape(words(claim.sentence))}</p>")
        rows.append(f"<p class='source'>{escape(claim.source)}</p>")
        if verdict:
            rows.append("<dl>")
            rows += _described(verdict["status"], verdict["observed"])
            expected = " ".join(filter(None, (verdict["expected"], verdict.get("tolerance"))))
            rows += _described(words(phrases.EXPECTED), expected)
            rows += _evidence(name, verdict, words)
            rows.append("</dl>")
        rows.append("</div>")
        yield "\n".join(rows)


def _status(verdict: dict[str, Any] | None) -> str:
    return str(verdict["status"]) if verdict else "none"


def _described(term: str, text: str) -> list[str]:
    return [f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>"] if text else []


def _evidence(name: str, verdict: dict[str, Any], words: Words) -> list[str]:
    """Where to look: the first capture with its packets, and the report, which has the rest."""
    evidence = next((e for e in verdict.get("evidence", []) if e["frames"]), None)
    if evidence is None:
        return []
    frames = ", ".join(str(f) for f in evidence["frames"][:_SHOWN_FRAMES])
    more = " …" if len(evidence["frames"]) > _SHOWN_FRAMES else ""
    where = f"{evidence['scenario']}/captures/{evidence['capture']}.pcap"
    report = asset(f"reports/{name}.html#{verdict['claim']}", words)
    return [
        f"<dt>{escape(words(phrases.SHOWN_BY))}</dt>"
        f"<dd>{escape(words(phrases.PACKETS))} {frames}{more}"
        f" <code>{escape(where)}</code>"
        f" (<a href='{escape(report)}'>{escape(words(phrases.IN_REPORT))}</a>)</dd>"
    ]


def _figures(name: str, run: RunDir | None, words: Words) -> Iterator[str]:
    found = figure_files(run.plots) if run else []
    if found:
        yield f"## {words(phrases.FIGURES)}"
    for path in found:
        which, sentence = experiment.load(name).caption(path.stem)
        told = words(sentence)
        caption = words.pair(which, told) if which and told else which or told
        kind = "ladder" if path.suffix == ".svg" else "plot"
        yield _figure(asset(f"figures/{name}/{path.name}", words), caption, kind)


def _parameters(parameters: list[Parameter], words: Words) -> Iterator[str]:
    if not parameters:
        return
    yield f"## {words(phrases.PARAMETERS)}"
    heads = (phrases.OPTION, phrases.DEFAULT, phrases.MEANING, phrases.ALLOWED)
    rows = ["| " + " | ".join(words(h) for h in heads) + " |", "| --- | --- | --- | --- |"]
    for p in parameters:
        default = f"{shown(p.default)} {p.spec.unit}".strip()
        told = (default, words(p.spec.help), p.allowed_in(words))
        rows.append(f"| `{p.option}` | " + " | ".join(map(cell, told)) + " |")
    yield "\n".join(rows)


def shown(value: Any) -> str:
    """A parameter's value as it is written."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def cell(text: str) -> str:
    """Text in a Markdown table."""
    return re.sub(r"([|<*_`\\])", r"\\\1", text.replace("\n", " "))


def _provenance(name: str, run: RunDir | None, words: Words) -> Iterator[str]:
    if run is None:
        return
    meta = run.meta()
    kernel = meta.get("kernel", {})
    version = kernel.get("version", "") if isinstance(kernel, dict) else str(kernel)
    yield f"## {words(phrases.THIS_RUN)}"
    yield words(phrases.MADE_BY if meta["clock"] == "virtual" else phrases.REAL_CLOCK)
    rows = [
        (phrases.RUNTIME, meta["runtime"]),
        (phrases.CLOCK, meta["clock"]),
        (phrases.SEED, str(meta["seed"])),
        (phrases.KERNEL, version),
        (phrases.FINGERPRINT, str(meta.get("fingerprint", ""))[:16]),
    ]
    facts = "".join(x for term, text in rows for x in _described(words(term), text))
    yield f"<dl class='facts'>{facts}</dl>"
    if (run.path / REPORT).is_file():
        report = asset(f"reports/{name}.html", words)
        yield f"<p><a href='{report}'>{escape(words(phrases.WHOLE_REPORT))}</a></p>"


def files(name: str) -> Iterator[tuple[str, Path | str]]:
    """A page's files: place below ``experiments`` → a file, or its content."""
    run = latest(name)
    if run is None:
        return
    for path in figure_files(run.plots):
        yield f"figures/{name}/{path.name}", path
    for number, svg in enumerate(drawings(run), 1):
        yield f"figures/{name}/network_{number}.svg", svg
    if (run.path / REPORT).is_file():
        yield f"reports/{name}.html", run.path / REPORT
