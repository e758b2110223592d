"""Modules that load on first use: an import costs nothing until something is used."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from types import ModuleType
from typing import Any, ClassVar


class LazyFinder(MetaPathFinder):
    """Finds modules as usual, but loads them on first use.

    Python's lazy modules are not safe if two threads use them first at the same time.
    """

    def __init__(self, package: str, libraries: Sequence[str] = ()) -> None:
        """Makes modules of `package` lazy one by one, libraries (they may be absent) as a whole.

        Args:
            package: of ours, with all modules below it.
            libraries: where the order of imports within them matters; a placeholder replaces one
                that is not installed.
        """
        self.package, self.libraries = package, libraries

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """As Python's own finder asks for it."""
        library = fullname.partition(".")[0] in self.libraries
        if not library and not f"{fullname}.".startswith(f"{self.package}."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None and library:
            return importlib.machinery.ModuleSpec(fullname, _AbsentLoader(), is_package=True)
        return spec if library and "." in fullname else _lazy(spec)


def _lazy(spec: importlib.machinery.ModuleSpec | None) -> importlib.machinery.ModuleSpec | None:
    """The spec of the same module, run on the first attribute access."""
    if spec is not None and spec.loader is not None:
        spec.loader = _LazyLoader(spec.loader)
    return spec


class _LazyLoader(importlib.util.LazyLoader):
    """Python's own lazy loading, for modules that more than one of ours imports."""

    def exec_module(self, module: ModuleType) -> None:
        """Postpones loading."""
        super().exec_module(module)
        _UntouchedModule.touched = type(module)  # to read `__class__` would be a touch
        module.__class__ = _UntouchedModule


class _UntouchedModule(ModuleType):
    """Importing it again does not count as use: Python then asks only for its ``__spec__``."""

    touched: ClassVar[type[ModuleType]]
    """Python's own class of lazy modules."""

    def __getattribute__(self, name: str) -> Any:
        if name != "__spec__":
            object.__setattr__(self, "__class__", _UntouchedModule.touched)
            return getattr(self, name)
        return object.__getattribute__(self, name)


class _AbsentModule(ModuleType):
    """A library that is not installed: importing it is not an error, using it is."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        library = self.__name__.partition(".")[0]
        reason = f"{library} is not in the image; use it in 'measure', not in 'run'"
        raise ModuleNotFoundError(reason, name=library)


class _AbsentLoader(Loader):
    """Stands in for `LAZY` packages that an image does not contain."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """The stand-in."""
        return _AbsentModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""
