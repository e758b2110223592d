"""The reference as Markdown, from the code: signatures and docstrings, readable as a file.

A page names what it shows, in order: ``<!-- generated: api testbed.author.actions -->``. A module
stands for everything public that it defines; of its constants those with a text below. All modules
of a package are ``package.*``.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import importlib
import inspect
import re
import textwrap
import types
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import testbed
from testbed.core.errors import ConfigError
from testbed.core.project import PROJECT

_COLUMNS = 88
"""Signatures that are longer are written one argument a line."""

_SECTION = re.compile(
    r"^(Args|Attributes|Returns|Raises|Yields|Figures):\n((?:(?:    .*)?\n?)+)", re.M
)
_ENTRY = re.compile(r"^    (\S.*?): ", re.M)
_TITLES = {"Raises": "Errors", "Args": "Arguments"}


class _Written(str):
    """An annotation or a default as the code has it: `inspect` puts no quotes around it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def api(*names: str) -> str:
    """Markdown of the named objects and modules.

    Raises:
        ConfigError: there is none of this name, or it has no text.
    """
    return tidied("\n".join(text for name in expanded(*names) for text in _of_name(name)))


def expanded(*names: str) -> list[str]:
    """The names, with ``package.*`` replaced by those of its modules that are not named."""
    found: list[str] = []
    for name in names:
        if name.endswith(".*"):
            package = name.removesuffix(".*")
            files = (PROJECT / package.replace(".", "/")).glob("[!_]*.py")
            modules = sorted(f"{package}.{file.stem}" for file in files)
            found += [module for module in modules if module not in names]
        else:
            found.append(name)
    return found


def tidied(text: str) -> str:
    """Markdown between two comments: one blank line between blocks, and at both ends."""
    return "\n" + re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n\n"


def shown(*names: str) -> Iterator[str]:
    """The dotted names that `api` describes, those of a module's members among them."""
    for name in expanded(*names):
        found = _found(name)
        yield name
        if isinstance(found, types.ModuleType):
            yield from (f"{name}.{member}" for member in _members(found))


def _found(name: str) -> Any:
    module = name
    rest: list[str] = []
    while module:
        try:
            found: Any = importlib.import_module(module)
            for attribute in rest:
                found = getattr(found, attribute)
            return found
        except (ModuleNotFoundError, AttributeError):
            module, _, last = module.rpartition(".")
            rest.insert(0, last)
    raise ConfigError(f"reference: there is no '{name}'")


def _of_name(name: str) -> Iterator[str]:
    found = _found(name)
    if isinstance(found, types.ModuleType):
        yield f"### Module `{name}`\n\n{_prose(_text(found, name))}"
        for member, value in _members(found).items():
            yield _entry("####", member, value, name)
        return
    module, _, short = name.rpartition(".")
    public = getattr(testbed, short, None) is found
    home = "testbed" if public else getattr(found, "__module__", module)
    before = f"`from {home} import {short}`\n\n"
    if short in vars(builtins):  # nobody wants it in place of Python's own
        before = f"`{home}.{short}`\n\n"
    yield _entry("###", short, found, module, before if _is_code(found) else "")


def _members(module: types.ModuleType) -> dict[str, Any]:
    """What a module defines itself, in its order: functions, classes, constants with a text."""
    constants = _texts_below(module)
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (name in constants or (_is_code(value) and value.__module__ == module.__name__))
    }


def _is_code(value: Any) -> bool:
    return inspect.isfunction(value) or inspect.isclass(value)


def _entry(level: str, name: str, value: Any, module: str, before: str = "") -> str:
    if inspect.isclass(value):
        return f"{level} `{name}`\n\n{before}" + "\n".join(_class(level + "#", value))
    if inspect.isfunction(value):
        return f"{level} `{name}`\n\n{before}{_function(name, value)}"
    text = _texts_below(_found(module)).get(name, "")
    shown_as = "" if _default(value) == "..." else f"`{name} = {_default(value)}`\n\n"
    return f"{level} `{name}`\n\n{shown_as}{_prose(text)}"


def constants(where: Any) -> str:
    """A list of the constants of a module or class that have a text below them."""
    where = _found(where) if isinstance(where, str) else where
    return "".join(
        f"- `{key} = {_default(getattr(where, key))}`: {' '.join(text.split())}\n"
        for key, text in _texts_below(where).items()
    )


# ---- functions


def _function(name: str, function: Callable[..., Any]) -> str:
    return f"{_signature(name, function)}\n{_prose(_text(function, name))}"


def _signature(name: str, function: Callable[..., Any]) -> str:
    """A function's first line as Python."""
    signature = inspect.signature(function)
    given = [_parameter(p) for p in signature.parameters.values()]
    back = signature.return_annotation
    bare = signature.replace(parameters=given, return_annotation=inspect.Signature.empty)
    end = "" if back is inspect.Signature.empty else f" -> {_type(back)}"
    line = f"def {name}{bare}{end}: ..."
    if len(line) > _COLUMNS:
        rows = "".join(f"    {row},\n" for row in _rows(given))
        line = f"def {name}(\n{rows}){end}: ..."
    return f"```python\n{line}\n```\n"


