"""Export and import of images and kernels: cache → file, file → cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from testbed.core.errors import ConfigError, MissingPrerequisiteError, ParseError
from testbed.lifetime import guard
from testbed.machine import kernel
from testbed.machine.image import container, manifest, store
from testbed.machine.image.container import LISTING, OnFraction
from testbed.machine.image.manifest import Manifest
from testbed.machine.image.scan import kernel_facts, scan, take_kernel
from testbed.machine.image.store import file_sha256
from testbed.machine.kernel.recipe import recipe_key
from testbed.machine.kernel.store import FACTS, KERNEL, GuestKernel, cache_root, read_kernel


def export_image(name: str, path: Path | None, on_fraction: OnFraction) -> Path:
    """Writes an image of the cache to a file; returns its path.

    Raises:
        ConfigError: there is no such image, or the file cannot be written.
        ParseError: the image was changed.
    """
    held = store.get(name)
    target = _target(path, f"testbed-image-{name}.xz")
    listing = (held.folder / LISTING).read_bytes()
    container.write(target, held.manifest, listing, held.folder, on_fraction)
    return target


def export_kernel(path: Path | None, on_fraction: OnFraction) -> Path:
    """Writes the guest kernel that runs use to a file; returns its path."""
    built = kernel.find()
    if built is None:
        raise MissingPrerequisiteError("the guest kernel", kernel.BUILD_COMMAND)
    target = _target(path, f"testbed-kernel-{built.version}.xz")
    with guard.folder("kernel") as work:
        take_kernel(built.path.parent, work / "kernel")
        facts = {"kernel": kernel_facts(built.path.parent)}
        made, listing = manifest.make(manifest.KERNEL, facts, scan(work))
        container.write(target, made, listing, work, on_fraction)
    return target


def import_kernel(path: Path, expected: str = "") -> tuple[GuestKernel, bool]:
    """Imports a file's kernel into the cache; also returns whether runs of this version use it.

    Args:
        path: the file.
        expected: the hash it must have; empty: any.

    Raises:
        ConfigError: not a kernel, or not the expected one.
        OutputError: the cache cannot be written.
        ParseError: it is damaged or truncated; nothing of it is kept.
    """
    with container.opened(path, "kernel") as source:
        source.expect(expected)
        told = source.manifest.data["kernel"]
        if source.manifest.kind != manifest.KERNEL:
            raise ConfigError(f"{path}: contains a whole image; use testbed image import {path}")
        target = cache_root() / _folder(path, told)
        with store.making(source.manifest.content_bytes) as work:
            container.unpack(source, work, lambda _: None)
            _agree(path, work / "kernel", told)
            if not _is_that(target, told):
                target.parent.mkdir(parents=True, exist_ok=True)
                guard.put_in_place(work / "kernel", target)
    return read_kernel(target), told["recipe"] == recipe_key()


def _folder(path: Path, told: dict[str, Any]) -> str:
    """The folder that a manifest names for its kernel: one name, of the known shape."""
    name = told.get("folder", "")
    plain = isinstance(name, str) and "/" not in name and "\0" not in name
    if not plain or name.startswith(".") or f"-{told['recipe']}-" not in name:
        raise ParseError(str(path), "manifest", "does not name a kernel's folder")
    return str(name)


def _agree(path: Path, folder: Path, told: dict[str, Any]) -> None:
    """Checks that the file next to the kernel agrees with the manifest, whose hash is checked.

    Runs use that file and record its contents.
    """
    for needed in (KERNEL, FACTS):
        if not (folder / needed).is_file():
            raise ParseError(str(path), f"kernel/{needed}", "is not in it")
    try:
        facts = json.loads((folder / FACTS).read_bytes())
        same = all(facts[key] == told[key] for key in ("version", "sha256", "source"))
    except (ValueError, KeyError, TypeError, RecursionError):
        same = False
    if not same:
        raise ParseError(str(path), f"kernel/{FACTS}", "does not match the manifest")


def _is_that(folder: Path, told: dict[str, Any]) -> bool:
    """Whether the cache's folder holds this very kernel, unchanged."""
    try:
        return bool(file_sha256(folder / KERNEL) == read_kernel(folder).sha256 == told["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def check_file(path: Path) -> Manifest:
    """Reads a whole file and checks every byte; writes nothing. Returns its manifest.

    Raises:
        ParseError: it is damaged or truncated.
    """
    with container.opened(path) as source:
        container.check(source)
        return source.manifest


def _target(path: Path | None, name: str) -> Path:
    if path is None:
        return Path(name)
    return path / name if path.is_dir() else path
