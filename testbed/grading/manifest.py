"""``lab.yaml``: points, files to hand in, checks that count, mutants that must fail.

The schema is pydantic's; YAML is read by ruamel, which records line numbers. A bad manifest gives a
one-line error: file, line, field, what is allowed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from testbed.core.errors import ConfigError, nearest

FILE = "lab.yaml"
_LARGEST_BYTES = 1 << 20

COLUMNS = ("student", "points", "of", "open_points", "status", "notes")
LATE_COLUMNS = ("handed_in", "late_days", "lost_late", "final")
"""Columns of a gradebook before those of the checks; the second with deadlines only. No check may
have such a name."""

Kind = Literal[
    "answers", "app", "dnsmasq", "frr", "nginx", "program", "run", "text", "topology", "zone"
]
Format = Literal["number", "address", "prefix", "word", "text"]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(_Part):
    """Limits of each scenario's guest.

    Attributes:
        cpu_s: processor time on the grader's machine, in s; a solution should need only a tenth,
            because processor time also grows when a machine is busy.
        memory_mb: of the guest, in MiB.
        disk_mb: how much a scenario may write, captures included, in MiB.
    """

    cpu_s: float = Field(60.0, gt=0, le=3600)
    memory_mb: int = Field(256, ge=96, le=4096)
    disk_mb: int = Field(64, ge=1, le=4096)


class HandedFile(_Part):
    """A file to hand in.

    Attributes:
        kind: how it is parsed.
        what: a description for students.
        max_kb: its maximum size, in KiB.
        asks: keys of answers, visible to students; by default those of the starter's file.
        formats: key of an answer → how it must be written, visible to students.
    """

    kind: Kind
    what: str = ""
    max_kb: int = Field(64, ge=1, le=65536)
    asks: list[str] = []
    formats: dict[str, Format] = {}


class Check(_Part):
    """A claim that counts towards the points.

    Attributes:
        needs: checks that must hold for this one to hold; if one of them fails as well, students
            read that this one follows from it, instead of a second explanation.
    """

    weight: float = Field(gt=0, le=1000)
    hidden: bool = False
    hint: str = ""
    needs: list[Word] = []


class Edit(_Part):
    """A passage of the solution that a mutant changes."""

    file: FileName
    find: str = Field(min_length=1)
    put: str = ""


class Mutant(_Part):
    """A wrong submission and the points it must lose, by check."""

    what: str
    loses: dict[str, Annotated[float, Field(gt=0, le=1000)]] = Field(min_length=1)
    without: list[FileName] = []
    edits: list[Edit] = []


class Manifest(_Part):
    """The whole manifest.

    Attributes:
        near_names: use a file with almost the right name, such as ``R2.conf`` for ``r2.conf``, if
            only one fits; otherwise it is only named.
    """

    title: str = Field(min_length=1, max_length=120)
    points: float = Field(gt=0, le=1000)
    limits: Limits = Limits()  # type: ignore[call-arg]
    files: dict[FileName, HandedFile] = Field(min_length=1)
    near_names: bool = True
    checks: dict[Word, Check] = Field(min_length=1)
    mutants: dict[Word, Mutant] = {}

    def points_of(self, check: str) -> float:
        """What a check is worth."""
        return self.points * self.checks[check].weight / sum(c.weight for c in self.checks.values())

    def public(self) -> Manifest:
        """Without hidden checks and mutants; the rest is worth as much as before."""
        shown = {name: c for name, c in self.checks.items() if not c.hidden}
        points = sum(self.points_of(name) for name in shown)
        return self.model_copy(update={"checks": shown, "mutants": {}, "points": points})


def read(folder: Path) -> Manifest:
    """The manifest of a lab's folder.

    Raises:
        ConfigError: missing or invalid; names file, line and field.
    """
    path = folder / FILE
    tree = _tree(path)
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{path}:1: must be a map with title, points, files and checks")
    try:
        manifest = Manifest.model_validate(_plain(tree))
    except ValidationError as error:
        raise ConfigError(_first_line(path, tree, error)) from None
    _cross_check(path, tree, manifest)
    return manifest


def _tree(path: Path) -> Any:
    """The file's YAML, with line numbers."""
    try:
        data = path.read_bytes() if path.stat().st_size <= _LARGEST_BYTES else None
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(f"{path.parent}: is not a lab (it has no {FILE})") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if data is None:
        raise ConfigError(f"{path}: is larger than {_LARGEST_BYTES >> 10} KiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text; save it as UTF-8") from None
    try:
        return YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: is not valid YAML: {error.problem}") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{path}:{line}: contains a character that YAML does not allow") from None
    except YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None


