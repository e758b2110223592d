"""Files of two students that are alike beyond what everybody has: hints, which change no points.

Lines that the starter files or the solution have do not count, nor those of a quarter of the class:
there are not many ways to write them. What is left is compared as tokens. In programs, names are
all the same, so that renaming hides nothing; in other files, numbers are, as variants differ in
them. rapidfuzz computes the similarity: twice the length of the longest common subsequence, over
both lengths.
"""

from __future__ import annotations

import builtins
import itertools
import keyword
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from testbed.grading.answers import shown
from testbed.grading.library import LabFolder

_TOKEN = re.compile(r"\w+|[^\w\s]")
_COMMENT = re.compile(r"(^|\s)[#!;].*$")
_KEPT = frozenset([*keyword.kwlist, *dir(builtins)])
_CODE = ("program", "app")
_COMPARED = (*_CODE, "dnsmasq", "frr", "nginx", "text", "zone")
_ALIKE = 0.85
_LEAST_TOKENS = 40
_COMMON_SHARE, _LEAST_COMMON = 0.25, 3
_MOST_LINES, _MOST_TOKENS = 2000, 5000
_MOST_PAIRS, _MOST_SHOWN = 50, 3

Line = tuple[str, ...]


@dataclass(frozen=True)
class Alike:
    """Two submissions whose own part of a file is alike.

    Attributes:
        student: one of them.
        other: the other one.
        file: name of the file.
        share: similarity of their own lines, 0 to 1.
        tokens: length of the shorter own part.
        lines: some lines that both have.
    """

    student: str
    other: str
    file: str
    share: float
    tokens: int
    lines: tuple[str, ...]


def pairs(
    lab: LabFolder, secret: bytes, submissions: Mapping[str, Mapping[str, bytes]]
) -> list[Alike]:
    """The most similar pairs of a class, those with the highest similarity first.

    Args:
        lab: the lab.
        secret: the course's.
        submissions: student → files by name, as they were graded.
    """
    found: list[Alike] = []
    for name, spec in lab.manifest.files.items():
        if spec.kind in _COMPARED:
            code = spec.kind in _CODE
            theirs = {who: _lines(files.get(name, b""), code) for who, files in submissions.items()}
            for who, lines in theirs.items():
                params = lab.variant(who, secret)
                for files in (lab.starter(params, who), lab.solution(params, who)):
                    for line in _lines(files.get(name, b""), code):
                        lines.pop(line, None)
            found += _alike(name, _own(theirs))
    return sorted(found, key=lambda a: (-a.share, a.student, a.other, a.file))[:_MOST_PAIRS]


def _lines(data: bytes, code: bool) -> dict[Line, str]:
    """Lines as tokens → as they are written, in their order; each once."""
    found: dict[Line, str] = {}
    for line in data.decode("utf-8", "replace").splitlines()[:_MOST_LINES]:
        words = _TOKEN.findall(_COMMENT.sub("", line[:500]))
        tokens = tuple(_plain(word, code) for word in words)
        if len(tokens) > 1:
            found.setdefault(tokens, line.strip())
    return found


def _plain(word: str, code: bool) -> str:
    if word[0].isdigit():
        return "0"
    return "name" if code and word not in _KEPT and re.match(r"\w", word) else word


def _own(theirs: Mapping[str, Mapping[Line, str]]) -> dict[str, Mapping[Line, str]]:
    """What of each student's lines is not common in the class."""
    counts = Counter(line for lines in theirs.values() for line in lines)
    most = max(_LEAST_COMMON, _COMMON_SHARE * len(theirs))
    return {
        who: {line: text for line, text in lines.items() if counts[line] <= most}
        for who, lines in theirs.items()
    }


def _alike(name: str, own: Mapping[str, Mapping[Line, str]]) -> list[Alike]:
    from rapidfuzz.distance import Indel

    tokens = {
        who: list(itertools.chain.from_iterable(lines))[:_MOST_TOKENS] for who, lines in own.items()
    }
    enough = [who for who in sorted(tokens) if len(tokens[who]) >= _LEAST_TOKENS]
    found = []
    for one, other in itertools.combinations(enough, 2):
        share = Indel.normalized_similarity(tokens[one], tokens[other], score_cutoff=_ALIKE)
        if share >= _ALIKE:
            both = sorted(own[one].keys() & own[other].keys(), key=len, reverse=True)
            lines = tuple(shown(own[one][line], 100) for line in both[:_MOST_SHOWN])
            length = min(len(tokens[one]), len(tokens[other]))
            found.append(Alike(one, other, name, share, length, lines))
    return found
