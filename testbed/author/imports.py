"""Files that do more than define something when they are imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from testbed.core.errors import ConfigError

_STARTERS = frozenset({"Mininet", "CLI"})
"""Names of Mininet's that a script which starts a network calls."""


def refuse_network(path: Path) -> None:
    """Refuses a topology's file that starts a network of its own.

    Raises:
        ConfigError: names the line, and what to write.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return  # the import names the place
    starting = {f.name for f in tree.body if isinstance(f, ast.FunctionDef) and _calls(f.body)}
    for call in _run_at_import(tree.body):
        if _called(call) in _STARTERS | starting:
            raise ConfigError(
                f"{path}, line {call.lineno}: starts a network when it is imported; put this under "
                f"if __name__ == '__main__':, or run the file with 'testbed mininet {path}'"
            )


def _run_at_import(body: Sequence[ast.stmt]) -> Iterator[ast.Call]:
    """Calls outside of functions, classes and the main program."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(statement, ast.If) and "__name__" in ast.dump(statement.test):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                yield node


def _calls(body: Sequence[ast.stmt]) -> bool:
    nodes = (node for statement in body for node in ast.walk(statement))
    return any(isinstance(node, ast.Call) and _called(node) in _STARTERS for node in nodes)


def _called(call: ast.Call) -> str:
    target = call.func
    return target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")
