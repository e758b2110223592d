"""An image's description of itself: a manifest, and a listing of every file in it. Pure.

Both are checked before they are used. Only the listing contains paths: sorted, each below a folder
that is listed before it. So no listed path can go through a symbolic link, leave the image, or
occur twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from testbed.core.errors import ParseError

LAB, KERNEL = "lab", "kernel"
_KINDS = {LAB: frozenset({"kernel", "root", "site"}), KERNEL: frozenset({"kernel"})}
"""Kind of an image → its folders."""

_ID_CHARS = 12
_HEX = frozenset("0123456789abcdef")
_MAX_PATH_CHARS = 1024

Kind = Literal["d", "f", "l"]
"""Folder, regular file, symbolic link: an image contains nothing else."""


@dataclass(frozen=True)
class Entry:
    """One path of an image.

    Attributes:
        path: below the image's folder.
        kind: see `Kind`.
        mode: permissions; 0 for a link.
        size: of a file, in bytes.
        sha256: of a file's content.
        target: of a link.
    """

    path: str
    kind: Kind
    mode: int = 0
    size: int = 0
    sha256: str = ""
    target: str = ""

    def line(self) -> str:
        """Its line in the listing."""
        rest: dict[Kind, list[Any]] = {
            "d": [self.mode],
            "f": [self.mode, self.size, self.sha256],
            "l": [self.target],
        }
        return json.dumps([self.kind, self.path, *rest[self.kind]], separators=(",", ":")) + "\n"


@dataclass(frozen=True)
class Manifest:
    """An image's description.

    Attributes:
        kind: ``lab`` or ``kernel``.
        data: all its contents: kernel, packages, libraries, the listing's hash.
        raw: the line it was read from.
    """

    kind: str
    data: dict[str, Any]
    raw: bytes

    @property
    def sha256(self) -> str:
        """The image's hash: it covers the listing's hash, which covers each file's."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def id(self) -> str:
        """The image's name: the same for the same content, wherever it was built."""
        return self.sha256[:_ID_CHARS]

    @property
    def listing_bytes(self) -> int:
        """Length of the listing."""
        return int(self.data["listing"]["bytes"])

    @property
    def content_bytes(self) -> int:
        """Length of all files together, which is about what the image takes when unpacked."""
        return int(self.data["listing"]["content_bytes"])


def make(kind: str, facts: dict[str, Any], entries: Iterable[Entry]) -> tuple[Manifest, bytes]:
    """The manifest and the listing of an image.

    Args:
        kind: ``lab`` or ``kernel``.
        facts: further contents of the manifest.
        entries: in any order.
    """
    ordered = sorted(entries, key=lambda e: e.path.split("/"))
    listing = "".join(entry.line() for entry in ordered).encode()
    facts = facts | {
        "kind": kind,
        "listing": {
            "bytes": len(listing),
            "content_bytes": sum(entry.size for entry in ordered),
            "entries": len(ordered),
            "sha256": hashlib.sha256(listing).hexdigest(),
        },
    }
    raw = json.dumps(facts, separators=(",", ":"), sort_keys=True).encode()
    return Manifest(kind, facts, raw), listing