def _rows(parameters: list[inspect.Parameter]) -> Iterator[str]:
    star = False
    for parameter in parameters:
        star |= parameter.kind == parameter.VAR_POSITIONAL
        if parameter.kind == parameter.KEYWORD_ONLY and not star:
            star = True
            yield "*"
        yield str(parameter)


def _parameter(parameter: inspect.Parameter) -> inspect.Parameter:
    empty = inspect.Parameter.empty
    default, kind = parameter.default, parameter.annotation
    return parameter.replace(
        default=default if default is empty else _Written(_default(default)),
        annotation=kind if kind is empty else _Written(_type(kind)),
    )


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _default(value: Any) -> str:
    """A value as code; ``...`` for what differs by machine or run: functions, paths."""
    text = repr(value)
    if " at 0x" in text or text.startswith("<") or str(PROJECT) in text:
        return "..."
    return text if '"' in text else text.replace("'", '"')


# ---- classes


def _class(level: str, cls: type) -> Iterator[str]:
    name, text = cls.__name__, _text(cls, cls.__name__)
    if dataclasses.is_dataclass(cls):
        yield _prose(_SECTION.sub(lambda m: "" if m[1] == "Attributes" else m[0], text))
        yield _fields(cls, dict(_entries(text, "Attributes")))
    elif "__init__" in vars(cls):
        yield _signature("__init__", vars(cls)["__init__"])
        yield _prose(text)
    else:
        yield _prose(text)
    if not dataclasses.is_dataclass(cls):
        yield constants(cls)
    fields = getattr(cls, "__dataclass_fields__", {})
    for member, value in vars(cls).items():
        public = not member.startswith("_") and member not in fields
        if public and (line := _member(f"{name}.{member}", value)):
            yield f"{level} `{name}.{member}`\n\n{line}"


def _member(name: str, value: Any) -> str:
    short = name.rpartition(".")[2]
    if isinstance(value, classmethod | staticmethod):
        return _function(short, value.__func__)
    if isinstance(value, property) or hasattr(value, "attrname"):  # functools.cached_property
        getter: Any = value.fget if isinstance(value, property) else value.func
        kind = _type(inspect.signature(getter).return_annotation)
        return f"An attribute: `{kind}`.\n\n{_prose(_text(getter, name))}"
    return _function(short, value) if inspect.isfunction(value) else ""


def _fields(cls: type, meanings: dict[str, str]) -> str:
    """A dataclass's fields as a table; a text for several fields applies to each."""
    told = {key: text for keys, text in meanings.items() for key in keys.split(", ")}
    told |= {key: " ".join(text.split()) for key, text in _texts_below(cls).items()}
    rows = ["| field | type | default | meaning |", "| --- | --- | --- | --- |"]
    for field in dataclasses.fields(cls):
        if field.name.startswith("_"):
            continue
        default = "" if field.default is dataclasses.MISSING else f"`{_default(field.default)}`"
        kind = f"`{_type(field.type)}`".replace("|", r"\|")
        meaning = told.get(field.name, "").replace("|", r"\|")
        rows.append(f"| `{field.name}` | {kind} | {default} | {meaning} |")
    return "\n".join(rows) + "\n"


# ---- texts


def _text(thing: Any, name: str) -> str:
    # a module's text is not indented, an example in it is
    text = thing.__doc__ if inspect.ismodule(thing) else inspect.getdoc(thing)
    if not text:
        raise ConfigError(f"reference: {name} has no docstring")
    return text.rstrip() + "\n"


def _prose(text: str) -> str:
    """A docstring as Markdown: its sections become lists."""
    return _SECTION.sub(_section, text.rstrip() + "\n")


def _section(match: re.Match[str]) -> str:
    title = _TITLES.get(match[1], match[1])
    entries = list(_entries(match[0], match[1]))
    if match[1] in ("Returns", "Yields") or not entries:
        return f"**{title}:** {' '.join(match[2].split())}\n\n"
    rows = "".join(f"- `{name}`: {text}\n" for name, text in entries)
    return f"**{title}:**\n\n{rows}\n"


def _entries(text: str, section: str) -> Iterator[tuple[str, str]]:
    """The entries of a docstring's section: name → text."""
    for match in _SECTION.finditer(text):
        if match[1] == section:
            parts = _ENTRY.split(match[2])
            yield from (
                (n, " ".join(t.split())) for n, t in zip(parts[1::2], parts[2::2], strict=True)
            )


def _texts_below(where: Any) -> dict[str, str]:
    """Texts of a module's or class's constants: the string below each."""
    tree: Any = ast.parse(textwrap.dedent(inspect.getsource(where)))
    body = tree.body[0].body if inspect.isclass(where) else tree.body
    found: dict[str, str] = {}
    for node, below in pairwise(body):
        value = below.value if isinstance(below, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            text = inspect.cleandoc(value.value)
            found |= {name: text for name in _assigned(node) if not name.startswith("_")}
    return found


def _assigned(node: ast.stmt) -> list[str]:
    """The names of an assignment; none of another statement."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    elif isinstance(node, ast.Assign):
        targets = [x for t in node.targets for x in (t.elts if isinstance(t, ast.Tuple) else [t])]
    return [target.id for target in targets if isinstance(target, ast.Name)]
