"""Output for people: students' feedback, the class page, the gradebooks. Always the same bytes.

All text that comes from students is escaped by the template, and was shortened and stripped of
control characters before (`testbed.grading.answers.shown`).
"""

from __future__ import annotations

import base64
import functools
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from testbed.core import language
from testbed.core.claims import Evidence
from testbed.core.errors import TestbedError
from testbed.core.files import write_text, writing
from testbed.core.language import Words
from testbed.core.rundir import RunDir, write_json
from testbed.grading import class_statistics, history
from testbed.grading.deadlines import Late
from testbed.grading.grade import ENDED, RUN, parameters_text
from testbed.grading.integrity import Fit
from testbed.grading.library import LabFolder
from testbed.grading.manifest import COLUMNS, LATE_COLUMNS
from testbed.grading.result import CheckResult, Mark, Result, points_text
from testbed.grading.similarity import Alike
from testbed.grading.tables import cell, csv_text
from testbed.results import report
from testbed.results.html import TEMPLATES

if TYPE_CHECKING:
    import pandas as pd

FEEDBACK, GRADESCOPE = "feedback.html", "results.json"
CLASS_PAGE, BOOK, BOOK_PARQUET, ITEMS, JUNIT = (
    "class.html",
    "gradebook.csv",
    "gradebook.parquet",
    "checks.csv",
    "junit.xml",
)

_MOST_LANES = 6
_START = 200
"""Number of characters in which a page names its language."""
_MOST_NOTES = 3


def write_student(
    lab: LabFolder,
    result: Result,
    params: Mapping[str, Any],
    folder: Path,
    late: Late | None = None,
) -> None:
    """Writes ``feedback.html`` and Gradescope's ``results.json`` into a student's folder."""
    run = RunDir(folder / RUN)
    page = _template("feedback.html.j2").render(
        t=lab.words(),
        result=result,
        checks=[{"check": c, "evidence": evidence(run, c)} for c in result.checks],
        passed=sum(c.mark is Mark.PASS for c in result.checks),
        variant=parameters_text(params, lab),
        late=late or Late(),
    )
    write_text(folder / FEEDBACK, page)
    write_json(folder / GRADESCOPE, gradescope_results(result))


def is_written(folder: Path) -> bool:
    """Whether a student's folder has the page in the chosen language."""
    start = f'<html lang="{language.chosen()}">'
    try:
        with (folder / FEEDBACK).open(encoding="utf-8") as page:
            return start in page.read(_START)
    except (OSError, UnicodeDecodeError):
        return False


def write_class(
    results: Sequence[Result],
    pages: Mapping[str, str],
    folder: Path,
    fits: Sequence[Fit] = (),
    late: Mapping[str, Late] | None = None,
    similar: Sequence[Alike] = (),
    t: Words | None = None,
) -> None:
    """Writes gradebooks, JUnit XML and the class's page.

    Args:
        results: of one lab, sorted by student.
        pages: student → link to the feedback, from `folder`.
        folder: where to write.
        fits: submissions that fit another student's variant.
        late: how late each student was, if there are deadlines.
        similar: pairs of submissions that are alike.
        t: the lab's texts in the chosen language.
    """
    late = late or {}
    regraded = history.last_notes(folder)
    said = {r.student: notes(r, regraded.get(cell(r.student), "")) for r in results}
    table = gradebook(results, said, late)
    write_text(folder / BOOK, csv_text(table), durable=True)
    with writing(folder / BOOK_PARQUET, durable=True) as file:
        table.to_parquet(file, index=False)
    items = class_statistics.items(results)
    write_text(folder / ITEMS, csv_text(items_table(items)))
    write_text(folder / JUNIT, junit(results))
    page = _template("class.html.j2").render(
        t=t or language.words(),
        title=results[0].title,
        lab=results[0].lab,
        results=results,
        pages=pages,
        bins=class_statistics.histogram(results),
        items=items,
        mean=class_statistics.mean_points(results),
        fits=fits,
        similar=similar,
        notes=said,
        late=late,
        days=class_statistics.hand_ins(late),
        regrade=[r for r in results if not r.conclusive],
    )
    write_text(folder / CLASS_PAGE, page)


