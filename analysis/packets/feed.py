"""The bytes of a capture, file or stream, read piece by piece."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from analysis.packets.window import Bytes
from testbed.core.errors import ConfigError, MissingPrerequisiteError

PIECE_BYTES = 8 << 20
"""Small enough for the processor's last cache, large enough for batches of many packets."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

Source = str | Path | IO[bytes]


class Feed:
    """What of a capture is in memory: one buffer that is read into again and again.

    Reading costs no more than mapping the file (whose pages must be mapped, and unmapped), leaves
    the bytes in the processor's cache for what comes next, and bounds memory.

    Attributes:
        name: the source's name, for messages.
        data: the bytes at hand; `more` writes others over them.
        offset: where in the (decompressed) capture `data` begins.
        ended: True if nothing follows `data`.
        total_bytes: size of the capture where known, else 0.
        damage: why compressed data end in disorder, else empty.
    """

    def __init__(self, source: Source) -> None:
        self.name, self.damage = _name(source), ""
        self.offset, self.ended, self.total_bytes = 0, False, 0
        self._buffer: Bytes = np.empty(0, np.uint8)
        self.data = self._buffer
        self._owned = isinstance(source, str | Path)
        self._file: Any = _open(source) if isinstance(source, str | Path) else source
        self._stream: Any = self._file
        self._decompress(source)
        self.more(0)

    def _decompress(self, source: Source) -> None:
        head, self._stream = _peek(self._stream)
        # `readinto` of a damaged gzip file would keep to itself what came before the damage.
        self._into = self._read_once
        self._disorder: tuple[type[Exception], ...] = (EOFError, zlib.error, gzip.BadGzipFile)
        if head[:2] == _GZIP_MAGIC:
            self._stream = gzip.GzipFile(fileobj=self._stream, mode="rb")
        elif head[:4] == _ZSTD_MAGIC:
            zstandard = _zstandard(self.name)
            unpacker = zstandard.ZstdDecompressor()
            self._stream = unpacker.stream_reader(self._stream, read_across_frames=True)
            self._disorder = (zstandard.ZstdError,)
        elif isinstance(source, str | Path):
            self._into = self._stream.readinto
            path = Path(source)
            self.total_bytes = path.stat().st_size if path.is_file() else 0

    def more(self, used: int) -> bool:
        """Drops the first `used` bytes and reads on; False if nothing follows."""
        if self.ended:
            return False
        kept = len(self.data) - used
        size = max(PIECE_BYTES, 2 * kept)
        if self.total_bytes:  # no more than the file has, and one byte to see its end
            size = min(size, max(2 * kept, self.total_bytes + 1))
        buffer = self._buffer if size <= len(self._buffer) else np.empty(size, np.uint8)
        buffer[:kept] = self.data[used:]
        self._buffer, self.offset = buffer, self.offset + used
        view, filled = buffer.data, kept
        while filled < size:
            count = self._into(view[filled:size])
            if not count:
                self.ended = True
                break
            filled += count
        self.data = buffer[:filled]
        return filled > kept

    def _read_once(self, into: memoryview) -> int:
        try:
            piece: bytes = getattr(self._stream, "read1", self._stream.read)(len(into))
        except self._disorder as error:
            self.damage = str(error)
            return 0
        into[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Closes what this feed opened."""
        self.data = self._buffer = np.empty(0, np.uint8)
        if self._owned:
            self._stream.close()
            self._file.close()  # an unpacker does not close what it reads


def _name(source: Source) -> str:
    if isinstance(source, str | Path):
        return str(source)
    return str(getattr(source, "name", "stream"))


def _open(path: str | Path) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise ConfigError(f"capture {path}: {error.strerror or error}") from error


def _peek(stream: IO[bytes]) -> tuple[bytes, IO[bytes]]:
    """The first bytes of a stream, and the stream with them still in it."""
    buffered: Any = stream
    if not hasattr(stream, "peek"):
        buffered = io.BufferedReader(cast(io.RawIOBase, _Raw(stream)), 1 << 20)
    return bytes(buffered.peek(4)[:4]), cast(IO[bytes], buffered)


class _Raw(io.RawIOBase):
    """Any object with `read` as a raw stream."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _zstandard(name: str) -> Any:
    """The library for zstd, which no capture of our own needs."""
    try:
        import zstandard
    except ModuleNotFoundError:
        reason = f"{name} is compressed by zstd"
        raise MissingPrerequisiteError("Python's zstandard", "make extra-zstd", reason) from None
    return zstandard
