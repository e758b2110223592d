"""Which module imports which, and the drawing of the rooms that `docs/architecture.md` shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from testbed.core.project import PROJECT

FOLDERS = ("testbed", "analysis", "topologies", "experiments", "labs", "controller")

ROOMS = {
    "core": "what everything else may import: errors, claims, parameters, the run directory",
    "guest_init": "process 1 of a guest; the standard library alone",
    "lifetime": "nothing outlives its command: signals, temporary folders, processes",
    "programs": "small programs that run in nodes",
    "peers": "packet scripts in packetdrill's notation, and the program that plays them",
    "analysis": "captures and kernel events to tables, numbers and figures",
    "machine": "packages, the guest kernel, images",
    "net": "networks over netlink",
    "daemons": "daemons that run in nodes, and their configurations",
    "author": "what experiments are written with",
    "results": "run directory to tables, verdicts, figures, pages",
    "execution": "parameters to a run directory: runtimes, and what runs inside",
    "sweep": "one experiment over many parameters and seeds",
    "viewer": "a run, or any capture, as a page that plays it back",
    "grading": "labs, submissions, points",
    "cli": "the command line",
    "book": "the documentation's pages",
}
"""Room → what is in it, from the ground up: a room imports those above it in this list alone."""


@dataclass(frozen=True)
class Import:
    """One module imports another.

    Attributes:
        source: dotted name of the module that imports.
        target: dotted name of the module imported.
        for_types: only type checkers follow it.
    """

    source: str
    target: str
    for_types: bool


def module_files(root: Path = PROJECT) -> dict[str, Path]:
    """Dotted name → file, of all our modules."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(root: Path = PROJECT) -> list[Import]:
    """All imports of our own modules, those in functions and those for types alone included."""
    files = module_files(root)
    return sorted(
        {
            found
            for name, path in files.items()
            for found in _imports(name, ast.parse(path.read_text(encoding="utf-8")), set(files))
            if found.target != name
        },
        key=lambda found: (found.source, found.target, found.for_types),
    )


def _imports(
    source: str, node: ast.AST, known: set[str], for_types: bool = False
) -> Iterator[Import]:
    if isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            full = f"{node.module}.{alias.name}"
            if full in known or node.module in known:
                yield Import(source, full if full in known else node.module, for_types)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name in known:
                yield Import(source, alias.name, for_types)
    elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        for statement in node.body:
            yield from _imports(source, statement, known, True)
        for statement in node.orelse:
            yield from _imports(source, statement, known, for_types)
        return
    for child in ast.iter_child_nodes(node):
        yield from _imports(source, child, known, for_types)


def circle(edges: Mapping[str, set[str]]) -> list[str]:
    """Names that lead back to the first of them; empty if there is no circle."""
    done: set[str] = set()

    def follow(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(edges.get(name, ())):
            if found := follow(other, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(edges) if (found := follow(name, []))), [])


def room_of(module: str) -> str:
    """The room a module is in: a package of `testbed`, or a folder next to it."""
    folder, _, rest = module.partition(".")
    return rest.partition(".")[0] if folder == "testbed" and rest else folder


@cache
def between() -> dict[str, set[str]]:
    """Room → the rooms it imports when it runs."""
    found: dict[str, set[str]] = {}
    for one in imports():
        source, target = room_of(one.source), room_of(one.target)
        if not one.for_types and source != target and {source, target} <= set(ROOMS):
            found.setdefault(source, set()).add(target)
    return found


def drawing() -> str:
    """The rooms and what they import, as a matrix: one row and one column per room.

    A mark means that the row's room imports the column's. All marks are left of the diagonal, so
    there is no circle.
    """
    width = max(map(len, ROOMS))
    lines = []
    for number, (room, text) in enumerate(ROOMS.items()):
        marks = ["●" if other in between().get(room, ()) else "·" for other in list(ROOMS)[:number]]
        row = "  ".join([*marks, "╲"])
        lines.append(f"{room:{width}}  {row:{3 * len(ROOMS)}} {text}")
    heads = ["  ".join(letters) for letters in zip(*(f"{r:{width}}" for r in ROOMS), strict=True)]
    lines += [f"{'':{width}}  {head}".rstrip() for head in heads]
    return "\n```\n" + "\n".join(lines) + "\n```\n\n"
