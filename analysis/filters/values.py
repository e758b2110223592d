"""Values in a filter: a word as typed, a field of the table, and tests of one against the other."""

from __future__ import annotations

import ipaddress
import math
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Mask = npt.NDArray[Any]
"""(n,) bool: one truth value per packet."""
Compare = Callable[[Any, Any], Any]

_YES, _NO = {"true", "yes", "1"}, {"false", "no", "0"}
_ADDRESSES = {
    "ip_src",
    "ip_dst",
    "arp_sender_ip",
    "arp_target_ip",
    "icmp_gateway",
    "icmp6_target",
    "your_ip",
    "client_ip",
    "server_ip",
    "relay_ip",
    "requested_ip",
    "server_id",
}


class Wrong(Exception):
    """What is wrong in a filter, and the column of the text where."""

    def __init__(self, column: int, what: str) -> None:
        self.column = column
        super().__init__(what)


def one_of(masks: Iterable[Mask]) -> Mask:
    """True where one of them is."""
    return np.asarray(np.logical_or.reduce(list(masks)))


def all_of(masks: Iterable[Mask]) -> Mask:
    """True where all of them are."""
    return np.asarray(np.logical_and.reduce(list(masks)))


@dataclass(frozen=True)
class Word:
    """A value as it was typed."""

    text: str
    quoted: bool
    column: int


@dataclass(frozen=True)
class Field:
    """One or several columns of the table under one name.

    Attributes:
        kind: ``number``, ``flag``, ``address``, ``text`` or ``bytes``.
        parts: values (n,) and where they are there (n,), one pair per column; of categories the
            values are their codes.
        categories: per part the texts that the codes stand for; empty if they are no codes.
    """

    name: str
    column: int
    kind: str
    parts: tuple[tuple[npt.NDArray[Any], Mask], ...]
    categories: tuple[tuple[str, ...], ...] = ()

    def any(self, test: Callable[[npt.NDArray[Any]], Any]) -> Mask:
        """Where the test holds for one of the parts."""
        return one_of(np.asarray(test(values), bool) & known for values, known in self.parts)

    def any_text(self, test: Callable[[str], bool]) -> Mask:
        """The same, for texts: each distinct one is tested once."""
        found = []
        for (codes, known), texts in zip(self.parts, self.categories, strict=True):
            holds = np.array([test(text) for text in texts] + [False], bool)
            found.append(holds[codes] & known)
        return one_of(found)

    @property
    def present(self) -> Mask:
        """Where one of the parts is there."""
        return one_of(known for _, known in self.parts)


def of_columns(name: str, place: int, columns: dict[str, pd.Series[Any]]) -> Field:
    """The field of some columns of the table; `place` is where its name stands in the filter."""
    if not columns:
        raise Wrong(place, f"'{name}' was not read from the capture")
    parts, categories, kind = [], [], "number"
    for column, series in columns.items():
        known = series.notna().to_numpy(bool)
        if column == "payload":
            octets = series.to_numpy(object, copy=True)
            octets[~known] = b""
            parts.append((octets, known))
            kind = "bytes"
        elif isinstance(series.dtype, pd.BooleanDtype) or series.dtype == bool:
            parts.append((series.fillna(False).to_numpy(bool), known))
            kind = "flag"
        elif pd.api.types.is_numeric_dtype(series.dtype):
            floats = pd.api.types.is_float_dtype(series.dtype)
            parts.append((series.fillna(0).to_numpy(np.float64 if floats else np.int64), known))
        else:
            as_codes = series.astype("category").cat
            parts.append((as_codes.codes.to_numpy(), known))
            categories.append(tuple(map(str, as_codes.categories)))
            kind = "address" if column in _ADDRESSES else "text"
    return Field(name, place, kind, tuple(parts), tuple(categories))


def turned(compare: Compare) -> Compare:
    """The comparison with its sides exchanged."""
    swaps = {operator.lt: operator.gt, operator.gt: operator.lt}
    swaps |= {operator.le: operator.ge, operator.ge: operator.le}
    return swaps.get(compare, compare)


def compare_fields(left: Field, right: Field, compare: Compare, place: int) -> Mask:
    """One field against another, packet by packet."""
    if _sort(left) != _sort(right):
        raise Wrong(place, f"{left.name} and {right.name} cannot be compared")
    found = []
    for one, (values, known) in enumerate(left.parts):
        for two, (others, other_known) in enumerate(right.parts):
            if left.categories:
                texts = sorted({*left.categories[one], *right.categories[two]}, key=_rank)
                number = {text: index for index, text in enumerate(texts)}
                ranks = [
                    np.array([*(number[text] for text in side), -1])[codes]
                    for side, codes in (
                        (left.categories[one], values),
                        (right.categories[two], others),
                    )
                ]
                found.append(compare(*ranks) & known & other_known)
            else:
                found.append(compare(values, others) & known & other_known)
    return all_of(found) if compare is operator.ne else one_of(found)


