"""Labs as folders: finds them by name, checks them, makes their variants and files."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import jinja2

from testbed.core import language, parameters
from testbed.core.errors import ConfigError, nearest
from testbed.core.files import read_input
from testbed.core.language import Words
from testbed.core.project import PROJECT
from testbed.grading import loading, manifest
from testbed.grading.assignment import Assignment
from testbed.grading.manifest import Manifest
from testbed.grading.variants import SeededRandom

VARIANT = "variant.json"
"""In a student's folder: the lab's name, the student's id and the variant."""

BUNDLED = "lab"
"""In a student's folder: the public part of the lab, in a folder of its name."""

_TEMPLATE = ".j2"
_HANDOUT = "handout.md"
_SHORTEST_SECRET, _LARGEST_SECRET_BYTES = 16, 4096
_LARGEST_ID = 200


@dataclass(frozen=True)
class LabFolder:
    """One lab.

    Attributes:
        path: its folder.
        manifest: what ``lab.yaml`` says.
        public: class with the public checks, which students get.
        full: class with all checks.
    """

    path: Path
    manifest: Manifest
    public: type[Assignment]
    full: type[Assignment]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    def variant(self, student: str, secret: bytes) -> dict[str, Any]:
        """All parameters of a student's variant, checked."""
        values = self.full.variant(SeededRandom(secret, self.name, same_person(student)))
        return self.parameters(values)

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters from values, defaults added, checked; as plain data."""
        return asdict(parameters.build(self.full.Parameters, values))

    def public_parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a variant that students see: what ``lab.py`` has as parameters."""
        known = {p.name for p in parameters.parameters_of(self.public.Parameters)}
        return {name: value for name, value in values.items() if name in known}

    def instance(self, params: Mapping[str, Any], *, hidden: bool = True) -> Assignment:
        """The lab with a variant."""
        cls = self.full if hidden else self.public
        params = params if hidden else self.public_parameters(params)
        built: Any = parameters.build(cls.Parameters, params)
        return cls(built)

    def students_part(self) -> LabFolder:
        """The lab as students get it: only public checks, no mutants."""
        return LabFolder(self.path, self.manifest.public(), self.public, self.public)

    @cached_property
    def sources(self) -> dict[str, bytes]:
        """The Python files and the manifest: what results depend on."""
        public = self.full is self.public
        every = sorted(self.path.glob("*.py"))
        found = [p for p in every if not (public and loading.is_hidden(p.name))]
        found.append(self.path / manifest.FILE)
        return {p.name: p.read_bytes() for p in found}

    def source_hash(self) -> str:
        """SHA-256 over `sources`."""
        total = hashlib.sha256()
        for name, data in self.sources.items():
            total.update(f"{name} {len(data)}\n".encode() + data)
        return total.hexdigest()

    # ---- files for students and tests

    def words(self) -> Words:
        """The lab's texts in the chosen language."""
        return language.words(*loading.catalogues(self.path))

    def languages(self) -> list[str]:
        """Languages that the handout is translated to, such as ``zh``."""
        return sorted(path.name.split(".")[1] for path in self.path.glob("handout.*.md"))

    def handout(self, params: Mapping[str, Any], student: str = "", language: str = "") -> str:
        """The handout with the variant's values; in English if it is not translated."""
        path = self.path / (f"handout.{language}.md" if language in self.languages() else _HANDOUT)
        if not path.is_file():
            raise ConfigError(f"{self.path}: has no {_HANDOUT}")
        return _Renderer(self.instance(params, hidden=False), student).text(path)

    def starter(self, params: Mapping[str, Any], student: str = "") -> dict[str, bytes]:
        """The files that students start from, by name."""
        render = _Renderer(self.instance(params, hidden=False), student)
        return render.folder(self.path / "starter")

    def given(self) -> dict[str, bytes]:
        """Further files that students get and do not hand in, by path; the same for all."""
        folder = self.path / "given"
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in _files(folder)}

    def solution(self, params: Mapping[str, Any], student: str = "") -> dict[str, bytes]:
        """The files that earn all points."""
        return _Renderer(self.instance(params), student).folder(self.path / "solution")

    def rendered(self, text: str, params: Mapping[str, Any]) -> str:
        """A line of a template with a variant's values. Raises ConfigError if it lacks one."""
        return _Renderer(self.instance(params), "").line(text, "template")

    def mutant(self, name: str, params: Mapping[str, Any], student: str = "") -> dict[str, bytes]:
        """The files of a wrong submission.

        Raises:
            ConfigError: an edit's text does not occur exactly once.
        """
        render = _Renderer(self.instance(params), student)
        mutant = self.manifest.mutants[name]
        files = self.solution(params, student)
        files |= render.folder(self.path / "mutants" / name)
        for edit in mutant.edits:
            where = f"{self.path / manifest.FILE}: mutants.{name}.edits: {edit.file}"
            find, put = render.line(edit.find, where), render.line(edit.put, where)
            text = files.get(edit.file, b"").decode()
            if text.count(find) != 1:
                raise ConfigError(
                    f"{where}: {find!r} occurs {text.count(find)} times, must occur once"
                )
            files[edit.file] = text.replace(find, put).encode()
        return {name: data for name, data in files.items() if name not in mutant.without}


