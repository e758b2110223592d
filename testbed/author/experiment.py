"""What an experiment is: one class, five short methods.

A file ``experiments/<name>.py``, or a folder ``experiments/<name>/`` with an ``experiment.py``,
holds one subclass of `Experiment`. The first line of the class's docstring is its title.

    class Ping(Experiment):
        '''Round-trip time over one link.'''

        @dataclass(frozen=True)
        class Parameters:
            delay_ms: float = param(10.0, "one-way delay", unit="ms", low=0)

        params: Parameters

        def topology(self): ...              # → Topo: a graph, runs nothing
        def run(self, net): ...              # in the network: start programs, wait
        def measure(self, data): ...         # pure: artefacts → tables (DataFrames)
        @claim("…", source="…")              # pure: tables → verdict
        def ...(self, tables): ...
        def plot(self, tables): ...          # pure: tables → figures
"""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
import textwrap
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from testbed.author.experiment_folder import MAIN, files_below, package_of, root_of
from testbed.core.claims import Claim, claims_of
from testbed.core.errors import ConfigError, TestbedError, nearest
from testbed.core.parameters import parameters_of
from testbed.core.project import PROJECT
from testbed.core.tables import Tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from testbed.author.running_network import RunningNetwork
    from testbed.author.topo import Topo
    from testbed.results.data import ScenarioData

EXPERIMENTS = PROJECT / "experiments"

_CAPTIONS = re.compile(r"^Figures:[ \t]*\n((?:[ \t]+.*\n?|\n)+)", re.M)
_CAPTION = re.compile(r"^(\S+):\s", re.M)


class Experiment:
    """Base of all experiments. `self.params` are the current scenario's parameters."""

    name: ClassVar[str] = ""
    path: ClassVar[Path | None] = None
    """What it was loaded from: a folder, or a file (set by the loader)."""
    Parameters: ClassVar[type]
    memory_mb: ClassVar[int] = 1024
    """Memory of a guest that runs one scenario, in MiB."""
    programs: ClassVar[tuple[str, ...]] = ()
    """Programs that `run` starts in nodes; if one is missing, that is reported before the run."""
    extras: ClassVar[tuple[str, ...]] = ()
    """Further sets of packages that `run` or `measure` needs: ``controllers`` for OpenFlow
    controllers, ``tls`` for reading what is inside TLS, ``browser`` for a real browser.
    ``make exp-NAME`` installs them."""
    guest_only: ClassVar[bool] = False
    """True: never runs on the host's kernel; for traffic that must not reach a real network."""
    routing: ClassVar[str | None] = "static"
    """``static``: shortest paths are installed as routes; None: no routes (daemons find them)."""
    tables_type: ClassVar[type[Tables]] = Tables
    """The type of claims' and plots' tables: a subclass may add methods for frequent queries."""
    repeated_tables: ClassVar[tuple[str, ...]] = ()
    """Tables that `plot_repeated` draws from."""

    def __init__(self, params: Any) -> None:
        self.params = params

    def scenarios(self) -> Mapping[str, Any]:
        """The networks to run, as name → parameters; each has a guest of its own.

        Default: one, named ``main``, with the given parameters.
        """
        return {"main": self.params}

    def topology(self) -> Topo:
        """The network as a graph; runs no commands."""
        raise _unwritten(self, "topology")

    @cached_property
    def topo(self) -> Topo:
        """What `topology` returns, built once; `inputs` can make configurations from it."""
        return self.topology()

    def inputs(self) -> Mapping[str, str]:
        """Files that `run` finds in the scenario's folder, as name → text.

        Called on the user's machine before anything starts: the place to read the user's files and
        to refuse bad ones (ConfigError).
        """
        return {}

    def run(self, net: RunningNetwork) -> None:
        """Performs the experiment in the running network; leaves only raw artefacts."""
        raise _unwritten(self, "run")

    def ended(self, net: RunningNetwork) -> None:
        """Saves what is complete only when every program has stopped; default: nothing."""

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Tables from one scenario's artefacts. Pure: reads `data`, nothing else."""
        raise _unwritten(self, "measure")

    def plot(self, tables: Tables) -> Mapping[str, Figure | str]:
        """Figures from the tables of all scenarios, as file name → figure or SVG text.

        The docstring holds the captions; a name there is a prefix of the names of all figures that
        it applies to:

            Figures:
                1_window: The congestion window over time; look for the sawtooth.
                2_goodput: What each flow gets.
        """
        return {}

    def plot_repeated(self, tables: Tables) -> Mapping[str, Figure]:
        """Figures over several seeds, from `repeated_tables` with a column ``seed`` in front.

        Figures:
            claims_by_seed: What each claim measured with each seed (dots hold, crosses fail), the
                mean, and its 95 % confidence interval in grey.
        """
        return {}

    @classmethod
    def paragraphs(cls) -> list[str]:
        """The docstring's text below the title, one string per paragraph."""
        text = (inspect.getdoc(cls) or "").split("\n\n")[1:]
        return [" ".join(paragraph.split()) for paragraph in text if paragraph.strip()]

    @classmethod
    def title(cls) -> str:
        """First line of the class's docstring."""
        return (inspect.getdoc(cls) or cls.name).splitlines()[0]

    @classmethod
    def captions(cls) -> dict[str, str]:
        """Captions of figures, by prefixes of their names, from the docstrings."""
        found: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            for method in ("plot", "plot_repeated"):
                text = getattr(vars(base).get(method), "__doc__", None)
                for entries in _CAPTIONS.findall(inspect.cleandoc(text or "")):
                    _, *parts = _CAPTION.split(textwrap.dedent(entries))
                    told = (" ".join(sentence.split()) for sentence in parts[1::2])
                    found |= zip(parts[::2], told, strict=True)
        return found

    @classmethod
    def caption(cls, figure: str) -> tuple[str, str]:
        """The caption of a figure: what distinguishes it from others, and the sentence.

        Figures without a caption show their name.
        """
        told = cls.captions()
        begins = (k for k in told if f"{figure}_".startswith(f"{k.removesuffix('_')}_"))
        key = max(begins, key=len, default="")
        rest = figure.removeprefix(key).lstrip("_" if key else "0123456789_")
        return rest.replace("_", " "), told.get(key, "")

    @classmethod
    def claims(cls) -> list[Claim]:
        """All claims, in the order of the file."""
        return claims_of(cls)


