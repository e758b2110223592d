"""Images and kernels on their way: cache → file, file → cache."""

from __future__ import annotations

import tempfile
from pathlib import Path

from testbed import kernel
from testbed.errors import ConfigError, MissingPrerequisiteError, ParseError
from testbed.image import container, manifest, store
from testbed.image.container import LISTING, OnFraction
from testbed.image.scan import kernel_facts, scan, take_kernel
from testbed.kernel.recipe import recipe_key
from testbed.kernel.store import FACTS, GuestKernel, cache_root, read_kernel


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
    """Writes the guest kernel that runs take to a file; returns its path."""
    built = kernel.find()
    if built is None:
        raise MissingPrerequisiteError("the guest kernel", kernel.BUILD_COMMAND)
    target = _target(path, f"testbed-kernel-{built.version}.xz")
    with tempfile.TemporaryDirectory(prefix="testbed-kernel-") as scratch:
        work = Path(scratch)
        take_kernel(built.path.parent, work / "kernel")
        facts = {"kernel": kernel_facts(built.path.parent)}
        made, listing = manifest.make(manifest.KERNEL, facts, scan(work))
        container.write(target, made, listing, work, on_fraction)
    return target


def import_kernel(path: Path) -> tuple[GuestKernel, bool]:
    """Brings a file's kernel into the cache; also tells whether runs of this version take it.

    Raises:
        ConfigError: no kernel, or the cache cannot be written.
        ParseError: a damaged or truncated one; nothing of it is kept.
    """
    header = container.read_header(path)
    if header.manifest.kind != manifest.KERNEL:
        raise ConfigError(f"{path}: holds a whole image; testbed image import {path}")
    name = header.manifest.data["kernel"].get("folder", "")
    recipe = header.manifest.data["kernel"]["recipe"]
    if (
        not isinstance(name, str)
        or "/" in name
        or name.startswith(".")
        or f"-{recipe}-" not in name
    ):
        raise ParseError(str(path), "manifest", "names no folder of a kernel")
    target = cache_root() / name
    with store.making(header.manifest.content_bytes) as work:
        container.unpack(path, header, work, lambda _: None)
        for needed in ("linux", FACTS):
            if not (work / "kernel" / needed).is_file():
                raise ParseError(str(path), f"kernel/{needed}", "is not in it")
        if not (target / FACTS).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            (work / "kernel").rename(target)
    return read_kernel(target), recipe == recipe_key()


def check_file(path: Path) -> None:
    """Reads a whole file and checks every byte; keeps nothing.

    Raises:
        ParseError: it is damaged or truncated.
    """
    header = container.read_header(path)
    with tempfile.TemporaryDirectory(prefix="testbed-image-") as scratch:
        container.unpack(path, header, Path(scratch), lambda _: None)


def refuse_unless(path: Path, expected: str) -> None:
    """Raises ConfigError if a file's name, as far as given, is another one."""
    name = container.read_header(path).manifest.id
    if not name.startswith(expected):
        raise ConfigError(f"{path}: is {name}, not {expected}; get the file again")


def _target(path: Path | None, name: str) -> Path:
    if path is None:
        return Path(name)
    return path / name if path.is_dir() else path
