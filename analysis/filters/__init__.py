"""Filters over the packet table, in the words of Wireshark's display filters and of our columns.

    mask = select(table, "tcp.port == 80 and ip.src == 10.0.0.0/8 and not tcp.flags.syn")

A test is ``field``, ``field == value`` (``!= < <= > >=``, ``eq ne lt le gt ge``), ``field in {1,
5..9, 10.0.0.0/8}``, ``field contains "text"``, ``field matches "pattern"`` or ``tcp.flags & 0x12``;
tests are joined by ``and or not`` (``&& || !``) and brackets. Fields are those of
`analysis.filters.names`, and all columns.

A value that a packet lacks equals nothing, so ``not`` of a test holds there. As in Wireshark, a
name of two fields (``tcp.port``) holds if one of them does, and ``!=`` only if all that are present
differ. Unlike there, a flag alone (``tcp.flags.syn``) means that it is set, not that it is present;
headers inside tunnels and ICMP errors are not asked, and fragments are not put together.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Container
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from lark import Lark, Token, Tree, UnexpectedInput
from lark.visitors import Interpreter

from analysis import tcp
from analysis.filters import names
from analysis.filters.patterns import matches
from analysis.filters.values import (
    Compare,
    Field,
    Mask,
    Word,
    Wrong,
    all_of,
    compare_fields,
    compare_value,
    in_element,
    octets_of,
    of_columns,
    one_of,
    turned,
    whole_number,
)
from analysis.tcp.flows import NEEDED
from testbed.core.errors import ConfigError, nearest

_GRAMMAR = r"""
?start: either
?either: both (("or"i | "||") both)*
?both: negation (("and"i | "&&") negation)*
?negation: ("not"i | "!") negation -> negated
    | test
?test: bits
    | bits COMPARE bits -> compared
    | bits "in"i "{" [element (","? element)*] "}" -> within
    | bits "contains"i value -> contained
    | bits ("matches"i | "~") value -> matched
?bits: operand
    | bits "&" operand -> masked
    | bits "|" operand -> joined
?operand: value | "(" either ")"
?element: value
value: WORD | TEXT