def _unwritten(experiment: Experiment, method: str) -> ConfigError:
    return ConfigError(f"experiment '{experiment.name}': method {method}() is missing")


def experiment_files(folder: Path = EXPERIMENTS) -> dict[str, Path]:
    """Experiments by name: folders with an ``experiment.py``, and files.

    Names that begin with an underscore are left out.

    Raises:
        ConfigError: a file and a folder have the same name.
    """
    found: dict[str, Path] = {}
    for path in sorted([*(p.parent for p in folder.glob(f"*/{MAIN}")), *folder.glob("*.py")]):
        if path.stem in found:
            raise ConfigError(f"{path}: {found[path.stem]} has the same name; rename one")
        if not path.name.startswith("_"):
            found[path.stem] = path
    return found


def load(name: str) -> type[Experiment]:
    """The experiment's class, by its name or by the path of its file or folder.

    Raises:
        ConfigError: no such file, or no single experiment in it.
    """
    known = experiment_files()
    if name in known:
        return load_file(known[name])
    path = Path(name)
    if path.is_dir() and not (path / MAIN).is_file():
        raise ConfigError(f"{name}: has no {MAIN}; give an experiment's name, folder or .py file")
    if path.is_file() and path.suffix != ".py":
        raise ConfigError(f"{name}: is not a .py file")
    if path.exists():
        return load_file(path.resolve())
    if path.suffix == ".py" or len(path.parts) > 1:
        raise ConfigError(f"{name}: no such file")
    raise ConfigError(
        f"experiment '{name}': unknown{nearest(name, known)}; known: {', '.join(known)}"
    )


def check_claims(experiment: Experiment) -> None:
    """Refuses a claim on a scenario that neither the experiment nor one it derives from has.

    Raises:
        ConfigError: names the claim's place, the scenario and the known scenarios.
    """
    cls = type(experiment)
    known: dict[str, None] = {}
    for base in cls.__mro__:
        if "scenarios" in vars(base) and (base is not Experiment or not known):
            with own_code(cls, "scenarios"):
                known |= dict.fromkeys(vars(base)["scenarios"](experiment))
    for claim in cls.claims():
        for name in claim.scenarios:
            if name not in known:
                code = claim.check.__code__
                raise ConfigError(
                    f"{code.co_filename}:{code.co_firstlineno}: claim {claim.name}: scenario "
                    f"'{name}': unknown{nearest(name, known)}; known: {', '.join(known)}"
                )


