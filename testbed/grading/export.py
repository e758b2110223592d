"""Bundles for students: handout, starter files, their variant, and the public checks.

Nothing else can get into the bundle: it is made of the handout, ``starter/``, ``given/``,
``lab.py`` with the modules next to it, their Chinese (``zh.po``), and a new manifest with only the
public part.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML

from testbed.core.errors import ConfigError
from testbed.core.files import write_tree, writing
from testbed.core.quantities import number
from testbed.grading import loading, manifest, questions
from testbed.grading.library import BUNDLED, VARIANT, LabFolder

HANDOUT = "README.md"
_FIXED_TIME = (2000, 1, 1, 0, 0, 0)


def bundle(lab: LabFolder, student: str, secret: bytes) -> dict[str, bytes]:
    """The files of a student's bundle, by path."""
    params = lab.public_parameters(lab.variant(student, secret))
    variant = {"lab": lab.name, "student": student, "variant": params}
    pages = {HANDOUT: lab.handout(params, student).encode()}
    for language in lab.languages():
        pages[f"README.{language}.md"] = lab.handout(params, student, language).encode()
    made = {**pages, VARIANT: (json.dumps(variant, indent=1, ensure_ascii=False) + "\n").encode()}
    for name, data in lab.students_part().sources.items():
        made[f"{BUNDLED}/{lab.name}/{name}"] = data
    if (catalogue := lab.path / loading.CATALOGUE).is_file():
        made[f"{BUNDLED}/{lab.name}/{catalogue.name}"] = catalogue.read_bytes()
    made[f"{BUNDLED}/{lab.name}/{manifest.FILE}"] = _public_manifest(lab, params).encode()
    given, starter = lab.given(), lab.starter(params, student)
    if twice := sorted(given.keys() & starter.keys()):
        raise ConfigError(f"{lab.path}: {', '.join(twice)} is in given/ and starter/; rename one")
    own = {**given, **starter}
    if taken := sorted(made.keys() & own.keys()):
        words = ", ".join(taken)
        raise ConfigError(f"{lab.path}: {words} is a reserved name in bundles; rename it")
    return {**own, **made}


def _public_manifest(lab: LabFolder, params: Mapping[str, Any]) -> str:
    data = lab.manifest.public().model_dump(exclude_defaults=True)
    if asked := questions.asked(lab, params):
        data["files"][questions.answers_file(lab.manifest)]["asks"] = list(asked)
    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = False, False  # type: ignore[assignment]
    yaml.dump(data, out)
    return out.getvalue()


def write(
    files: Mapping[str, bytes],
    target: Path,
    executable: frozenset[str] = frozenset(),
    *,
    top: str = "",
) -> None:
    """Writes a bundle to a new folder, or to an archive if the name ends with ``.zip``.

    Args:
        files: contents by path.
        target: the folder or the archive.
        executable: which of the files are programs.
        top: folder in the archive that holds them all, so that archives unpacked in one place do
            not mix; empty if a platform wants the files at the top.

    Raises:
        OutputError: it already exists, or cannot be written; nothing is left behind.
    """
    if target.suffix == ".zip":
        above = f"{top}/" if top else ""
        inside = {f"{above}{name}": data for name, data in files.items()}
        write_zip(inside, target, frozenset(f"{above}{name}" for name in executable))
    else:
        write_tree(target, files, executable)


def write_zip(
    files: Mapping[str, bytes], target: Path, executable: frozenset[str] = frozenset()
) -> None:
    """Writes an archive, the same bytes every time.

    Raises:
        OutputError: it already exists, or cannot be written; nothing is left behind.
    """
    with (
        writing(target, new=True, durable=True) as out,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(str(PurePosixPath(name)), _FIXED_TIME)
            info.external_attr = (0o755 if name in executable else 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)


def describe(lab: LabFolder, files: Mapping[str, Any]) -> str:
    """What is in a bundle, in one line."""
    public = number(len(lab.manifest.public().checks), "public checks")
    return f"{lab.name}: {number(len(files), 'files')}, {public}"
