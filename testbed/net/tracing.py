"""Kernel events into the run directory, as the kernel's own binary pages.

Nothing runs while events are recorded: the ring buffer is read once at the end. The formats of the
events are stored next to the pages, so `analysis.ftrace` needs no kernel to read them.
"""

from __future__ import annotations

import os
from pathlib import Path

from testbed.core.errors import ConfigError, nearest
from testbed.core.rundir import write_json
from testbed.net.owned import TRACEFS, new_tracing_instance

_PAGE_BYTES = 4096


class Tracer:
    """A private tracing instance of the kernel; gone when closed."""

    def __init__(self, instance: Path, folder: Path, events: dict[str, Path]) -> None:
        self._instance, self._folder, self._events = instance, folder, events

    @classmethod
    def start(cls, folder: Path, events: tuple[str, ...], buffer_mb: int) -> Tracer | None:
        """Records `events` from now on; None where the kernel cannot trace.

        Raises:
            ConfigError: the kernel knows no such event.
        """
        if not (TRACEFS / "events").is_dir():
            return None
        known = {path.name: path for path in (TRACEFS / "events").glob("*/*") if path.is_dir()}
        for event in events:
            if event not in known:
                raise ConfigError(f"kernel event '{event}': unknown{nearest(event, known)}")
        folder.mkdir(exist_ok=True)
        instance = new_tracing_instance()
        tracer = cls(instance, folder, {event: known[event] for event in events})
        tracer._begin(buffer_mb)
        return tracer

    def _begin(self, buffer_mb: int) -> None:
        # every CPU has its own buffer; a guest has one CPU
        self._set("buffer_size_kb", str(buffer_mb * 1024 // (os.cpu_count() or 1)))
        self._set("trace_clock", "mono")
        self._set("options/overwrite", "0")
        for path in self._events.values():
            self._set(f"events/{path.parent.name}/{path.name}/enable", "1")

    def close(self) -> None:
        """Stops recording, writes pages, formats and losses, and removes the instance."""
        self._set("tracing_on", "0")
        try:
            lost = sum(self._save_cpu(cpu) for cpu in sorted(self._instance.glob("per_cpu/cpu*")))
            for event, path in self._events.items():
                (self._folder / f"{event}.format").write_text((path / "format").read_text())
            header = (TRACEFS / "events" / "header_page").read_text()
            (self._folder / "header_page").write_text(header)
            write_json(
                self._folder / "trace.json",
                {"events": list(self._events), "clock": "mono", "lost": lost},
            )
        finally:
            self._instance.rmdir()

    def _save_cpu(self, cpu: Path) -> int:
        """Writes one CPU's pages; returns the number of events its buffer lost."""
        source = os.open(cpu / "trace_pipe_raw", os.O_RDONLY | os.O_NONBLOCK)
        try:
            with (self._folder / f"{cpu.name}.raw").open("wb") as out:
                while page := _read_page(source):
                    out.write(page)
        finally:
            os.close(source)
        stats = dict(line.split(":", 1) for line in (cpu / "stats").read_text().splitlines())
        return int(stats["dropped events"]) + int(stats["overrun"])

    def _set(self, name: str, value: str) -> None:
        (self._instance / name).write_text(value)


def _read_page(source: int) -> bytes:
    try:
        return os.read(source, _PAGE_BYTES)
    except BlockingIOError:
        return b""
