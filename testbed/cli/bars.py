"""Progress bars: shown on a terminal only, and gone at the end."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress


class WithBar:
    """A view whose bar is shown from the beginning of a `with` block to its end."""

    _console: Console
    _bar: Progress

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:  # if it never started it would leave an empty line
            self._bar.stop()
