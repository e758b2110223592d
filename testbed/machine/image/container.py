"""An image as one file: two human-readable lines, then everything else, compressed.

::

    network-testbed image 1
    {"kernel":…,"kind":"lab","listing":{"sha256":…},"packages":…}      the manifest
    ‹xz: the listing, then the content of its files, one behind the other›

The manifest holds the listing's hash, and the listing every file's. So each byte is checked, in one
pass, and nothing is accepted until all are. Only Python's standard library is needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import lzma
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from testbed.core.errors import ConfigError, ParseError
from testbed.core.files import refused, writing
from testbed.machine.image import manifest as manifests
from testbed.machine.image.manifest import Entry, Manifest

MAGIC = b"network-testbed image 1\n"
MTIME_S = 1_700_000_000
"""What every file of an image is dated, in s of Unix time: what a guest's clock shows at boot."""

MANIFEST, LISTING = "manifest.json", "files.jsonl"
"""Files of an unpacked image, besides its folders."""

_FAMILY = MAGIC.rsplit(b" ", 1)[0]
_MAX_MANIFEST_BYTES, _MAX_LISTING_BYTES = 1 << 20, 1 << 25
_CHUNK_BYTES, _MAX_UNPACKER_BYTES = 1 << 20, 1 << 27
_HEX = frozenset("0123456789abcdef")
_FILTERS = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 9}]

OnFraction = Callable[[float], None]


@dataclass(frozen=True)
class Source:
    """A file that is open: opened once, so that what was looked at is what is used.

    Attributes:
        path: as the user gave it.
        manifest: what it claims to be; nothing else in it has been checked yet.
        raw: stands before the compressed part.
    """

    path: Path
    manifest: Manifest
    raw: IO[bytes]

    def expect(self, expected: str) -> None:
        """Refuses any image but the one with this hash; an empty hash allows all.

        Raises:
            ConfigError: the hash differs, or is incomplete: a part of it would match others, too.
        """
        found = self.manifest.sha256
        if expected and (len(expected) != len(found) or not _HEX.issuperset(expected)):
            reason = f"is not a hash; give all {len(found)} digits, as printed by the export"
            raise ConfigError(f"--expect {expected[:80]!r}: {reason}")
        if expected and expected != found:
            raise ConfigError(
                f"{self.path}: its hash is {found}, not {expected}; download the file again"
            )


def write(
    path: Path, made: Manifest, listing: bytes, folder: Path, on_fraction: OnFraction
) -> None:
    """Writes an image's file from its unpacked folder, in one step.

    The same bytes for the same content, where the compressor's version is the same.

    Raises:
        OutputError: the file cannot be written; nothing of it is left.
        ParseError: something in the folder is no longer what the listing says.
    """
    entries = manifests.parse_listing(made, listing, str(folder))
    with writing(path, durable=True) as raw:
        raw.write(MAGIC + made.raw + b"\n")
        with lzma.open(raw, "wb", check=lzma.CHECK_CRC64, filters=_FILTERS) as packed:
            packed.write(listing)
            _pack(packed, entries, folder, made.content_bytes, on_fraction)


@contextlib.contextmanager
def opened(path: Path, kind: str = "image") -> Iterator[Source]:
    """Opens a file and reads its manifest.

    Args:
        path: the file.
        kind: what is wanted, `image` or `kernel`: the command that makes such files.

    Raises:
        ConfigError: it cannot be read, or is not an image at all.
        ParseError: an image of another version, or a damaged one.
    """
    with contextlib.ExitStack() as stack:
        try:
            raw = stack.enter_context(path.open("rb"))
            first = raw.readline(len(MAGIC))
            line = raw.readline(_MAX_MANIFEST_BYTES)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        yield Source(path, _manifest(path, kind, first, line), raw)


def _manifest(path: Path, kind: str, first: bytes, line: bytes) -> Manifest:
    if not first.startswith(_FAMILY):
        raise ConfigError(f"{path}: was not made by 'testbed {kind} export'")
    if first != MAGIC:
        raise ParseError(str(path), "first line", "has an unknown format; update the testbed")
    if not line.endswith(b"\n"):
        raise ParseError(str(path), "manifest", "is truncated; download the file again")
    return manifests.parse(line[:-1], str(path))


def read_manifest(path: Path) -> Manifest:
    """A file's manifest; see `opened`."""
    with opened(path) as source:
        return source.manifest


