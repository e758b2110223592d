"""A site from an HTTP Archive (HAR 1.2): the files that a browser got while it was recorded.

Browsers save such archives from their network panels ("save all as HAR with content").
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from testbed.core.errors import ParseError

INDEX = "index.html"

_OVERHEAD = 8
"""How many times as large as its files an archive may be: headers, and text in JSON."""

_LEAST_BYTES = 64 << 20
_LONGEST, _LONGEST_PART = 1000, 255
"""Bytes of a path, and of a name in it; a file system cannot keep longer ones."""

_LONGEST_HOST = 253

_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"({_LABEL}\.)*(?![0-9]+$){_LABEL}")
"""A host's name (RFC 1123 §2.1); what ends with a number is an address."""


@dataclass(frozen=True)
class Recorded:
    """What was recorded.

    Attributes:
        hosts: name → path, without the slash in front → contents; the page's own host comes first.
        start: path of the page on it; decoded, as all paths here.
    """

    hosts: Mapping[str, Mapping[str, bytes]]
    start: str


class _File(NamedTuple):
    host: str
    path: str
    data: bytes
    page: bool


def read(path: Path, *, most_bytes: int) -> Recorded:
    """The files of an archive: answers to GET with status 200 whose contents were recorded.

    Of addresses that differ in their queries alone, the first one counts: a file has no query. A
    path that ends with a slash gets ``index.html``. Paths that are too long for a file system are
    left out. The page is the first HTML document.

    Args:
        path: the archive.
        most_bytes: how large all files together may be.

    Raises:
        ParseError: it is not an archive, has no page, or too much; names the file and the entry.
    """
    hosts: dict[str, dict[str, bytes]] = {}
    first: _File | None = None
    left = most_bytes
    for file in _files(path, _load(path, max(_LEAST_BYTES, _OVERHEAD * most_bytes))):
        kept = hosts.setdefault(file.host, {})
        if file.path in kept:
            continue
        left -= len(file.data)
        if left < 0:
            raise ParseError(str(path), "entries", f"have more than {most_bytes >> 20} MiB")
        kept[file.path] = file.data
        if first is None and file.page:
            first = file
    if first is None:
        raise ParseError(
            str(path), "entries", "have no HTML page with contents; save the HAR with content"
        )
    try:
        _unfold(hosts)
    except ValueError as error:
        raise ParseError(str(path), "entries", str(error)) from None
    ordered = {first.host: hosts.pop(first.host), **dict(sorted(hosts.items()))}
    start = first.path.removesuffix(INDEX) if first.path.endswith(f"/{INDEX}") else first.path
    return Recorded(ordered, "" if start == INDEX else start)


def _load(path: Path, most_bytes: int) -> list[Any]:
    with path.open("rb") as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ParseError(str(path), "file", f"has more than {most_bytes >> 20} MiB")
    try:
        entries = json.loads(data.decode("utf-8-sig"))["log"]["entries"]
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise ParseError(str(path), "file", f"is not a HAR: {error!r}") from None
    if not isinstance(entries, list):
        raise ParseError(str(path), "log.entries", "is not a list")
    return entries


def _files(path: Path, entries: list[Any]) -> Iterator[_File]:
    for number, entry in enumerate(entries, 1):
        try:
            found = _file(entry)
        except (LookupError, TypeError, ValueError, AttributeError, binascii.Error) as error:
            raise ParseError(str(path), f"entry {number}", f"not as in HAR 1.2: {error}") from None
        if found is not None:
            yield found


def _file(entry: Any) -> _File | None:
    """The file that an entry brought; None: it brought none."""
    request, response = entry["request"], entry["response"]
    if request["method"] != "GET" or response["status"] != 200:
        return None
    parts = urlsplit(request["url"])
    content = response.get("content", {})
    if parts.scheme not in ("http", "https") or not isinstance(content.get("text"), str):
        return None
    text = content["text"]
    encoded = content.get("encoding") == "base64"
    data = base64.b64decode(text, validate=True) if encoded else text.encode("utf-8", "replace")
    path = re.sub("/+", "/", unquote(parts.path)).lstrip("/")
    path += INDEX if not path or path.endswith("/") else ""
    host = (parts.hostname or "").lower()
    _check(host, path)
    if len(path.encode()) > _LONGEST or max(map(len, path.encode().split(b"/"))) > _LONGEST_PART:
        return None
    page = str(content.get("mimeType", "")).startswith("text/html")
    return _File(host, path, data, page)


def _check(host: str, path: str) -> None:
    """Raises ValueError: no file of that name can be served."""
    if len(host) > _LONGEST_HOST or not _HOST.fullmatch(host):
        raise ValueError(f"host {ascii(host)[:_LONGEST_PART]} is not a DNS name")
    if {"", ".", ".."}.intersection(path.split("/")) or not path.isprintable():
        raise ValueError(f"path {ascii(path)[:_LONGEST_PART]} cannot be the name of a file")


def _unfold(hosts: Mapping[str, dict[str, bytes]]) -> None:
    """What is both a file and a folder becomes the folder's index, as a server would have it.

    Raises:
        ValueError: the index is a folder itself.
    """
    for files in hosts.values():
        folders = {above for name in files for above in _above(name)}
        for name in sorted(folders & set(files)):
            index = f"{name}/{INDEX}"
            if index in folders:
                raise ValueError(f"both {name!a} and {index!a} are folders with contents")
            files.setdefault(index, files[name])
            del files[name]


def _above(name: str) -> Iterator[str]:
    while name := name.rpartition("/")[0]:
        yield name
