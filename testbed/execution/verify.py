"""Re-runs a run from its recorded inputs, and compares the two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from testbed.author import experiment_folder
from testbed.author.experiment import experiment_files
from testbed.core.errors import ConfigError, nearest, with_reason
from testbed.core.fingerprint import fingerprint
from testbed.core.project import PROJECT
from testbed.core.rundir import RunDir
from testbed.execution.provenance import files_that_differ, sources_hash, tool_versions
from testbed.execution.runner import Request, Watcher, run
from testbed.machine import kernel as kernels
from testbed.machine.image import choice
from testbed.machine.image.store import Image
from testbed.results.compare import Difference, bytes_that_differ, numbers_that_differ

OWN_FILES = "the recorded run's own files"
"""Where a run differs that somebody edited."""

_HOSTS = "none: the host's programs"


@dataclass(frozen=True)
class Comparison:
    """What verifying a run found.

    Attributes:
        versions: programs, libraries, kernel and sources that are not the run's.
        differences: what differs in the run itself, causes before effects.
        again: the new run.
    """

    versions: list[Difference]
    differences: list[Difference]
    again: RunDir

    @property
    def same(self) -> bool:
        """True if the run came out as recorded, whatever versions made it."""
        return not self.differences


def request_of(recorded: RunDir, target: Path, image: str = "") -> Request:
    """The inputs of a run, to re-run it under `target`.

    Args:
        recorded: the run.
        target: where runs go.
        image: an image instead of the run's, as for `choice.choose`; empty: the same.

    Raises:
        ConfigError: the run never finished.
    """
    meta = recorded.meta()
    if meta["status"] != "complete":
        ended = with_reason(meta["status"], meta["reason"])
        raise ConfigError(f"{recorded.path}: is {ended}; run it again")
    name = meta["experiment"]
    return Request(
        experiment=name if name in experiment_files() else str(_own_copy(recorded)),
        parameters=meta["parameters"],
        seed=meta["seed"],
        perturb_percent=meta.get("perturb_percent", 0.0),
        runtime=meta["runtime"],
        clock=meta["clock"],
        out=target,
        only=tuple(meta["scenarios"]),
        image=image or _image_id(meta),
    )


def _image_id(meta: Mapping[str, Any]) -> str:
    return str((meta.get("image") or {"id": choice.NONE})["id"])


def _image_now(recorded: RunDir, asked: str) -> Image | None:
    """What to re-run from: its own image, or the requested one.

    Raises:
        ConfigError: it is not available.
    """
    own = _image_id(recorded.meta())
    try:
        return choice.choose(asked or own)[0]
    except ConfigError as error:
        if asked:
            raise
        reason = f"made from image {own}, which is not here: testbed image import FILE"
        raise ConfigError(
            f"{recorded.path}: {reason}, or --image NAME to compare with another ({error})"
        ) from None


def _own_copy(recorded: RunDir) -> Path:
    name = recorded.meta()["experiment"]
    if not (copies := experiment_folder.copies(recorded)):
        known = nearest(name, experiment_files())
        raise ConfigError(f"{recorded.path}: experiment '{name}' cannot be found{known}")
    return copies[0]


def versions_that_differ(recorded: RunDir, asked: str = "") -> Iterator[Difference]:
    """What made the run and has changed since, or is gone: the likeliest cause first.

    Known before anything runs, so that it can be reported first. Packages and files are those that
    the run itself used.
    """
    meta = recorded.meta()
    image = _image_now(recorded, asked)
    own, other = _image_id(meta), image.id if image else choice.NONE
    if own != other:
        yield Difference("image", *(n if n != choice.NONE else _HOSTS for n in (own, other)))
    found = image.kernel if image else kernels.find()
    built = found if meta["runtime"] == "guest" else None
    if built and built.sha256 != meta["kernel"]["sha256"]:
        then_kernel = f"{meta['kernel']['version']} {meta['kernel']['sha256'][:12]}"
        yield Difference("guest kernel", then_kernel, f"{built.version} {built.sha256[:12]}")
    now = tool_versions(image)
    for name, then in meta["tools"].items():
        if now.get(name) != then:
            yield Difference(f"package {name}", then, now.get(name, "missing"))
    if own == other == choice.NONE:
        for path, then, today in files_that_differ(meta.get("files", {})):
            yield Difference(f"file {path}", f"sha256 {then}", f"sha256 {today}")
    if "sources" in meta and meta["sources"] != (today := sources_hash()):
        yield Difference("testbed's sources", meta["sources"][:12], today[:12])
    yield from _experiment_file(recorded)


def _experiment_file(recorded: RunDir) -> Iterator[Difference]:
    name = recorded.meta()["experiment"]
    if name not in experiment_files():
        return
    copy, today = _own_copy(recorded), experiment_files()[name]
    then, now = experiment_folder.code(copy), experiment_folder.code(today)
    for file in sorted(file for file in {*then, *now} if then.get(file) != now.get(file)):
        where = (copy / file).relative_to(recorded.path)
        place = (today / file).relative_to(PROJECT)
        yield Difference(str(place), f"as in {where}", "edited since")


def tampered(recorded: RunDir) -> Iterator[Difference]:
    """A run with files that changed since its fingerprint was computed."""
    noted = recorded.meta().get("fingerprint")
    if noted and noted != (now := fingerprint(recorded)):
        yield Difference(OWN_FILES, f"fingerprint {noted[:16]}", f"fingerprint {now[:16]}")


def verify(
    recorded: RunDir,
    target: Path,
    watcher: Watcher | None = None,
    wall_limit_s: float = 600.0,
    image: str = "",
) -> Comparison:
    """Runs again under `target` and compares."""
    request = replace(request_of(recorded, target, image), wall_limit_s=wall_limit_s)
    versions = list(versions_that_differ(recorded, image))
    differences = list(tampered(recorded))
    again = run(request, watcher).run
    if again.meta()["clock"] != recorded.meta()["clock"]:
        differences.append(Difference("clock", recorded.meta()["clock"], again.meta()["clock"]))
    virtual = recorded.meta()["clock"] == again.meta()["clock"] == "virtual"
    compare = bytes_that_differ if virtual else numbers_that_differ
    found = compare(recorded, again)
    if versions:  # the report tells the versions, so it must differ; the rest need not
        found = (d for d in found if not d.where.startswith("report.html"))
    return Comparison(versions, [*differences, *found], again)