def unpack(source: Source, folder: Path, on_fraction: OnFraction) -> None:
    """Unpacks an image into an empty folder of ours, checking each file.

    Raises:
        ParseError: the file is damaged or truncated, or contains more than its manifest says.
        OutputError: the folder cannot be written.
    """
    with refused(folder), _reading(source) as (packed, listing, entries):
        (folder / LISTING).write_bytes(listing)
        _unpack(packed, entries, folder, source.manifest.content_bytes, on_fraction)


def check(source: Source) -> None:
    """Reads an image to its end and checks every byte; writes nothing.

    Raises:
        ParseError: as for `unpack`.
    """
    try:
        with _reading(source) as (packed, _, entries), Path(os.devnull).open("wb") as nowhere:
            for entry in entries:
                _copy(packed, entry, nowhere)
    except OSError as error:
        raise ConfigError(f"{source.path}: cannot be read: {error.strerror}") from None


@contextlib.contextmanager
def _reading(source: Source) -> Iterator[tuple[_Packed, bytes, list[Entry]]]:
    """Opens the compressed part, with its listing read and checked; faults become our errors."""
    name, made = str(source.path), source.manifest
    if made.listing_bytes > _MAX_LISTING_BYTES:
        raise ParseError(name, "manifest", "its list of files is too long")
    packed = _Packed(source.raw)
    try:
        listing = packed.read(made.listing_bytes)
        yield packed, listing, manifests.parse_listing(made, listing, name)
        if not packed.ended():
            raise ParseError(name, "end", "contains more than its list of files names")
    except (EOFError, lzma.LZMAError) as error:
        what = "is truncated" if isinstance(error, EOFError) else "is damaged"
        raise ParseError(name, "content", f"{what}; download the file again") from None
    except _DifferentError as error:
        problem = "is damaged: its hash differs from the listed one"
        raise ParseError(name, str(error), problem) from None


class _Packed:
    """Reads the compressed part, with no more memory than one of our images needs."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._lzma = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_UNPACKER_BYTES)

    def read(self, size: int) -> bytes:
        """Exactly this many bytes; EOFError if there are fewer."""
        parts: list[bytes] = []
        while size:
            parts.append(self._some(size))
            size -= len(parts[-1])
        return b"".join(parts)

    def ended(self) -> bool:
        """True if nothing follows except the stream's own end."""
        try:
            return not self._some(1)
        except EOFError:
            return self._lzma.eof and not self._lzma.unused_data and not self._raw.read(1)

    def _some(self, size: int) -> bytes:
        while not self._lzma.eof:
            fresh = self._raw.read(_CHUNK_BYTES) if self._lzma.needs_input else b""
            if self._lzma.needs_input and not fresh:
                raise EOFError
            if found := self._lzma.decompress(fresh, size):
                return found
        raise EOFError


class _DifferentError(Exception):
    """A file's content differs from the listed one."""


def _pack(
    packed: IO[bytes], entries: list[Entry], folder: Path, total: int, on_fraction: OnFraction
) -> None:
    done = 0
    for entry in (e for e in entries if e.kind == "f"):
        content = (folder / entry.path).read_bytes()
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise ParseError(str(folder), entry.path, "has changed since; import the image again")
        for begin in range(0, len(content), _CHUNK_BYTES):  # one long call cannot be interrupted
            packed.write(content[begin : begin + _CHUNK_BYTES])
        done += entry.size
        on_fraction(done / max(1, total))


def _unpack(
    packed: _Packed, entries: list[Entry], folder: Path, total: int, on_fraction: OnFraction
) -> None:
    """Makes everything that is listed. Each call refuses what exists: nothing is followed."""
    done = 0
    for entry in entries:
        path = folder / entry.path
        if entry.kind == "d":
            path.mkdir()
        elif entry.kind == "l":
            path.symlink_to(entry.target)
        else:
            _write_file(packed, entry, path)
            done += entry.size
            on_fraction(done / max(1, total))
    for entry in reversed(entries):  # a folder's date changes with its content, so it comes last
        path = folder / entry.path
        if entry.kind != "l":
            path.chmod(entry.mode)
        os.utime(path, (MTIME_S, MTIME_S), follow_symlinks=False)


def _write_file(packed: _Packed, entry: Entry, path: Path) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as out:
        _copy(packed, entry, out)


def _copy(packed: _Packed, entry: Entry, out: IO[bytes]) -> None:
    """What is packed of one entry; links and folders are in the listing alone."""
    digest, left = hashlib.sha256(), entry.size
    while left:
        chunk = packed.read(min(left, _CHUNK_BYTES))
        digest.update(chunk)
        out.write(chunk)
        left -= len(chunk)
    if entry.kind == "f" and digest.hexdigest() != entry.sha256:
        raise _DifferentError(entry.path)