def _plain(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {str(k): _plain(v) for k, v in node.items()}
    if isinstance(node, Sequence) and not isinstance(node, str):
        return [_plain(v) for v in node]
    return str(node) if isinstance(node, str) else node


def _first_line(path: Path, tree: Any, error: ValidationError) -> str:
    errors = error.errors()
    unknown = [e for e in errors if e["type"] == "extra_forbidden"]
    first = [*unknown, *errors][0]  # a misspelt field explains why another one is missing
    place = [p for p in first["loc"] if p != "[key]"]
    field = ".".join(map(str, place))
    message = first["msg"]
    if first["type"] == "extra_forbidden":
        parent = _model_at(place[:-1])
        known = list(parent.model_fields) if parent else []
        message = f"unknown{nearest(str(place[-1]), known)}; allowed: {', '.join(known)}"
        lacks = [
            str(e["loc"][-1])
            for e in errors
            if e["type"] == "missing" and e["loc"][:-1] == first["loc"][:-1]
        ]
        message += f"; missing: {', '.join(lacks)}" * bool(lacks)
    elif "ctx" in first and "pattern" in first["ctx"]:
        message = "is not a plain name (letters, digits, and . _ - in files, _ in checks)"
    return f"{path}:{line_of(tree, place)}: {field}: {message}"


def _model_at(place: Sequence[Any]) -> type[BaseModel] | None:
    """The part of the schema at a place such as ``files``, ``r1.conf``."""
    parts: dict[str, type[BaseModel]] = {
        "limits": Limits,
        "files": HandedFile,
        "checks": Check,
        "mutants": Mutant,
    }
    if not place:
        return Manifest
    return Edit if "edits" in place else parts.get(str(place[0]))


def line_of(tree: Any, place: Sequence[Any]) -> int:
    """The line (from 1) of a field, or of the map that lacks it."""
    line = 1
    node: Any = tree
    for key in place:
        try:
            position = node.lc.item(key) if isinstance(key, int) else node.lc.key(key)
            line, node = position[0] + 1, node[key]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line


def _cross_check(path: Path, tree: Any, manifest: Manifest) -> None:
    for name in {*COLUMNS, *LATE_COLUMNS} & set(manifest.checks):
        line = line_of(tree, ["checks", name])
        raise ConfigError(
            f"{path}:{line}: checks.{name}: is the name of a gradebook column; rename the check"
        )
    for name, mutant in manifest.mutants.items():
        named: list[tuple[str, str, Collection[str]]] = [
            ("loses", n, manifest.checks) for n in mutant.loses
        ]
        named += [("without", n, manifest.files) for n in mutant.without]
        named += [("edits", e.file, manifest.files) for e in mutant.edits]
        for field, word, known in named:
            if word not in known:
                line = line_of(tree, ["mutants", name, field, word])
                raise ConfigError(
                    f"{path}:{line}: mutants.{name}.{field}: '{word}' does not exist"
                    f"{nearest(word, known)}; there are {', '.join(known)}"
                )
    before: set[str] = set()
    for name, check in manifest.checks.items():
        for needed in check.needs:
            if needed not in before or (manifest.checks[needed].hidden and not check.hidden):
                line = line_of(tree, ["checks", name, "needs"])
                raise ConfigError(
                    f"{path}:{line}: checks.{name}.needs: '{needed}' must be a check above"
                    f" {'that students see, too' if needed in before else 'this one'}"
                    f"{nearest(needed, before)}"
                )
        before.add(name)
    if sum(f.kind == "answers" for f in manifest.files.values()) > 1:
        raise ConfigError(f"{path}: files: only one file can be of kind answers")
