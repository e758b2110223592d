"""What an experiment is: one file, one class, five short methods.

A file ``experiments/<name>.py`` holds one subclass of `Experiment`; the file's name is the
experiment's name, and the first line of the class's docstring its title. There is no registry.

    class Ping(Experiment):
        '''Round-trip time over one link.'''

        @dataclass(frozen=True)
        class Parameters:
            delay_ms: float = param(10.0, "one-way delay", unit="ms", low=0)

        params: Parameters

        def topology(self): ...              # → Topo: a graph, runs nothing
        def run(self, lab): ...              # in the network: start programs, wait
        def measure(self, data): ...         # pure: artefacts → tables (DataFrames)
        @claim("…", source="…")              # pure: tables → verdict
        def ...(self, tables): ...
        def plot(self, tables): ...          # pure: tables → figures

Everything after `run` works from the run directory alone, without root, on any system.
"""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from testbed.claims import Claim, MissingDataError, claims_of
from testbed.errors import ConfigError, TestbedError, calling_line, last_line, nearest
from testbed.parameters import parameters_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from testbed.data import ScenarioData
    from testbed.lab import Lab
    from testbed.topo import Topo

PROJECT = Path(__file__).resolve().parent.parent
EXPERIMENTS = PROJECT / "experiments"

_CAPTIONS = re.compile(r"^Figures:[ \t]*\n((?:[ \t]+.*\n?|\n)+)", re.M)
_CAPTION = re.compile(r"^(\S+):\s", re.M)


class Tables(dict[str, "pd.DataFrame"]):
    """The measured tables by name, each with a column `scenario` in front."""

    def __missing__(self, name: str) -> pd.DataFrame:
        raise MissingDataError(f"no table '{name}' in this run")

    def of(self, name: str, **equals: Any) -> pd.DataFrame:
        """The rows of a table where each named column has the given value.

        Raises:
            MissingDataError: no such table or no such row; the claim becomes INCONCLUSIVE.
        """
        table = self[name]
        for column, value in equals.items():
            table = table[table[column] == value]
        if table.empty:
            where = ", ".join(f"{k}={v}" for k, v in equals.items())
            raise MissingDataError(f"table '{name}' has no rows" + (f" with {where}" * bool(where)))
        return table.reset_index(drop=True)

    def rows(self, name: str, **equals: Any) -> pd.DataFrame:
        """As `of`, where no such row is an answer, too.

        Raises:
            MissingDataError: no such table, or one without a column asked for.
        """
        table = self[name]
        for column, value in equals.items():
            if column not in table:
                raise MissingDataError(f"table '{name}' has no column '{column}'")
            table = table[table[column] == value]
        return table.reset_index(drop=True)


class Experiment:
    """Base of all experiments. `self.params` are the parameters of the scenario at hand."""

    name: ClassVar[str] = ""
    Parameters: ClassVar[type]
    memory_mb: ClassVar[int] = 1024
    """Memory of a guest that runs one scenario, in MiB."""
    programs: ClassVar[tuple[str, ...]] = ()
    """Programs that `run` starts in nodes; their absence shows before anything is made."""
    extras: ClassVar[tuple[str, ...]] = ()
    """Sets of Python packages that `run` needs besides, by their names in pyproject.toml:
    ``controllers`` for OpenFlow controllers. ``make exp-NAME`` installs them."""
    guest_only: ClassVar[bool] = False
    """True: never in namespaces of the running kernel; for what must have no way out."""
    routing: ClassVar[str | None] = "static"
    """``static``: shortest paths installed as routes; None: routers get none (daemons will)."""
    repeated_tables: ClassVar[tuple[str, ...]] = ()
    """Tables that `plot_repeated` draws from."""

    def __init__(self, params: Any) -> None:
        self.params = params

    def scenarios(self) -> Mapping[str, Any]:
        """The networks to run, as name → parameters; each has a guest of its own.

        Default: one, named ``main``, with the parameters as given.
        """
        return {"main": self.params}

    def topology(self) -> Topo:
        """The network as a graph; runs no commands."""
        raise _unwritten(self, "topology")

    def inputs(self) -> Mapping[str, str]:
        """Files that `run` will find in the scenario's folder, as name → text.

        Made on the user's machine before anything starts: the place to read what the user gave
        and to refuse it (ConfigError).
        """
        return {}

    def run(self, lab: Lab) -> None:
        """Does the experiment in the running network, and leaves only raw artefacts."""
        raise _unwritten(self, "run")

    def ended(self, lab: Lab) -> None:
        """Keeps what is only whole when every program has stopped; default: nothing."""

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Tables from one scenario's artefacts. Pure: reads `data`, nothing else."""
        raise _unwritten(self, "measure")

    def plot(self, tables: Tables) -> Mapping[str, Figure | str]:
        """Figures from the tables of all scenarios, as file name → figure or SVG text.

        What is to be said below each stands in the docstring; a name there is the beginning of the
        names of all figures it is for:

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
    def title(cls) -> str:
        """First line of the class's docstring."""
        return (inspect.getdoc(cls) or cls.name).splitlines()[0]

    @classmethod
    def captions(cls) -> dict[str, str]:
        """What is to be said below figures, by how their names begin: from the docstrings."""
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
        """What is to be said below a figure: what sets it apart from others, and the sentence.

        A figure without a sentence is told by its name.
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
    return ConfigError(f"experiment '{experiment.name}': method {method}() is not written")


def experiment_files(folder: Path = EXPERIMENTS) -> dict[str, Path]:
    """Experiments by name: every file of the folder that does not begin with an underscore."""
    return {p.stem: p for p in sorted(folder.glob("*.py")) if not p.stem.startswith("_")}


def load(name: str) -> type[Experiment]:
    """The experiment's class, by its name or by the path of its file.

    Raises:
        ConfigError: no such file, or no single experiment in it.
    """
    known = experiment_files()
    if name in known:
        return load_file(known[name])
    path = Path(name)
    if path.is_dir():
        raise ConfigError(f"{name}: is a folder; give an experiment's name or its .py file")
    if path.is_file() and path.suffix != ".py":
        raise ConfigError(f"{name}: is no .py file")
    if path.is_file():
        return load_file(path.resolve())
    if path.suffix == ".py" or len(path.parts) > 1:
        raise ConfigError(f"{name}: no such file")
    raise ConfigError(
        f"experiment '{name}': unknown{nearest(name, known)}; known: {', '.join(known)}"
    )


def check_claims(experiment: Experiment) -> None:
    """Refuses a claim on a scenario that the experiment does not have: no run would judge it.

    An experiment that derives from another may leave out some of its scenarios.

    Raises:
        ConfigError: names the claim's place, the scenario and what there is.
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


