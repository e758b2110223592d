"""How programs in nodes report: one JSON object per line, with the time."""

import json
import time


def tell(**row: object) -> None:
    """Prints one line at once; ``time_ns`` is now, unless `row` has it."""
    line = json.dumps({"time_ns": time.time_ns(), **row}, ensure_ascii=False)
    print(line, flush=True)  # noqa: T201 (its output)
