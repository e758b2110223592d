"""Modules that run on the first touch: an import costs nothing until something is used."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any, ClassVar


class LazyFinder(MetaPathFinder):
    """Finds the modules of a package, and itself, as usual, but has them run on first touch.

    Python's lazy modules are no safe thing to touch first in two threads at once.
    """

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """As Python's own finder asks for it."""
        if f"{fullname}.".startswith(f"{self.package}."):
            return lazy(importlib.machinery.PathFinder.find_spec(fullname, path))
        return None


def lazy(spec: importlib.machinery.ModuleSpec | None) -> importlib.machinery.ModuleSpec | None:
    """The spec of the same module, run on the first attribute access."""
    if spec is not None and spec.loader is not None:
        spec.loader = _LazyLoader(spec.loader)
    return spec


class _LazyLoader(importlib.util.LazyLoader):
    """Python's own, for modules that more than one of ours imports."""

    def exec_module(self, module: ModuleType) -> None:
        """Puts the reading off."""
        super().exec_module(module)
        _UntouchedModule.touched = type(module)  # to read `__class__` would be a touch
        module.__class__ = _UntouchedModule


class _UntouchedModule(ModuleType):
    """To import it once more is no touch: Python then asks for its ``__spec__`` alone."""

    touched: ClassVar[type[ModuleType]]
    """Python's own class of lazy modules."""

    def __getattribute__(self, name: str) -> Any:
        if name != "__spec__":
            object.__setattr__(self, "__class__", _UntouchedModule.touched)
            return getattr(self, name)
        return object.__getattribute__(self, name)