def _sort(field: Field) -> str:
    """Fields of one sort can be compared: texts (also addresses), numbers (also flags) or bytes."""
    return "text" if field.categories else "bytes" if field.kind == "bytes" else "number"


def _rank(text: str) -> tuple[int, int, str]:
    """Addresses in the order of their numbers, and other texts before them."""
    address = _address(text)
    return (0, 0, text) if address is None else (address.version, int(address), text)


def in_element(field: Field, word: Word) -> Mask:
    """A field against one element of a set: a value, a prefix, or a range ``5..9``."""
    low, dots, high = word.text.partition("..")
    if not dots or word.quoted or field.kind not in {"number", "address"}:
        return compare_value(field, word, operator.eq)
    first, last = replace(word, text=low), replace(word, text=high)
    if field.kind == "number":
        least, most = _number(first, field), _number(last, field)
        return field.any(lambda values: (values >= least) & (values <= most))
    lowest, highest = (_network(end, field).network_address for end in (first, last))
    return field.any_text(lambda text: _in_order(lowest, _address(text), highest))


def compare_value(field: Field, word: Word, compare: Compare) -> Mask:
    """A field against a value, which must be of its kind."""
    return _COMPARE[field.kind](field, word, compare)


def _compare_number(field: Field, word: Word, compare: Compare) -> Mask:
    number = _number(word, field)
    return field.any(lambda values: compare(values, number))


def _compare_flag(field: Field, word: Word, compare: Compare) -> Mask:
    if word.text.lower() not in _YES | _NO:
        raise Wrong(word.column, f"{field.name} is true or false, not '{word.text}'")
    wanted = word.text.lower() in _YES
    return field.any(lambda values: compare(values, wanted))


def _compare_bytes(field: Field, word: Word, compare: Compare) -> Mask:
    octets = octets_of(word)
    return field.any(lambda values: [compare(value, octets) for value in values])


def _compare_address(field: Field, word: Word, compare: Compare) -> Mask:
    network = _network(word, field)
    if compare is operator.eq:
        return field.any_text(lambda text: (ip := _address(text)) is not None and ip in network)
    other = network.network_address
    return field.any_text(
        lambda text: (
            (ip := _address(text)) is not None
            and ip.version == other.version
            and bool(compare(ip, other))
        )
    )


def _compare_text(field: Field, word: Word, compare: Compare) -> Mask:
    """Protocols and MAC addresses are the same in small and in capital letters."""
    if field.name == "protocol" or field.name.startswith(("eth", "arp")):
        wanted = word.text.replace("-", ":").lower()
        return field.any_text(lambda text: bool(compare(text.lower(), wanted)))
    return field.any_text(lambda text: bool(compare(text, word.text)))


_COMPARE: dict[str, Callable[[Field, Word, Compare], Mask]] = {
    "number": _compare_number,
    "flag": _compare_flag,
    "bytes": _compare_bytes,
    "address": _compare_address,
    "text": _compare_text,
}


def _address(text: str) -> Any:
    """An address; None for what is none (an ARP of another protocol has such)."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _in_order(low: Any, address: Any, high: Any) -> bool:
    if address is None or not low.version == address.version == high.version:
        return False
    return bool(low <= address <= high)


def _number(word: Word, field: Field) -> float:
    for read in (lambda text: int(text, 0), float):
        try:
            number: float = read(word.text)
        except ValueError:
            continue
        if abs(number) < 2**63 or isinstance(number, float):
            return number
        return math.inf if number > 0 else -math.inf  # beyond all columns
    raise Wrong(word.column, f"{field.name} is a number, not '{word.text}'")


def whole_number(word: Word, field: Field) -> int:
    """A mask of bits."""
    number = _number(word, field)
    if not (0 <= number < 2**63 and number == int(number)):
        raise Wrong(word.column, f"'{word.text}' is not a mask of bits")
    return int(number)


def _network(word: Word, field: Field) -> Any:
    try:
        return ipaddress.ip_network(word.text, strict=False)
    except ValueError:
        what = f"{field.name} is an address or a prefix, not '{word.text}'"
        raise Wrong(word.column, what) from None


def octets_of(word: Word) -> bytes:
    """A text's bytes; unquoted hexadecimal with colons is bytes, as in Wireshark."""
    if not word.quoted and re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2})*", word.text):
        return bytes.fromhex(word.text.replace(":", ""))
    return encoded(word.text)


def encoded(text: str) -> bytes:
    """A text in UTF-8; what the command line could not decode stays the bytes it was."""
    return text.encode("utf-8", "surrogateescape" if _escaped(text) else "surrogatepass")


def _escaped(text: str) -> bool:
    return all("\udc80" <= c <= "\udcff" for c in text if "\ud800" <= c <= "\udfff")
