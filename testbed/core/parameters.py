"""Parameters of an experiment: a frozen dataclass whose fields carry help, unit and limits.

    @dataclass(frozen=True)
    class Parameters:
        rate_mbps: float = param(10.0, "rate of the bottleneck", unit="Mbit/s", low=0.01)
        cc: tuple[str, ...] = param(("reno", "cubic"), "one flow each", choices=CONTROLS)

Field names become options (``--rate-mbps 50 --cc bbr,cubic``) and land in the run directory.
Types allowed: int, float, bool, str and tuples of int, float or str.
"""

from __future__ import annotations

import math
import shlex
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any, TypeVar

from testbed.core.errors import ConfigError, nearest

P = TypeVar("P")

RESERVED = (
    "again",
    "clock",
    "cluster",
    "detach",
    "dry_run",
    "grid",
    "help",
    "image",
    "interface",
    "job",
    "json",
    "keep",
    "lang",
    "out",
    "perturb",
    "progress",
    "repeat",
    "runtime",
    "scenario",
    "scenarios",
    "seed",
    "seeds",
    "tls",
    "verify",
    "wall_limit_s",
    "workers",
    "yes",
)
"""Options of every run, on the command line and in Python; no parameter has such a name."""

MOST_VALUES, MOST_CHARS = 100, 1000
"""Limits of a list, and of a string."""

ONE_OF, YES_OR_NO, ANY_TEXT = "one of {}", "yes or no", "any text"
FROM_TO, AT_LEAST, AT_MOST = "{} to {}", "at least {}", "at most {}"
WHOLE, NUMBER = "a whole number", "a number"
ALLOWED = (ONE_OF, YES_OR_NO, ANY_TEXT, FROM_TO, AT_LEAST, AT_MOST, WHOLE, NUMBER)
"""Allowed types of a parameter, in words."""


@dataclass(frozen=True)
class Spec:
    """What a parameter's field knows in addition to its type and default."""

    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


def param(
    default: Any,
    help: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: Iterable[str] = (),
) -> Any:
    """A field of a `Parameters` dataclass.

    Args:
        default: value if the user gives none.
        help: one line for ``--help`` and the report.
        unit: unit of the number, as printed.
        low: the smallest allowed value (for tuples, of each element).
        high: the largest allowed value.
        choices: the only words allowed (for tuples, for each element).
    """
    return field(default=default, metadata={"spec": Spec(help, unit, low, high, tuple(choices))})


