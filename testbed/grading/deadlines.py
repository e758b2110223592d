"""When work is due, late days and extensions, from a file of the teacher's; pure.

due: 2026-11-20T23:59+01:00
free_days: 2              # late days that cost nothing
percent_per_day: 10       # of the points earned, for each further day that began
latest_days: 5            # what is later than this earns nothing
extensions: {ada@uni.edu: 2026-11-22T23:59+01:00}
handed_in: handins.csv    # columns student and time
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from testbed.core.errors import ConfigError, TestbedError, nearest
from testbed.core.files import read_input
from testbed.core.rundir import read_json, write_json
from testbed.grading.library import same_person
from testbed.grading.result import Result

FILE = "late.json"
"""In the folder of results: student → what lateness cost."""

_DAY = timedelta(days=1)
_TIME: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    due: AwareDatetime
    free_days: int = Field(0, ge=0, le=365)
    percent_per_day: float = Field(0.0, ge=0, le=100)
    latest_days: int | None = Field(None, ge=0, le=365)
    extensions: dict[str, AwareDatetime] = {}
    handed_in: str = ""


@dataclass(frozen=True)
class Late:
    """One student's hand-in.

    Attributes:
        handed_in: time (ISO 8601); empty if it is not known.
        days: late days that began; 0 if it was in time, or the time is not known.
        share: share of the points earned that is lost, 0 to 1.
    """

    handed_in: str = ""
    days: int = 0
    share: float = 0.0

    def lost(self, result: Result) -> float:
        """Points that are lost of a result."""
        return round(self.share * result.points, 2)


@dataclass(frozen=True)
class Deadlines:
    """A lab's deadlines, and when the class handed in.

    Attributes:
        rules: the file.
        times: student, as `same_person` has it → time.
    """

    rules: _File
    times: Mapping[str, datetime]

    def late(self, student: str) -> Late:
        """How late a student was, and what that costs."""
        who = same_person(student)
        if who not in self.times:
            return Late()
        own = {same_person(name): due for name, due in self.rules.extensions.items()}
        over = self.times[who] - own.get(who, self.rules.due)
        days = max(0, -(-over // _DAY))
        share = max(0, days - self.rules.free_days) * self.rules.percent_per_day / 100
        if self.rules.latest_days is not None and days > self.rules.latest_days:
            share = 1.0
        return Late(self.times[who].isoformat(), days, min(share, 1.0))


def read(path: Path) -> Deadlines:
    """The deadlines of a lab.

    Raises:
        ConfigError: the file, or the one with the times, is missing or wrong: names the field.
    """
    what = "--deadlines"
    try:
        tree = YAML(typ="base", pure=True).load(read_input(path, what=what).decode())
        rules = _File.model_validate(tree)
    except (YAMLError, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())
        raise ConfigError(f"{what} {path}: is not valid YAML: {words}") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        known = nearest(field, _File.model_fields) if first["type"] == "extra_forbidden" else ""
        message = f"{what} {path}: {field}: {first['msg']}{known}; a time needs its zone, such as"
        raise ConfigError(f"{message} 2026-11-20T23:59+01:00") from None
    times = _times(path.parent / rules.handed_in) if rules.handed_in else {}
    return Deadlines(rules, times)


def _times(path: Path) -> dict[str, datetime]:
    """Student → time of the last hand-in, from a CSV file."""
    try:
        text = read_input(path, most_bytes=16 << 20, what="handed_in").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    rows = csv.DictReader(io.StringIO(text))
    if not {"student", "time"} <= set(rows.fieldnames or ()):
        raise ConfigError(f"{path}:1: must have the columns student and time")
    found: dict[str, datetime] = {}
    for row in rows:
        try:
            who, time = same_person(row["student"] or ""), _TIME.validate_python(row["time"])
        except (ConfigError, ValidationError):
            raise ConfigError(
                f"{path}:{rows.line_num}: needs a student and a time with its zone, such as"
                " 2026-11-20T23:59+01:00"
            ) from None
        found[who] = max(time, found.get(who, time))
    return found


def record(folder: Path, late: Mapping[str, Late]) -> None:
    """Keeps what lateness cost with the results."""
    write_json(folder / FILE, {who: asdict(one) for who, one in late.items()})


def recorded(folder: Path) -> dict[str, Late]:
    """What lateness cost in a folder of results; empty without deadlines.

    Raises:
        ConfigError: it cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        data: Mapping[str, Any] = read_json(path)
        return {str(who): Late(**one) for who, one in data.items()}
    except (TestbedError, TypeError, AttributeError):
        raise ConfigError(f"{path}: is damaged; grade again with --deadlines") from None