class _Renderer:
    """Renders a lab's templates with a variant."""

    def __init__(self, lab: Assignment, student: str) -> None:
        self._values = {**asdict(lab.params), "lab": lab, "student": student}
        self._jinja = jinja2.Environment(
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def line(self, text: str, where: str) -> str:
        try:
            return self._jinja.from_string(text).render(self._values)
        except jinja2.TemplateError as error:
            line = f" line {error.lineno}:" if isinstance(error, jinja2.TemplateSyntaxError) else ""
            raise ConfigError(f"{where}:{line} {error}") from None

    def text(self, path: Path) -> str:
        return self.line(path.read_text(encoding="utf-8"), str(path))

    def folder(self, folder: Path) -> dict[str, bytes]:
        """All files below a folder, by path; ``NAME.j2`` is rendered to ``NAME``."""
        found = {}
        for path in _files(folder):
            name = path.relative_to(folder).as_posix()
            if "__pycache__" in name:
                continue
            if name.endswith(_TEMPLATE):
                found[name.removesuffix(_TEMPLATE)] = self.text(path).encode()
            else:
                found[name] = path.read_bytes()
        return found


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def labs_folder() -> Path:
    """Where labs are: ``$TESTBED_LABS``, or the project's ``labs``."""
    return Path(os.environ.get("TESTBED_LABS", PROJECT / "labs")).resolve()


def folder(name: str) -> Path:
    """Where the lab of this name is, or would be."""
    return labs_folder() / name


def names() -> list[str]:
    """Names of all labs."""
    return sorted(p.parent.name for p in labs_folder().glob(f"*/{manifest.FILE}"))


def open_lab(name: str) -> LabFolder:
    """A lab by its name, or by the path of its folder.

    Raises:
        ConfigError: there is none, or its manifest does not match its claims.
    """
    path = Path(name) if "/" in name else folder(name)
    if not (path / manifest.FILE).is_file():
        known = names()
        raise ConfigError(f"lab '{name}': unknown{nearest(name, known)}; known: {', '.join(known)}")
    return open_folder(path.resolve())


def open_folder(path: Path) -> LabFolder:
    """A lab by its folder."""
    read = manifest.read(path)
    public = loading.load_lab(path, hidden=False)
    full = loading.load_lab(path)
    _check_names(path, read, public, full)
    for cls in (public, full):
        cls.memory_mb = read.limits.memory_mb
    return LabFolder(path, read, public, full)


@cache
def open_once(path: Path) -> LabFolder:
    """The same; a worker that grades one submission after another loads it once."""
    return open_folder(path)


def _check_names(
    path: Path, read: Manifest, public: type[Assignment], full: type[Assignment]
) -> None:
    """Checks that the manifest's checks are the claims, and its public ones those of ``lab.py``."""
    shown = {c.name for c in public.claims()}
    every = {c.name for c in full.claims()}
    for name, check in read.checks.items():
        where = f"{path / manifest.FILE}: checks.{name}"
        if name not in every:
            raise ConfigError(f"{where}: no such claim{nearest(name, every)}")
        if check.hidden == (name in shown):
            home = "lab.py, which students get" if check.hidden else "hidden.py"
            raise ConfigError(f"{where}: is {'hidden' * check.hidden or 'public'}, but in {home}")
    for name in every - set(read.checks):
        raise ConfigError(f"{path / manifest.FILE}: checks: the claim '{name}' has no weight")


def read_secret(path: Path) -> bytes:
    """The course's secret.

    Raises:
        ConfigError: it does not exist, or is too short.
    """
    try:
        secret = read_input(path, most_bytes=_LARGEST_SECRET_BYTES, what="--secret").strip()
    except ConfigError as error:
        raise ConfigError(f"{error}; make one with 'testbed lab secret {path}'") from None
    if len(secret) < _SHORTEST_SECRET:
        raise ConfigError(f"--secret {path}: has fewer than {_SHORTEST_SECRET} characters")
    return secret


def student_id(text: str) -> str:
    """A student's id in display form: one Unicode form, single spaces.

    Raises:
        ConfigError: empty, or not printable.
    """
    student = " ".join(unicodedata.normalize("NFKC", text[: 2 * _LARGEST_ID]).split())
    if not student or not student.isprintable() or len(student) > _LARGEST_ID:
        raise ConfigError(
            f"student {text!r}: is not a valid id (printable, up to {_LARGEST_ID} characters)"
        )
    return student


def same_person(student: str) -> str:
    """The normal form of an id: ``Ada@uni.edu`` and ``ada@uni.edu`` are the same person.

    Variants derive from it, so that work handed in under another spelling is graded correctly.
    """
    return unicodedata.normalize("NFKC", student_id(student).casefold())


def read_variant(folder: Path) -> tuple[str, str, dict[str, Any]] | None:
    """Lab, student and values of the variant in a student's folder; None if there is none.

    Raises:
        ConfigError: it cannot be read.
    """
    path = folder / VARIANT
    if not path.is_file():
        return None
    try:
        data = json.loads(read_input(path))
        return str(data["lab"]), str(data["student"]), dict(data["variant"])
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{path}: cannot be read; copy it from your bundle again") from None
