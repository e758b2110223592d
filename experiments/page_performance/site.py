"""The site that is loaded: a folder of files, a recorded HAR, or a page made for the purpose."""

from __future__ import annotations

import base64
import json
import os
import random
import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from analysis.browser import recorded
from testbed import ConfigError, TestbedError

OWN = "www.example.org"
"""The host of a site that has no name of its own."""

INDEX = "index.html"
MOST_FILES, MOST_HOSTS = 1000, 20
LARGEST_BYTES = 16 << 20
"""Of all files of a site together: the guest keeps them in memory."""

FILE = "site.json"
"""In the scenario's folder: a user's site."""

_DEEPEST, _LONGEST = 12, 200


@dataclass(frozen=True)
class Site:
    """A site.

    Attributes:
        hosts: name → path, without the slash in front → contents.
        start: path of the page on the first host; empty: its index.
    """

    hosts: Mapping[str, Mapping[str, bytes]]
    start: str = ""

    @property
    def page(self) -> str:
        """Host and path of the page, as in an address."""
        return f"{next(iter(self.hosts))}/{quote(self.start)}"

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(len(data) for files in self.hosts.values() for data in files.values())

    def text(self) -> str:
        """As text, for `parse`."""
        hosts = {
            host: {path: base64.b64encode(data).decode() for path, data in sorted(files.items())}
            for host, files in self.hosts.items()
        }
        return json.dumps({"start": self.start, "hosts": hosts}, indent=1) + "\n"

    def write(self, root: Path) -> None:
        """Writes a folder per host; dates are those of the run."""
        for host, files in self.hosts.items():
            for path, data in files.items():
                file = root / host / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)


def parse(text: str) -> Site:
    """A site from `Site.text`."""
    told = json.loads(text)
    hosts = {
        host: {path: base64.b64decode(data) for path, data in files.items()}
        for host, files in told["hosts"].items()
    }
    return Site(hosts, told["start"])


# ---- a user's own


def read(given: str) -> Site:
    """A user's site, from a folder or a HAR.

    Raises:
        ConfigError: it is neither, or something in it cannot be served; names the file.
    """
    path = Path(given)
    try:
        if path.is_dir():
            return _folder(path)
        if path.suffix == ".har":
            return _archive(path)
    except OSError as error:
        raise ConfigError(f"--site: {error.filename or path}: {error.strerror}") from None
    raise ConfigError(f"--site: '{path}' is neither a folder nor a .har file")


def _folder(root: Path) -> Site:
    files: dict[str, bytes] = {}
    left = LARGEST_BYTES
    for file in _files(root, root):
        if len(files) == MOST_FILES:
            raise ConfigError(
                f"--site: {root} has more than {MOST_FILES} files; give a smaller one"
            )
        name = file.relative_to(root).as_posix()
        if not name.isprintable() or len(name) > _LONGEST:
            raise ConfigError(
                f"--site: {root}: {ascii(name)[:_LONGEST]} is not a name that can be served; "
                "rename the file"
            )
        files[name] = _contents(file, left)
        left -= len(files[name])
    if INDEX not in files:
        raise ConfigError(f"--site: {root} has no {INDEX}; a visit begins there")
    return Site({OWN: files})


def _files(folder: Path, root: Path) -> Iterator[Path]:
    """Regular files in order, without hidden ones; refuses whatever is neither file nor folder."""
    if len(folder.relative_to(root).parts) > _DEEPEST:
        raise ConfigError(f"--site: {folder} is nested too deeply; at most {_DEEPEST} folders")
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise ConfigError(f"--site: {path} is a symbolic link; put the file itself there")
        if stat.S_ISDIR(mode):
            yield from _files(path, root)
        elif stat.S_ISREG(mode):
            yield path
        else:
            raise ConfigError(f"--site: {path} is not a regular file; remove it")


def _contents(file: Path, most_bytes: int) -> bytes:
    """A file's contents; what replaced it in the meantime is not followed."""
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
        data = opened.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ConfigError(
            f"--site: with {file} the files have more than {LARGEST_BYTES >> 20} MiB; "
            "give a smaller site"
        )
    return data


def _archive(path: Path) -> Site:
    try:
        site = recorded.read(path, most_bytes=LARGEST_BYTES)
    except TestbedError as error:
        raise ConfigError(f"--site: {error}") from None
    files = sum(len(found) for found in site.hosts.values())
    for many, most, what in ((files, MOST_FILES, "files"), (len(site.hosts), MOST_HOSTS, "hosts")):
        if many > most:
            raise ConfigError(f"--site: {path} has {many} {what}; at most {most}")
    return Site(site.hosts, site.start)


# ---- the page made for the purpose


def made(resources: int, resource_bytes: int) -> Site:
    """A page with a style sheet, a script and pictures."""
    width_px = max(1, round((max(resource_bytes - _BITMAP_HEADER, 0) / 4) ** 0.5))
    images = {f"{number}.bmp": bitmap(width_px, number) for number in range(1, resources + 1)}
    shown = "\n".join(f'<img src="{name}" alt="">' for name in images)
    text = "<p>A page is more than its pictures. " + "It has come a long way. " * 12 + "</p>\n"
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>A page</title>\n'
        '<link rel="stylesheet" href="style.css">\n<script src="script.js" defer></script>\n'
        f"</head><body>\n<h1>A page</h1>\n{text * 6}{shown}\n</body></html>\n"
    )
    return Site(
        {
            OWN: {
                INDEX: page.encode(),
                "style.css": _STYLE.encode(),
                "script.js": b"document.documentElement.dataset.ran = 'yes';\n",
                **images,
            }
        }
    )


_STYLE = """body { font: 20px sans-serif; margin: 40px; background: #eef6fb }
h1 { color: #0b6a8f }
img { width: 80px; height: 80px; margin: 6px }
"""
_BITMAP_HEADER = 54


def bitmap(width_px: int, seed: int) -> bytes:
    """A square picture of noise (Windows bitmap, 32 bits a pixel).

    Unlike PNG it has the same bytes whatever version of zlib the machine has.
    """
    pixels = random.Random(seed).randbytes(4 * width_px * width_px)
    size = _BITMAP_HEADER + len(pixels)
    file = struct.pack("<2sIHHI", b"BM", size, 0, 0, _BITMAP_HEADER)
    picture = struct.pack("<IiiHHIIiiII", 40, width_px, width_px, 1, 32, 0, len(pixels), 0, 0, 0, 0)
    return file + picture + pixels