@functools.cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([Path(__file__).parent / "templates", TEMPLATES]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["points"] = points_text
    environment.filters["share"] = lambda x: "–" if math.isnan(x) else f"{100 * x:.0f} %"
    environment.filters["decimal"] = lambda x: "–" if math.isnan(x) else f"{x:.2f}"
    return environment.get_template(name)


# ---- evidence


def evidence(run: RunDir, check: CheckResult) -> list[dict[str, Any]]:
    """What a check's verdict rests on: `of` (the evidence), `rows` as shown, a `ladder` (SVG)."""
    captures = report.Captures(run)
    found = []
    for data in check.evidence:
        one = Evidence(**{**data, "frames": tuple(data["frames"]), "rows": tuple(data["rows"])})
        shown: dict[str, Any] = {"of": one, "rows": [dict(r) for r in one.rows]}
        shown |= {"ladder": "", "more": max(0, len(one.frames) - report.SHOWN_FRAMES)}
        if one.frames and one.capture:
            try:
                packets = captures.shown(one)
                addresses = captures.data(one).network["addresses"]
            except TestbedError:
                packets = None  # a capture that cannot be read to the end; the rows stay
            if packets is not None and len(packets):
                shown["rows"] = report.packet_rows(packets)
                shown["ladder"] = _image(_ladder(packets, addresses, one.what))
        found.append(shown)
    return found


def _image(svg: str) -> str:
    """The drawing as a picture's URL, so that nothing in it can act as part of the page."""
    data = base64.b64encode(svg.encode()).decode()
    return f"data:image/svg+xml;base64,{data}" if svg else ""


def _ladder(packets: pd.DataFrame, addresses: Iterable[Mapping[str, Any]], title: str) -> str:
    """A ladder of packets between nodes; empty if there are too few packets or too many hosts."""
    from analysis import ladder
    from testbed.author.steps import name_hosts

    drawn = ladder.messages(name_hosts(packets, addresses), packets["what"])
    hosts = {end for m in drawn for end in (m.source, m.target) if end}
    if len(drawn) < 2 or len(hosts) > _MOST_LANES:
        return ""
    return ladder.svg(drawn, title=title)


# ---- books


def gradebook(
    results: Sequence[Result], said: Mapping[str, list[str]], late: Mapping[str, Late]
) -> pd.DataFrame:
    """One row per student: sums, then the points of each check (missing where inconclusive).

    Args:
        results: of the students.
        said: student → `notes`.
        late: with deadlines, what lateness costs: four more columns; the last one is what counts.
    """
    import pandas as pd

    rows = []
    for result in results:
        status = "graded" if result.conclusive else "regrade"
        text = "; ".join(said[result.student])
        sums = (result.student, result.points, result.of, result.open_points, status, text)
        row: dict[str, Any] = dict(zip(COLUMNS, sums, strict=False))
        if late:
            one = late.get(result.student, Late())
            final = result.points - one.lost(result) if result.conclusive else None
            values = (one.handed_in, one.days, one.lost(result), final)
            row |= dict(zip(LATE_COLUMNS, values, strict=True))
        for check in result.checks:
            row[check.name] = None if check.mark is Mark.INCONCLUSIVE else check.points
        rows.append(row)
    return pd.DataFrame(rows)


def notes(result: Result, regraded: str = "") -> list[str]:
    """What a teacher should know of a submission: faults of its files, limits that it exceeded.

    With why it was graded again, if it was.
    """
    ended = {c.observed for c in result.checks if c.observed.startswith(ENDED)}
    lines = [*[regraded] * bool(regraded), *sorted(ended), *result.problems]
    more = [f"and {len(lines) - _MOST_NOTES} more"] * (len(lines) > _MOST_NOTES)
    return lines[:_MOST_NOTES] + more


def items_table(items: Sequence[class_statistics.Item]) -> pd.DataFrame:
    """One row per check: earned and discrimination (see `Item`), marks, frequent wrong values."""
    import pandas as pd

    rows = [
        {
            "check": item.name,
            "earned": item.earned,
            "discrimination": item.discrimination,
            **{mark.lower(): count for mark, count in item.marks.items()},
            "frequent": "; ".join(f"{count} × {words}" for words, count in item.wrong),
        }
        for item in items
    ]
    return pd.DataFrame(rows)


def junit(results: Iterable[Result]) -> str:
    """JUnit XML: one test per check; lost points are failures, inconclusive checks are skipped."""
    suites = ET.Element("testsuites")
    for result in results:
        suite = ET.SubElement(suites, "testsuite", name=f"{result.lab}: {result.student}")
        suite.set("tests", str(len(result.checks)))
        for check in result.checks:
            case = ET.SubElement(suite, "testcase", classname=result.student, name=check.name)
            words = f"{check.observed}; expected {check.expected}"
            if check.mark is Mark.INCONCLUSIVE:
                ET.SubElement(case, "skipped", message=words)
            elif check.mark is not Mark.PASS:
                lost = points_text(check.of - check.points)
                ET.SubElement(case, "failure", message=f"loses {lost}: {words}")
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    ET.indent(suites, " ")
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def gradescope_results(result: Result) -> dict[str, Any]:
    """Gradescope's ``results.json``; without a score where something must be graded again.

    Gradescope shows a result without a score as failed, for staff to look at, never as zero points.
    """
    tests = []
    for check in result.checks:
        lines = [check.sentence, f"observed: {check.observed}", f"expected: {check.expected}"]
        if check.follows_from:
            lines[1:] = [f"follows from: {result.sentence_of(check.follows_from)}"]
        elif check.mark is not Mark.PASS and check.hint:
            lines.append(f"hint: {check.hint}")
        test: dict[str, Any] = {
            "name": f"{check.name}: {check.mark}",
            "status": "passed" if check.mark is Mark.PASS else "failed",
            "output": "\n".join(lines),
            "output_format": "text",
            "visibility": "after_published" if check.hidden else "visible",
        }
        if result.conclusive:
            test |= {"score": check.points, "max_score": check.of}
        tests.append(test)
    problems = [f"note: {line}" for line in result.problems]
    if not result.conclusive:
        problems.insert(0, "The grader could not judge everything; this must be graded again.")
    score = {"score": result.points} if result.conclusive else {}
    return {
        **score,
        "output": "\n".join(problems),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
    }