def parse(raw: bytes, source: str) -> Manifest:
    """Reads a manifest.

    Raises:
        ParseError: it is not a manifest.
    """
    try:
        data = json.loads(raw)
        kind, listing = data["kind"], data["listing"]
        sizes = [listing["bytes"], listing["content_bytes"], listing["entries"]]
        kernel = data["kernel"]
        texts = [listing["sha256"], kernel["version"], kernel["sha256"], kernel["recipe"]]
        well_formed = (
            kind in _KINDS
            and all(type(size) is int and size >= 0 for size in sizes)
            and all(isinstance(text, str) for text in texts)
            and (kind == KERNEL or isinstance(data["packages"], dict))
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        well_formed = False
    if not well_formed:
        raise ParseError(source, "manifest", "is damaged")
    return Manifest(kind, data, raw)


def parse_listing(manifest: Manifest, listing: bytes, source: str) -> list[Entry]:
    """Reads the listing that belongs to a manifest.

    Raises:
        ParseError: it is a different one, or lists what no image may contain.
    """
    _compare(manifest, listing, source)
    entries: list[Entry] = []
    folders: set[str] = set()
    last: list[str] = []
    for number, line in enumerate(listing.splitlines(), 1):
        entry = _entry(line)
        reason = "not understood" if entry is None else _objection(entry, last, folders, manifest)
        if entry is None or reason:
            raise ParseError(source, f"list of files, line {number}", reason)
        if entry.kind == "d":
            folders.add(entry.path)
        last = entry.path.split("/")
        entries.append(entry)
    kernels = [entry.sha256 for entry in entries if entry.path == "kernel/linux"]
    whole = kernels == [manifest.data["kernel"]["sha256"]] and folders >= _KINDS[manifest.kind]
    if sum(entry.size for entry in entries) != manifest.content_bytes or not whole:
        raise ParseError(source, "list of files", "does not match the manifest")
    return entries


def known_rows(manifest: Manifest, listing: bytes, source: str) -> list[list[Any]]:
    """The lines of a listing that `parse_listing` accepted before, as they stand in it.

    Its hash matches the manifest, so it is unchanged: every run reads it, and checking each line
        again would take longer than checking the files.

    Raises:
        ParseError: it is a different one.
    """
    _compare(manifest, listing, source)
    rows: list[list[Any]] = json.loads(b"[" + b",".join(listing.splitlines()) + b"]")
    return rows


def _compare(manifest: Manifest, listing: bytes, source: str) -> None:
    if hashlib.sha256(listing).hexdigest() != manifest.data["listing"]["sha256"]:
        raise ParseError(
            source, "list of files", "is damaged: its hash differs from the manifest's"
        )


def _entry(line: bytes) -> Entry | None:
    """One line of a listing; None if it is not of a known shape."""
    try:
        match json.loads(line):
            case ["d", str(path), int(mode)]:
                return Entry(path, "d", mode)
            case ["f", str(path), int(mode), int(size), str(sha256)]:
                return Entry(path, "f", mode, size, sha256)
            case ["l", str(path), str(target)]:
                return Entry(path, "l", target=target)
    except (ValueError, RecursionError):
        pass
    return None


def _objection(entry: Entry, last: list[str], folders: set[str], manifest: Manifest) -> str:
    """Why this entry is not allowed here; empty if it is."""
    parts = entry.path.split("/")
    if "\0" in entry.path or not {"", ".", ".."}.isdisjoint(parts):
        reason = "points outside the image"
    elif parts <= last:
        reason = "is listed twice, or out of order"
    elif parts[0] not in _KINDS[manifest.kind] or (len(parts) == 1 and entry.kind != "d"):
        reason = f"does not belong in an image of kind '{manifest.kind}'"
    elif len(parts) > 1 and "/".join(parts[:-1]) not in folders:
        reason = "is not inside a folder of the image"
    else:
        reason = _fault(entry)
    return f"{entry.path[:80]!a} {reason}" if reason else ""


def _fault(entry: Entry) -> str:
    """What is wrong with an entry, wherever it is listed; empty if nothing is."""
    owner = {"d": 0o700, "f": 0o600, "l": 0}[entry.kind]
    if len(entry.path) > _MAX_PATH_CHARS or not _encodable(entry.path + entry.target):
        return "is not a valid file name"
    if entry.mode & owner != owner or entry.mode & ~0o777:
        return f"has permissions {entry.mode:o}"
    hashed = len(entry.sha256) == 64 and _HEX.issuperset(entry.sha256) and entry.size >= 0
    if entry.kind == "f" and not hashed:
        return "has no size or hash"
    if entry.kind == "l" and not 0 < len(entry.target) <= _MAX_PATH_CHARS:
        return "leads nowhere"
    return ""


def _encodable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
