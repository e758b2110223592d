"""The Python files of a lab as modules ``labs.<name>.lab`` and ``labs.<name>.hidden``.

The folder may be anywhere, so that a course can keep its labs in its own place.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from testbed.author.experiment import experiments_in
from testbed.core.errors import ConfigError
from testbed.core.project import PROJECT
from testbed.grading.assignment import Assignment

PUBLIC, HIDDEN = "lab.py", "hidden.py"
CATALOGUE = "zh.po"
"""The Chinese of what students have of a lab; that of hidden checks is ``hidden.zh.po``."""


def is_hidden(name: str) -> bool:
    """True for a file that students do not get: ``hidden.py``, ``hidden_….py``, its ``zh.po``."""
    return name.startswith(("hidden.", "hidden_"))


def catalogues(folder: Path) -> list[Path]:
    """Where the translations of a lab's texts are, or would be."""
    return [folder / CATALOGUE, folder / f"hidden.{CATALOGUE}"]


def load_lab(folder: Path, *, hidden: bool = True) -> type[Assignment]:
    """The class of a lab's folder: that of ``hidden.py`` if it exists and is wanted.

    Raises:
        ConfigError: a file cannot be loaded, or does not contain exactly one class.
    """
    file = HIDDEN if hidden and (folder / HIDDEN).is_file() else PUBLIC
    if not (folder / file).is_file():
        raise ConfigError(f"{folder}: has no {file}; write the lab's class there")
    name = folder.name
    if not name.isidentifier():
        raise ConfigError(f"{folder}: a lab's name must consist of letters, digits and underscores")
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
    """Creates packages ``labs`` and ``labs.<name>``; drops modules of another folder so named."""
    labs = sys.modules.setdefault("labs", ModuleType("labs"))
    if not hasattr(labs, "__path__"):
        labs.__path__ = [str(PROJECT / "labs")]  # the project's own are imported as before
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
