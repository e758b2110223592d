"""Files that are alike beyond the starter and the class are named, and only these."""

import pytest

from testbed.core.project import PROJECT
from testbed.grading import library, pages, similarity
from testbed.grading.result import CheckResult, Mark, Result

SECRET = b"0123456789abcdef"
MINE = """
def frames(data, size):
    pieces = [data[at:at + size] for at in range(0, len(data), size)]
    while pieces and not pieces[-1]:
        pieces.pop()
    for number, piece in enumerate(pieces):
        yield number.to_bytes(4, "big") + piece   # the number first
        if number % 7 == 3 and len(piece) < size:
            raise ValueError(f"short piece {number}")
"""
RENAMED = MINE.replace("pieces", "chunks").replace("number", "n").replace("# the number", "# its")
OTHER = """
import struct
class Sender:
    def __init__(self, peer): self.peer, self.window = peer, {}
    def push(self, order, blob):
        self.window[order] = (blob, 0.0); self.peer.send(struct.pack("!I", order) + blob)
    def acknowledged(self, order):
        self.window.pop(order, None); return bool(self.window)
    def oldest(self): return min(self.window, default=None)
"""


@pytest.fixture(scope="module")
def lab():
    return library.open_folder(PROJECT / "tests/labs/letter")


def found(lab, **programs):
    handed = {who: {"say.py": text.encode()} for who, text in programs.items()}
    return similarity.pairs(lab, SECRET, handed)


def test_a_renamed_copy_is_named_with_the_lines_that_both_have(lab):
    (pair,) = found(lab, ada=MINE, bob=OTHER, eve=RENAMED)
    assert (pair.student, pair.other, pair.file) == ("ada", "eve", "say.py")
    assert pair.share > 0.95
    assert all(line in MINE for line in pair.lines) and pair.lines


def test_the_starter_and_what_many_have_is_nobodys_own(lab):
    given = (lab.starter(lab.variant("ada", SECRET), "ada"))["say.py"].decode()
    assert found(lab, ada=given * 5, bob=given * 5) == []
    many = {f"s{n}": MINE for n in range(5)}
    assert found(lab, **many) == []  # all of them: it is the way to do it, or the book's
    few = {f"s{n}": MINE + OTHER.replace("0.0", "x" * n) for n in range(5)}
    assert found(lab, **few) == []


def test_variants_of_a_configuration_are_alike_if_only_numbers_differ():
    rip = library.open_lab("rip")
    handed = {who: rip.solution(rip.variant(who, SECRET), who) for who in ("ada", "bob", "eve")}
    assert similarity.pairs(rip, SECRET, handed) == []  # too short to be anybody's own
    own = "".join(
        f"ip prefix-list mine{n} seq {n} permit 10.{n}.0.0/16 le 24\n" for n in "abcdefgh"
    )
    for n, who in enumerate(("ada", "eve")):
        handed[who]["r1.conf"] += own.replace("10.", f"1{n}.").encode()
    (pair,) = similarity.pairs(rip, SECRET, handed)
    assert (pair.student, pair.other, pair.file) == ("ada", "eve", "r1.conf")


def test_the_page_shows_hints_as_text(tmp_path):
    check = CheckResult("a", "A.", "", "", False, Mark.PASS, 4.0, 4.0, "", "")
    result = Result("x", "X", "eve", "key", checks=(check,))
    pair = similarity.Alike("eve", "<b>bob</b>", "say.py", 0.9, 99, ("<script>1",))
    pages.write_class([result], {"eve": "x"}, tmp_path, similar=[pair])
    page = (tmp_path / "class.html").read_text()
    assert "<script>" not in page and "<b>bob" not in page and "90 %" in page