def require_dict(cls: type[Experiment], method: str, found: Any, of: type | tuple[type, ...],
                 must: str) -> Any:  # fmt: skip
    """What a method of the experiment returned, if it is a dict of such values.

    Raises:
        ConfigError: names the file, what came and what it must be.
    """
    said = "None" if found is None else type(found).__name__
    if isinstance(found, Mapping):
        bad = [(name, value) for name, value in found.items() if not isinstance(value, of)]
        if not bad:
            return found
        said = f"{type(bad[0][1]).__name__} as '{bad[0][0]}'"
    raise ConfigError(f"{inspect.getfile(cls)}: {method} returned {said}; must be {must}")


@contextmanager
def own_code(cls: type[Experiment], part: str) -> Iterator[None]:
    """An experiment's own mistake is an error with its file and line, not a traceback of ours.

    Args:
        cls: the experiment.
        part: what of it runs in the block, e.g. ``measure``.

    Raises:
        ConfigError: what it raised; errors of ours pass as they are, but that what it called
            refuses its values comes with the place.
    """
    source = getattr(sys.modules.get(cls.__module__), "__file__", None) or cls.name
    try:
        yield
    except ConfigError as error:
        raise _placed(source, error) from error
    except (TestbedError, MissingDataError):
        raise
    except Exception as error:
        raise ConfigError(f"{_place(source, error)}: in {part}: {_words(error)}") from error


def _place(source: str, error: Exception) -> str:
    line = last_line(source, error)
    return f"{source}:{line}" if line else source


def _placed(source: str, error: ConfigError) -> ConfigError:
    """With the line of the file that gave a bad value to what it called."""
    line = calling_line(source, error)
    return ConfigError(f"{error} ({source}:{line})") if line else error


def _words(error: Exception) -> str:
    name = type(error).__name__
    return f"{name}: {error}" if str(error) else name


def load_file(path: Path) -> type[Experiment]:
    """The one `Experiment` subclass that a file defines."""
    module = import_file(f"experiments.{path.stem}", path)
    found = list(experiments_in(module, module.__name__))
    if len(found) != 1:
        raise ConfigError(f"{path}: holds {len(found)} Experiment classes; write exactly one")
    found[0].name = path.stem
    if not hasattr(found[0], "Parameters"):
        raise ConfigError(f"{path}: class {found[0].__name__} needs a Parameters dataclass")
    try:
        parameters_of(found[0].Parameters)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return found[0]


def import_file(module_name: str, path: Path) -> ModuleType:
    """A user's Python file as a module.

    Raises:
        ConfigError: what is wrong with it, in one line with the place.
    """
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ConfigError(f"{path}:{error.lineno}: {error.msg}") from error
    except ImportError as error:
        raise ConfigError(f"{_place(str(path), error)}: {error}") from error
    except ConfigError as error:
        raise _placed(str(path), error) from error
    except TestbedError:
        raise
    except Exception as error:
        raise ConfigError(f"{_place(str(path), error)}: {_words(error)}") from error
    return module


def experiments_in(module: Any, module_name: str) -> Iterator[type[Experiment]]:
    """The experiments that a module defines itself."""
    for member in vars(module).values():
        if (
            issubclass(type(member), type)  # isinstance would load modules that wait for first use
            and issubclass(member, Experiment)
            and member.__module__ == module_name
            and not member.__name__.startswith("_")
        ):
            yield member
