"""Settings of an application: a frozen dataclass whose fields are set by ``name=value`` words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeVar, get_type_hints

S = TypeVar("S")


class SettingsError(Exception):
    """An unknown setting, or a value of the wrong type; one line."""


@dataclass(frozen=True)
class Nothing:
    """The settings of an application without any."""


class given:
    """What the command line gave; the framework makes applications without arguments."""

    words: tuple[str, ...] = ()
    log: str = ""


def parse(cls: type[S], words: Iterable[str]) -> S:
    """Settings from words such as ``idle_s=10``.

    Raises:
        SettingsError: names the setting, the value and what is allowed.
    """
    kinds = {f.name: get_type_hints(cls)[f.name] for f in fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if name not in kinds or not equals:
            near = difflib.get_close_matches(name, kinds, n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else ""
            known = ", ".join(f"{n}=" for n in kinds) or "none"
            raise SettingsError(f"setting '{word}': unknown{hint}; known: {known}")
        values[name] = _value(name, kinds[name], text)
    return cls(**values)


def _value(name: str, kind: type, text: str) -> Any:
    if kind is bool:
        words = {"yes": True, "true": True, "no": False, "false": False}
        if text.lower() not in words:
            raise SettingsError(f"setting {name}: '{text}' is neither yes nor no")
        return words[text.lower()]
    try:
        return kind(text)
    except ValueError:
        wanted = "whole number" if kind is int else "number"
        raise SettingsError(f"setting {name}: '{text}' is not a {wanted}") from None
