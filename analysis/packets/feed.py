"""The bytes of a capture: a file mapped into memory, or a stream read piece by piece."""

from __future__ import annotations

import contextlib
import gzip
import io
import mmap
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import zstandard

from analysis.packets.window import Bytes
from testbed.errors import ConfigError

PIECE_BYTES = 32 << 20

_MADV_POPULATE_READ = 22  # Linux's number; the mmap module does not name it
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

Source = str | Path | IO[bytes]


class Feed:
    """What of a capture is in memory.

    Attributes:
        name: the source's name, for messages.
        data: the bytes at hand.
        offset: where in the (decompressed) capture `data` begins.
        ended: True if nothing follows `data`.
        total_bytes: size of the capture where known, else 0.
    """

    def __init__(self, source: Source) -> None:
        self.name = _name(source)
        self.data: Bytes = np.empty(0, np.uint8)
        self.offset, self.ended, self.total_bytes = 0, False, 0
        self._map: mmap.mmap | None = None
        self._stream: IO[bytes] = _open(source) if isinstance(source, str | Path) else source
        self._owned = isinstance(source, str | Path)
        self._decompress(source)
        if not self.ended:
            self.more(0)

    def _decompress(self, source: Source) -> None:
        head = _peek(self._stream)
        self._stream = head[1]
        if head[0][:2] == _GZIP_MAGIC:
            self._stream = cast(IO[bytes], gzip.GzipFile(fileobj=self._stream, mode="rb"))
        elif head[0][:4] == _ZSTD_MAGIC:
            unpacker = zstandard.ZstdDecompressor()
            self._stream = cast(
                IO[bytes], unpacker.stream_reader(self._stream, read_across_frames=True)
            )
        elif isinstance(source, str | Path):
            self._map_file(Path(source))

    def _map_file(self, path: Path) -> None:
        size = path.stat().st_size if path.is_file() else 0
        if size == 0:
            return
        self._map = mmap.mmap(self._stream.fileno(), 0, access=mmap.ACCESS_READ)
        self.data = np.frombuffer(self._map, np.uint8)
        self.ended, self.total_bytes = True, size

    def more(self, used: int) -> bool:
        """Drops the first `used` bytes and reads on; False if nothing follows.

        `damage` says why, where compressed data end in disorder.
        """
        if self.ended:
            return False
        pieces = [self.data[used:].tobytes()]
        self.offset += used
        want = PIECE_BYTES
        while want > 0:
            piece = self._read(want)
            if not piece:
                self.ended = True
                break
            pieces.append(piece)
            want -= len(piece)
        self.data = np.frombuffer(b"".join(pieces), np.uint8)
        return len(pieces) > 1

    def _read(self, count: int) -> bytes:
        try:
            # `read` of a damaged gzip file would keep to itself what came before the damage.
            return getattr(self._stream, "read1", self._stream.read)(count)
        except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
            self.damage = str(error)
            return b""

    damage: str = ""

    def expect(self, low: int, high: int) -> None:
        """Tells the kernel that the mapped file's bytes from `low` to `high` come next.

        Mapping all pages at once is cheaper than a fault for every few; kernels before 5.14 do
        without.
        """
        if self._map is not None:
            begin = low - low % mmap.PAGESIZE
            with contextlib.suppress(OSError):
                self._map.madvise(_MADV_POPULATE_READ, begin, high - begin)

    def forget(self, used: int) -> None:
        """Lets the kernel drop the mapped file's pages up to `used`."""
        if self._map is not None and used > mmap.PAGESIZE:
            self._map.madvise(mmap.MADV_DONTNEED, 0, used - used % mmap.PAGESIZE)

    def close(self) -> None:
        """Closes what this feed opened."""
        self.data = np.empty(0, np.uint8)
        if self._owned:
            self._stream.close()


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
