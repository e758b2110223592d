"""Visits pages as a browser does that keeps responses: CacheControl on requests, of Debian.

    caching_client.py FILE

FILE holds a JSON list of visits by HTTP: ``{"step": name, "url": url}`` and, where needed,
``headers`` and ``wait_s`` to wait first. Redirects are followed. One JSON object per line says when
a visit began, and what came of it; `cached` says that the last response came from the client's own
memory.
"""

import json
import sys
import time
from pathlib import Path

# requests 2.32 loads the system's certificates at once, and fails where there are none; without
# this module it speaks only HTTP, and does not ask for them
sys.modules["ssl"] = None  # type: ignore[assignment]

import requests  # noqa: E402
from cachecontrol import CacheControl  # noqa: E402

_LIMIT_S = 20.0
_PAUSE_S = 0.5


def main(arguments: list[str]) -> None:
    """Does all visits of the file, one after another, with one memory."""
    session = CacheControl(requests.Session())
    session.trust_env = False  # no proxies or passwords of the environment
    for visit in json.loads(Path(arguments[0]).read_text(encoding="utf-8")):
        time.sleep(visit.get("wait_s", _PAUSE_S))
        tell(step=visit["step"])
        try:
            found = session.get(visit["url"], headers=visit.get("headers"), timeout=_LIMIT_S)
        except requests.RequestException as error:  # the next visit still comes
            tell(error=type(error).__name__)
        else:
            tell(status=found.status_code, cached=found.from_cache, text=found.text[:200])


def tell(**row: object) -> None:
    """One line of output, at once."""
    print(json.dumps({"time_ns": time.time_ns(), **row}), flush=True)  # noqa: T201 (its output)


if __name__ == "__main__":
    main(sys.argv[1:])
