"""The words of a packet script, which may be hostile: numbers, times, texts, and their nesting."""

from __future__ import annotations

from typing import Any

from lark import Token, Transformer, Tree

from testbed.core.errors import ConfigError

_MOST_DIGITS = 30
_DEEPEST = 100
_LAST_S = 1e6


class ScriptError(ConfigError):
    """A packet script that cannot be read; names file, line and column."""


class Words(Transformer[Token, Any]):
    """Reads single words.

    Attributes:
        name: of the script, for messages.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def _wrong(self, token: Token, reason: str) -> ScriptError:
        return ScriptError(f"{self.name}:{token.line}:{token.column}: {reason}")

    def _short(self, token: Token) -> Token:
        if len(token) > _MOST_DIGITS:
            reason = f"a number of {len(token)} characters is too long; at most {_MOST_DIGITS}"
            raise self._wrong(token, reason)
        return token

    def _number(self, token: Token) -> int:
        """An integer: decimal, also with leading zeros, or hexadecimal after ``0x``."""
        return int(self._short(token), 16 if token.startswith("0x") else 10)

    def _below(self, token: Token | None, limit: int, what: str) -> int | None:
        if token is None:
            return None
        value = self._number(token)
        if value >= limit:
            raise self._wrong(token, f"{what} {token} is too large; at most {limit - 1}")
        return value

    def _time(self, token: Token) -> float:
        value = float(self._short(token))
        if value > _LAST_S:
            raise self._wrong(token, f"time {token} is too large; at most {_LAST_S:g} s")
        return value

    def _octets(self, token: Token) -> bytes:
        """The bytes of a text in quotes, its escapes resolved."""
        try:
            escaped = str(token)[1:-1].encode("latin-1", "backslashreplace")
            return escaped.decode("unicode_escape").encode("latin-1")
        except UnicodeDecodeError:
            raise self._wrong(token, "the text has an incomplete escape (write \\x0a)") from None
        except UnicodeEncodeError:
            reason = "a character of the text is not a single byte (write its bytes as \\xe4)"
            raise self._wrong(token, reason) from None


def check_depth(tree: Tree[Token], name: str) -> None:
    """Refuses a script that nests so deep that it cannot be read by recursion.

    Raises:
        ScriptError: it does.
    """
    left = [(tree, 0)]
    while left:
        found, depth = left.pop()
        if depth > _DEEPEST:
            place = f"{name}:{found.meta.line}:{found.meta.column}"
            raise ScriptError(f"{place}: the values are nested too deep")
        left += [(c, depth + 1) for c in found.children if isinstance(c, Tree)]
