"""Modules that run on the first touch: an import costs nothing until something is used."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from types import ModuleType
from typing import Any, ClassVar


class LazyFinder(MetaPathFinder):
    """Finds modules as usual, but has them run on first touch.

    Python's lazy modules are not safe to touch first in two threads at once.
    """

    def __init__(self, package: str, libraries: Sequence[str] = ()) -> None:
        """Of `package` every module waits by itself; of a library, which may be absent, the whole.

        Args:
            package: of ours, with all modules below it.
            libraries: where the order of imports within them matters; a stand-in takes the place
                of one that is not installed.
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


class _AbsentModule(ModuleType):
    """A library that is not here: importing it is no error, using it is."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        library = self.__name__.partition(".")[0]
        reason = f"{library} is not in the image; use it in 'measure', not in 'run'"
        raise ModuleNotFoundError(reason, name=library)


class _AbsentLoader(Loader):
    """Stands in for `LAZY` packages that an image does not hold."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """The stand-in."""
        return _AbsentModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""