COMPARE.1: /==|!=|<=|>=|<|>|(eq|ne|lt|le|gt|ge)(?![\w.])/i
TEXT: /"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/
WORD: /[^\s(){}!&|<>=~,"']+/i
%ignore /\s+/
"""

_COMPARISONS: dict[str, Compare] = {
    "==": operator.eq,
    "eq": operator.eq,
    "!=": operator.ne,
    "ne": operator.ne,
    "<": operator.lt,
    "lt": operator.lt,
    "<=": operator.le,
    "le": operator.le,
    ">": operator.gt,
    "gt": operator.gt,
    ">=": operator.ge,
    "ge": operator.ge,
}
_LONGEST = 10_000
_MOST_SHOWN = 200
_DEEPEST = 100


class FilterError(ConfigError):
    """A filter that cannot be read or asked; names the place."""


def select(table: pd.DataFrame, text: str) -> Mask:
    """True for the packets that pass.

    Args:
        table: packets as `packets.read` gives them, n rows; names of application protocols
            (``dns``, ``http.request.method``) want its column `payload`.
        text: the filter.

    Returns:
        (n,) bool.

    Raises:
        FilterError: the filter is malformed, names what is not there, or compares unlike things.
    """
    try:
        return _Evaluation(table).run(_parse(text))
    except Wrong as wrong:
        raise FilterError(f"filter '{_shown(text)}': column {wrong.column}: {wrong}") from wrong


def wants_payload(text: str) -> bool:
    """True if the filter asks for what dissectors read (a word may do so without meaning it)."""
    words = {word.lower() for word in re.findall(r"[\w.]+", text)}
    return bool(words & (names.DISSECTORS.keys() | names.DISSECTED.keys() | {"payload"}))


def _shown(text: str) -> str:
    """The filter in one line, character by character, so that columns count in it."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain if len(plain) <= _MOST_SHOWN else f"{plain[:_MOST_SHOWN]}…"


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", propagate_positions=True, maybe_placeholders=False)


def _parse(text: str) -> Tree[Any]:
    if len(text) > _LONGEST:
        raise Wrong(_LONGEST, f"a filter has at most {_LONGEST} characters")
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        ended = getattr(getattr(error, "token", None), "type", "") == "$END"
        at = len(text) if ended else error.pos_in_stream or 0
        rest = text[at:].split(maxsplit=1)
        what = f"'{rest[0]}' is not expected here" if rest else "the filter ends too early"
        raise Wrong(at + 1, what) from error
    if _depth(tree) > _DEEPEST:
        raise Wrong(1, f"tests are nested more than {_DEEPEST} deep")
    return tree if isinstance(tree, Tree) else Tree("value", [tree])


def _depth(tree: Any) -> int:
    deepest, waiting = 0, [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting += [(child, depth + 1) for child in getattr(node, "children", [])]
    return deepest


_Value = Word | Field


class _Evaluation(Interpreter[Any, Any]):
    """Walks the tree; each rule gives a mask, a field or a word."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table
        self.segments: pd.DataFrame | None = None
        self.dissected: dict[str, pd.DataFrame] = {}
        self.kinds: tuple[tuple[Container[str], Callable[[Word, str], Field]], ...] = (
            (names.FLAG_BITS, self.flag),
            (names.DISSECTED, self.dissected_field),
            (names.ANALYSED, self.analysed_field),
            (names.SECONDS, self.seconds),
        )

    def run(self, tree: Tree[Any]) -> Mask:
        return self.truth(self.visit(tree))

    def truth(self, value: _Value | Mask) -> Mask:
        """A value alone: present, set, or not zero; a protocol's name: it is in the packet."""
        if isinstance(value, np.ndarray):
            return value
        if isinstance(value, Word):
            if value.quoted or re.fullmatch(r"[\d.:/x]+", value.text):
                raise Wrong(value.column, f"'{value.text}' alone is not a test")
            protocol = self.protocol(value)
            return self.truth(self.field(value)) if protocol is None else protocol
        if value.kind == "flag" or value.name == "&":
            return value.any(lambda values: values != 0)
        return value.present

    # --- rules of the grammar

    def either(self, tree: Tree[Any]) -> Mask:
        return one_of([self.truth(self.visit(c)) for c in tree.children])

    def both(self, tree: Tree[Any]) -> Mask:
        return all_of([self.truth(self.visit(c)) for c in tree.children])

    def negated(self, tree: Tree[Any]) -> Mask:
        return ~self.truth(self.visit(tree.children[0]))

    def value(self, tree: Tree[Any]) -> Word:
        token = tree.children[0]
        assert isinstance(token, Token)
        column = _column(token)
        if token.type == "TEXT":
            return Word(re.sub(r"\\([\"'\\])", r"\1", token[1:-1]), True, column)
        return Word(str(token), False, column)

    def masked(self, tree: Tree[Any]) -> Field | Mask:
        left, right = (self.visit(child) for child in tree.children)
        if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
            return self.truth(left) & self.truth(right)
        if isinstance(left, Word) and not isinstance(right, Word):
            left, right = right, left
        field = self.field(left)
        if field.kind != "number" or not isinstance(right, Word):
            raise Wrong(
                _place(right), "'&' takes a number's field and a number, as in tcp.flags & 2"
            )
        bits = whole_number(right, field)
        parts = tuple((values.astype(np.int64) & bits, known) for values, known in field.parts)
        return replace(field, name="&", parts=parts)

    def joined(self, tree: Tree[Any]) -> Mask:
        left, right = (self.visit(child) for child in tree.children)
        return self.truth(left) | self.truth(right)

    def compared(self, tree: Tree[Any]) -> Mask:
        left, sign, right = tree.children
        name = str(sign).lower()
        compare = _COMPARISONS[name]
        first, second = self.visit(left), self.visit(right)
        for side in (first, second):
            if isinstance(side, np.ndarray):
                raise Wrong(_column(sign), f"'{sign}' compares a field with a value, not a test")
        if (
            isinstance(first, Word)
            and self.known(first) is None
            and (isinstance(second, Field) or self.known(second) is not None)
        ):
            first, second = second, first
            compare = turned(compare)
        field = self.field(first)
        other = second if isinstance(second, Field) else self.known(second, field)
        if other is not None:
            return compare_fields(field, other, compare, _column(sign))
        if compare is operator.ne:
            return field.present & ~compare_value(field, second, operator.eq)
        return compare_value(field, second, compare)

    def within(self, tree: Tree[Any]) -> Mask:
        field, *elements = (self.visit(child) for child in tree.children)
        field = self.field(field)
        if not elements:
            raise Wrong(field.column, "the set behind 'in' is empty")
        return one_of([in_element(field, element) for element in elements])

    def contained(self, tree: Tree[Any]) -> Mask:
        field, word = (self.visit(child) for child in tree.children)
        field = self.field(field)
        if field.kind == "bytes":
            wanted = octets_of(word)
            return field.any(lambda values: [wanted in value for value in values])
        return self.textual(field, "contains").any_text(lambda text: word.text in text)

    def matched(self, tree: Tree[Any]) -> Mask:
        field, word = (self.visit(child) for child in tree.children)
        field = self.field(field)
        return matches(field if field.kind == "bytes" else self.textual(field, "matches"), word)

    # --- names

    def textual(self, field: Field, what: str) -> Field:
        if not field.categories:
            raise Wrong(
                field.column, f"'{what}' is for texts and bytes; {field.name} is a {field.kind}"
            )
        return field

    def protocol(self, word: Word) -> Mask | None:
        """Where a protocol is in the packet; None: the word is not a protocol's name."""
        name = word.text.lower()
        if test := names.PROTOCOLS.get(name):
            try:
                return _Evaluation(self.table).run(_parse(test))
            except Wrong as wrong:  # a column is missing
                raise Wrong(word.column, str(wrong)) from wrong
        if name in names.DISSECTORS:
            frames = self.dissection(name, word.column)["frame"].to_numpy()
            return np.isin(self.table["frame"].to_numpy(), frames)
        return None

    def dissection(self, name: str, place: int) -> pd.DataFrame:
        """A dissector's table, read once per filter."""
        if name not in self.dissected:
            self.dissected[name] = names.DISSECTORS[name](self.columns(names.NEEDED[name], place))
        return self.dissected[name]

    def columns(self, wanted: tuple[str, ...], place: int) -> pd.DataFrame:
        """Some columns of the table."""
        for name in wanted:
            if name not in self.table:
                raise Wrong(place, f"this needs the column '{name}', which was not read")
        return self.table[list(wanted)]

    def field(self, value: _Value | Mask) -> Field:
        if isinstance(value, np.ndarray):
            raise Wrong(1, "a test stands where a field is wanted")
        if isinstance(value, Field):
            return value
        found = None if value.quoted else self.known(value)
        if found is None:
            if value.text.lower() in {**names.PROTOCOLS, **names.DISSECTORS}:
                raise Wrong(value.column, f"'{value.text}' is a protocol, not a field with a value")
            allowed = [*names.ALL, *map(str, self.table)]
            raise Wrong(value.column, f"no field '{value.text}'{nearest(value.text, allowed)}")
        return found

    def known(self, word: Any, like: Field | None = None) -> Field | None:
        """The field of that name; None if there is none, or if next to a text it may be a value."""
        if not isinstance(word, Word) or word.quoted:
            return None
        name, low = word.text, word.text.lower()
        if like and like.kind in {"text", "bytes"} and not set("._") & set(name):
            return None
        for known, read in self.kinds:
            if low in known:
                return read(word, low)
        columns = [c for c in names.FIELDS.get(low, (name,)) if c in self.table]
        if not columns and low not in names.FIELDS:
            return None
        field = of_columns(name, word.column, {c: self.table[c] for c in columns})
        version = names.version_of(low) if low in names.FIELDS else None
        if version is None:
            return field
        right = (self.table["ip_version"] == version).fillna(False).to_numpy(bool)
        return replace(field, parts=tuple((values, known & right) for values, known in field.parts))

    def analysed_field(self, word: Word, name: str) -> Field:
        """A column of the TCP analysis."""
        if self.segments is None:
            needed = self.columns(NEEDED, word.column)
            self.segments = tcp.analyse(needed).convert_dtypes().reindex(self.table.index)
        column = names.ANALYSED[name]
        return of_columns(word.text, word.column, {column: self.segments[column]})

    def dissected_field(self, word: Word, name: str) -> Field:
        """A column of a dissector's table, for the packets it speaks of."""
        protocol, column = names.DISSECTED[name]
        found = (
            self.dissection(protocol, word.column)
            .drop_duplicates("frame")
            .set_index("frame")[column]
        )
        found = found.convert_dtypes().reindex(self.table["frame"])  # numbers and flags stay such
        return of_columns(word.text, word.column, {column: found})

    def seconds(self, word: Word, _name: str) -> Field:
        """The table's own seconds, else those since its first packet."""
        if "time_s" in self.table:
            return of_columns(word.text, word.column, {"time_s": self.table["time_s"]})
        time_ns = self.columns(("time_ns",), word.column)["time_ns"].to_numpy()
        time_s = (time_ns - time_ns[:1].sum()) / 1e9
        return Field(word.text, word.column, "number", ((time_s, np.ones(len(time_s), bool)),))

    def flag(self, word: Word, name: str) -> Field:
        """One of TCP's flags."""
        flags = of_columns(word.text, word.column, dict(self.columns(("tcp_flags",), word.column)))
        bit = names.FLAG_BITS[name]
        parts = tuple(((values & bit) != 0, known) for values, known in flags.parts)
        return replace(flags, kind="flag", parts=parts)


def _column(token: Any) -> int:
    """Where a token begins in the text, from 1; lines do not count."""
    return int(getattr(token, "start_pos", 0) or 0) + 1


def _place(value: Any) -> int:
    return int(getattr(value, "column", 1))
