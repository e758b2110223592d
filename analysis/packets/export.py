"""Captures of any size to Parquet, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.packets.columns import BYTES, CATEGORY, COLUMNS, choose
from analysis.packets.feed import Source
from analysis.packets.reader import read_chunks
from analysis.packets.table import empty_frame
from testbed.core.errors import CaptureError
from testbed.core.files import writing

COMPRESSION = "zstd"


def schema(columns: Iterable[str] | None = None) -> pa.Schema:
    """The Arrow schema of packet columns; categories become dictionaries of text."""
    kinds = {CATEGORY: pa.dictionary(pa.int32(), pa.string()), BYTES: pa.large_binary()}
    fields = []
    for name in choose(columns):
        dtype = COLUMNS[name].dtype
        kind = kinds.get(dtype) or pa.type_for_alias(
            "bool" if dtype == "boolean" else dtype.lower()
        )
        fields.append(pa.field(name, kind))
    return pa.schema(fields)


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """A packet DataFrame as an Arrow table of the one schema."""
    wanted = schema(str(name) for name in frame)
    loose = pa.Table.from_pandas(frame, preserve_index=False)
    return loose.cast(wanted.with_metadata(loose.schema.metadata))


def in_hexadecimal(frame: pd.DataFrame) -> pd.DataFrame:
    """The packets with their bytes as hexadecimal text; missing bytes stay missing."""
    of_bytes = [name for name in map(str, frame) if COLUMNS[name].dtype == BYTES]
    return frame.assign(**{name: _hexadecimal(frame[name]) for name in of_bytes})


def _hexadecimal(values: pd.Series[Any]) -> pd.Series[Any]:
    texts = [octets.hex() if isinstance(octets, bytes) else None for octets in values]
    return pd.Series(texts, values.index, dtype=object)


def _hexadecimal_arrow(frame: pd.DataFrame) -> pa.Table:
    table, texts = to_arrow(frame), in_hexadecimal(frame)
    for place, name in enumerate(table.column_names):
        if COLUMNS[name].dtype == BYTES:
            column = pa.array(texts[name], pa.large_string(), from_pandas=True)
            table = table.set_column(place, name, column)
    about = pa.Schema.from_pandas(texts, preserve_index=False).metadata  # types in pandas
    return table.replace_schema_metadata(about)


def to_parquet(
    source: Source,
    target: str | Path,
    columns: Iterable[str] | None = None,
    *,
    chunk_packets: int = 500_000,
    hexadecimal: bool = False,
) -> int:
    """Converts a capture, one row group a chunk; `pandas.read_parquet` restores the types.

    Args:
        source: as in `read`.
        target: the Parquet file; replaced, unless the capture has no packet that can be read.
        columns: as in `read`.
        chunk_packets: packets in memory at once.
        hexadecimal: write bytes as hexadecimal text.

    Returns:
        the number of packets.

    Raises:
        OutputError: the target cannot be written; nothing of it is left.
        CaptureError: the capture is damaged; the packets before are in the file.
    """
    wanted = choose(columns)
    shown = _hexadecimal_arrow if hexadecimal else to_arrow
    empty = empty_frame(wanted)
    metadata = shown(empty).schema
    chunks = read_chunks(source, wanted, chunk_packets=chunk_packets)
    first = next(chunks, empty)  # before the target is touched: the source may be no capture
    count, damage = 0, None
    with (
        writing(Path(target)) as file,
        pq.ParquetWriter(file, metadata, compression=COMPRESSION) as writer,
    ):
        try:
            for chunk in chain([first], chunks):
                writer.write_table(shown(chunk).cast(metadata))
                count += len(chunk)
        except CaptureError as error:  # raised once the file with what came before is complete
            damage = error
    if damage:
        raise damage
    return count