@dataclass(frozen=True)
class Parameter:
    """One field, resolved: what the command line and the documentation need to know about it."""

    name: str
    type: Any
    default: Any
    spec: Spec

    @property
    def option(self) -> str:
        """Spelling on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def element_type(self) -> type:
        """int, float, bool or str; for tuples the type of their elements."""
        args = [a for a in typing.get_args(self.type) if a not in (Ellipsis, types.NoneType)]
        return args[0] if args else self.type

    @property
    def is_tuple(self) -> bool:
        """True if the value is a list of values."""
        return typing.get_origin(self.type) is tuple

    @property
    def allowed(self) -> str:
        """Limits or choices in words."""
        return self.allowed_in(str)

    def allowed_in(self, words: Callable[[str], str]) -> str:
        """The same; `words` translates each of `ALLOWED`."""
        s = self.spec
        if s.choices:
            return words(ONE_OF).format(", ".join(s.choices))
        if self.element_type in (bool, str):
            return words(YES_OR_NO if self.element_type is bool else ANY_TEXT)
        unit = f" {s.unit}" if s.unit else ""
        if s.low is not None and s.high is not None:
            return words(FROM_TO).format(_plain(s.low), _plain(s.high) + unit)
        if s.low is not None:
            return words(AT_LEAST).format(_plain(s.low) + unit)
        if s.high is not None:
            return words(AT_MOST).format(_plain(s.high) + unit)
        return words(WHOLE if self.element_type is int else NUMBER) + unit

    def shown(self, value: Any) -> str:
        """A value as it is written on the command line, with its unit."""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, tuple | list):
            text = ",".join(map(str, value))
        else:
            text = f"{value:g}" if isinstance(value, float) else str(value)
        return f"{text} {self.spec.unit}".strip() if text else "none"

    def as_option(self, value: Any) -> str:
        """A value as an option of the command line, quoted for the shell."""
        if isinstance(value, bool):
            return self.option if value else f"--no-{self.option[2:]}"
        text = ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        return f"{self.option} {shlex.quote(text)}"

    def parse(self, value: Any) -> Any:
        """A checked value from a command-line string or a JSON value.

        Raises:
            ConfigError: names the parameter, the value and what is allowed.
        """
        if self.is_tuple:
            if isinstance(value, str):
                value = value.split(",")
            items = list(value) if isinstance(value, list | tuple | set | range) else [value]
            items = [i.strip() if isinstance(i, str) else i for i in items]
            if not [i for i in items if i != ""]:
                raise ConfigError(f"{self.option}: empty; give {self.allowed}, separated by commas")
            if len(items) > MOST_VALUES:
                raise ConfigError(f"{self.option}: {len(items)} values; at most {MOST_VALUES}")
            return tuple(self._parse_one(i) for i in items)
        return self._parse_one(value)

    def _parse_one(self, value: Any) -> Any:
        kind = self.element_type
        if kind is bool:
            return self._parse_bool(value)
        if kind is str:
            return self._check_choice(str(value))
        try:
            number = kind(value) if not isinstance(value, bool) else None
            if number is None or (kind is int and float(value) != number):
                raise ValueError
        except (TypeError, ValueError):
            whole = "whole " if kind is int else ""
            unit = f" of {self.spec.unit}, written without the unit" if self.spec.unit else ""
            raise ConfigError(
                f"{self.option}: {value!r} is not a {whole}number{unit}; allowed: {self.allowed}"
            ) from None
        return self._check_range(number)

    def _parse_bool(self, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if str(value).lower() not in words:
            raise ConfigError(f"{self.option}: {value!r} is neither yes nor no")
        return words[str(value).lower()]

    def _check_choice(self, value: str) -> str:
        choices = self.spec.choices
        if len(value) > MOST_CHARS:
            raise ConfigError(f"{self.option}: {len(value)} characters; at most {MOST_CHARS}")
        if choices and value not in choices:
            raise ConfigError(
                f"{self.option}: {value!r} is unknown{nearest(value, choices)}; "
                f"allowed: {', '.join(choices)}"
            )
        return value

    def _check_range(self, number: float) -> float:
        low, high = self.spec.low, self.spec.high
        bad = (
            not math.isfinite(number)
            or (low is not None and number < low)
            or (high is not None and number > high)
        )
        if bad:
            raise ConfigError(f"{self.option}: {number:g} is out of range; allowed: {self.allowed}")
        return number


def parameters_of(cls: type) -> list[Parameter]:
    """The fields of a parameters dataclass, in order.

    Raises:
        ConfigError: it is not one, or a field cannot be an option; names the field.
    """
    if not is_dataclass(cls):
        raise ConfigError(f"class {cls.__name__}: write @dataclass(frozen=True) above it")
    hints = typing.get_type_hints(cls)
    found = [Parameter(f.name, hints[f.name], _default(f), _spec(f)) for f in fields(cls)]
    for parameter in found:
        _check_field(parameter)
    return found


def _check_field(parameter: Parameter) -> None:
    if parameter.name.removeprefix("as_").removeprefix("no_") in RESERVED:
        raise ConfigError(
            f"parameter {parameter.name}: is the name of an option of every run; rename the field"
        )
    if parameter.element_type not in (int, float, bool, str):
        kind = getattr(parameter.type, "__name__", parameter.type)
        raise ConfigError(
            f"parameter {parameter.name}: {kind} is not a type that an option can have; "
            "allowed: int, float, bool, str, and tuples such as tuple[int, ...]"
        )


def build(cls: type[P], values: Mapping[str, Any]) -> P:
    """Parameters from names and values (strings or JSON values); defaults fill the rest.

    Raises:
        ConfigError: an unknown name (with the nearest) or a value that is not allowed.
    """
    known = {p.name: p for p in parameters_of(cls)}
    given = {name.replace("-", "_"): value for name, value in values.items()}
    for name in given:
        if name not in known:
            options = [p.option for p in known.values()]
            option = "--" + name.replace("_", "-")
            raise ConfigError(
                f"{option}: no such parameter{nearest(option, options)}; "
                f"known: {', '.join(options)}"
            )
    return cls(**{name: known[name].parse(value) for name, value in given.items()})


def _spec(f: Field[Any]) -> Spec:
    return typing.cast(Spec, f.metadata.get("spec", Spec(help="")))


def _default(f: Field[Any]) -> Any:
    if f.default is not MISSING:
        return f.default
    raise ConfigError(f"parameter {f.name}: needs a default, such as param(1.0, ...)")


def _plain(number: float) -> str:
    """A limit without an exponent."""
    return f"{number:g}" if abs(number) < 1e6 else f"{number:.0f}"


MOST_PERTURBED_PERCENT = 50.0
"""The largest share by which `--perturb` moves times."""


def percent(text: str, what: str, most: float) -> float:
    """A share such as ``1%`` or ``0.5``, in percent.

    Args:
        text: as given.
        what: its option.
        most: the largest allowed share.

    Raises:
        ConfigError: it is not a number, or out of range.
    """
    try:
        share = float(text.strip().removesuffix("%"))
    except ValueError:
        raise ConfigError(f"{what}: {text!r} is not a share such as 1%") from None
    if not 0 <= share <= most:
        raise ConfigError(f"{what}: {share:g} % is out of range; allowed: 0 to {most:g} %")
    return share
