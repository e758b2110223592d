"""The Python files of a lab as modules ``labs.<name>.lab`` and ``labs.<name>.hidden``.

Wherever the folder lies, so that a course can keep its labs in a place of its own.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from testbed.author.experiment import experiments_in
from testbed.core.errors import ConfigError
from testbed.grading.assignment import Assignment

PUBLIC, HIDDEN = "lab.py", "hidden.py"


def load_lab(folder: Path, *, hidden: bool = True) -> type[Assignment]:
    """The class of a lab's folder: that of ``hidden.py`` if there is one and it is wanted.

    Raises:
        ConfigError: a file that cannot be loaded, or without the one class it must have.
    """
    file = HIDDEN if hidden and (folder / HIDDEN).is_file() else PUBLIC
    if not (folder / file).is_file():
        raise ConfigError(f"{folder}: has no {file}; write the lab's class there")
    name = folder.name
    if not name.isidentifier():
        raise ConfigError(f"{folder}: a lab's name is a word of letters, digits and underscores")
    _register(name, folder)
    module_name = f"labs.{name}.{Path(file).stem}"
    try:
        module = importlib.import_module(module_name)
    except SyntaxError as error:
        raise ConfigError(f"{error.filename}:{error.lineno}: {error.msg}") from error
    except ImportError as error:
        raise ConfigError(f"{folder / file}: {error}") from error
    found = list(experiments_in(module, module_name))
    if len(found) != 1 or not issubclass(found[0], Assignment):
        raise ConfigError(
            f"{folder / file}: holds {len(found)} labs; write one subclass of Assignment"
        )
    found[0].name = name
    return found[0]


def _register(name: str, folder: Path) -> None:
    """Packages ``labs`` and ``labs.<name>``; modules of another folder of that name are dropped."""
    labs = sys.modules.setdefault("labs", ModuleType("labs"))
    if not hasattr(labs, "__path__"):
        labs.__path__ = []
    package = sys.modules.get(f"labs.{name}")
    if package is not None and list(package.__path__) == [str(folder)]:
        return
    for old in [m for m in sys.modules if m == f"labs.{name}" or m.startswith(f"labs.{name}.")]:
        del sys.modules[old]
    package = ModuleType(f"labs.{name}")
    package.__path__ = [str(folder)]
    sys.modules[f"labs.{name}"] = package
    setattr(labs, name, package)
    importlib.invalidate_caches()
