"""The schema of a student's topology as data, checked before anything is built from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from testbed.core.errors import TestbedError
from testbed.core.rundir import read_json
from testbed.grading.answers import shown
from testbed.grading.evaluate import GRAPH, REASON
from testbed.grading.submission import SubmissionError
from testbed.net.shape import LinkShape

_LARGEST_BYTES = 1 << 18

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,8}$")]
Interface = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,8}-eth\d{1,3}$")]


class _Node(BaseModel):
    model_config = ConfigDict(extra="ignore")
    name: Name
    kind: Literal["host", "router", "switch"]
    ip: Annotated[str, StringConstraints(pattern=r"^[0-9./]{7,18}$")] | None = None


class _Link(BaseModel):
    model_config = ConfigDict(extra="forbid")
    node1: Name
    node2: Name
    interface1: Interface
    interface2: Interface
    shape1: dict[str, int | float | str | bool] = {}
    shape2: dict[str, int | float | str | bool] = {}


class _Graph(BaseModel):
    model_config = ConfigDict(extra="forbid")
    nodes: list[_Node] = Field(min_length=1, max_length=64)
    links: list[_Link] = Field(max_length=128)

    @model_validator(mode="after")
    def _links_join_nodes(self) -> _Graph:
        names = [n.name for n in self.nodes]
        if len(set(names)) != len(names):
            raise ValueError("two nodes have the same name")
        for link in self.links:
            if not {link.node1, link.node2} <= set(names):
                raise ValueError(f"link {link.node1} {link.node2}: no such node")
            for shape in (link.shape1, link.shape2):
                try:
                    LinkShape(**shape)  # type: ignore[arg-type]
                except (TypeError, ValueError, TestbedError) as error:
                    raise ValueError(f"link {link.node1} {link.node2}: {error}") from None
        return self


def read(folder: Path) -> dict[str, Any]:
    """The graph that an evaluating guest, which came to its end, left in its folder.

    Raises:
        SubmissionError: there is none, or it is invalid.
    """
    if not (folder / GRAPH).is_file():
        reason = read_json(folder / REASON) if (folder / REASON).is_file() else "no output"
        raise SubmissionError(f"describes no topology: {shown(reason)}")
    if (folder / GRAPH).stat().st_size > _LARGEST_BYTES:
        raise SubmissionError("describes a topology that is too large")
    try:
        return _Graph.model_validate(read_json(folder / GRAPH)).model_dump(exclude_none=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        words = shown(first["msg"].removeprefix("Value error, "))
        raise SubmissionError(f"topology: {place}{': ' * bool(place)}{words}") from None
    except (TestbedError, RecursionError) as error:
        raise SubmissionError(f"describes no topology: {shown(error)}") from None