def require_dict(
    cls: type[Experiment], method: str, found: Any, of: type | tuple[type, ...], must: str
) -> Any:
    """What a method of the experiment returned, if it is a dict of such values.

    Raises:
        ConfigError: names the file, what was returned and what it must be.
    """
    said = "None" if found is None else type(found).__name__
    if isinstance(found, Mapping):
        bad = [(name, value) for name, value in found.items() if not isinstance(value, of)]
        if not bad:
            return found
        said = f"{type(bad[0][1]).__name__} as '{bad[0][0]}'"
    raise ConfigError(f"{source_of(cls)}: {method} returned {said}; must be {must}")


@contextmanager
def own_code(cls: type[Experiment], part: str) -> Iterator[None]:
    """Turns an error in an experiment's code into one with its file and line, without a traceback.

    Args:
        cls: the experiment.
        part: what of it runs in the block, e.g. ``measure``.

    Raises:
        ConfigError: what it raised; our own errors pass unchanged, except that errors about values
            it passed get the place.
    """
    source = source_of(cls)
    try:
        yield
    except ConfigError as error:
        raise _placed(source, error) from error
    except TestbedError:
        raise
    except Exception as error:
        raise ConfigError(f"{_place(source, error)}: in {part}: {_words(error)}") from error


def source_of(cls: type[Experiment]) -> Path:
    """The folder or file that holds all of an experiment's code."""
    return root_of(path_of(cls))


def path_of(cls: type[Experiment]) -> Path:
    """The argument of `load_file` for this class."""
    return cls.path or Path(inspect.getfile(cls))


def _lines(source: Path, error: BaseException) -> list[str]:
    """``file:line`` of an experiment's own code that an error passed through, outermost first.

    The last is empty if what raised it is not the experiment's own code.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [Path(frame.filename).is_relative_to(source) for frame in frames]
    found = [f"{f.filename}:{f.lineno}" for f, ours in zip(frames, own, strict=True) if ours]
    return found if own and own[-1] else [*found, ""]


def _place(source: Path, error: Exception) -> str:
    return next((line for line in reversed(_lines(source, error)) if line), str(source))


def _placed(source: Path, error: ConfigError) -> ConfigError:
    """Adds the line that passed a bad value; messages of its own name their place already."""
    *lines, last = _lines(source, error)
    return ConfigError(f"{error} ({lines[-1]})") if lines and not last else error


def _words(error: Exception) -> str:
    name = type(error).__name__
    return f"{name}: {error}" if str(error) else name


_loaded: dict[Path, tuple[object, type[Experiment]]] = {}
"""Path → the state of the files it was loaded from, and the class."""


def load_file(path: Path) -> type[Experiment]:
    """The one `Experiment` subclass of a file, of a folder, or of a mutant in such a folder.

    Files that did not change since they were loaded are not executed again.
    """
    root = root_of(path)
    state = [(p, p.stat().st_mtime_ns, p.stat().st_size) for p in files_below(root, ".py")]
    if path not in _loaded or _loaded[path][0] != state:
        _loaded[path] = (state, _load_file(path, root))
    return _loaded[path][1]


def _load_file(path: Path, root: Path) -> type[Experiment]:
    file = path / MAIN if path.is_dir() else path
    module = import_file(package_of(root, file, EXPERIMENTS), file, root)
    found = list(experiments_in(module, module.__name__))
    if len(found) != 1:
        raise ConfigError(f"{file}: holds {len(found)} Experiment classes; write exactly one")
    found[0].name = path.stem if path == root else f"{root.name}_{path.stem}"
    found[0].path = path
    if not hasattr(found[0], "Parameters"):
        raise ConfigError(f"{file}: class {found[0].__name__} needs a Parameters dataclass")
    try:
        parameters_of(found[0].Parameters)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error
    return found[0]


def import_file(module_name: str, path: Path, root: Path | None = None) -> ModuleType:
    """Loads a user's Python file as a module.

    Args:
        module_name: of the module.
        path: the file.
        root: the folder whose lines are named in errors; default: the file.

    Raises:
        ConfigError: what is wrong with it, in one line with the place.
    """
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    root = root or path
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ConfigError(f"{error.filename or path}:{error.lineno}: {error.msg}") from error
    except ImportError as error:
        raise ConfigError(f"{_place(root, error)}: {error}") from error
    except ConfigError as error:
        raise _placed(root, error) from error
    except TestbedError:
        raise
    except Exception as error:
        raise ConfigError(f"{_place(root, error)}: {_words(error)}") from error
    return module


def experiments_in(module: Any, module_name: str) -> Iterator[type[Experiment]]:
    """The experiments that a module defines itself."""
    for member in vars(module).values():
        if (
            issubclass(type(member), type)  # isinstance would load lazy modules
            and issubclass(member, Experiment)
            and member.__module__ == module_name
            and not member.__name__.startswith("_")
        ):
            yield member
