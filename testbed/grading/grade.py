"""Grades one submission: accepted files → guests → tables → verdicts → points.

Whatever a submission does, it affects only that student's result. Failures of its own FAIL the
checks concerned; failures of the grader are INCONCLUSIVE.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.core import parameters
from testbed.core.claims import MissingDataError
from testbed.core.errors import (
    ConfigError,
    MissingPrerequisiteError,
    RunIncompleteError,
    TestbedError,
)
from testbed.core.files import copy_tree
from testbed.core.project import PROJECT
from testbed.core.rundir import OUTCOME, SCENARIO, read_json, write_json
from testbed.core.tables import Tables, combined
from testbed.execution import required
from testbed.execution.provenance import sources_hash, tool_versions
from testbed.execution.runtime import Outcome, Runtime, choose, image_of
from testbed.execution.runtime.limits import Limits
from testbed.grading import (
    accept,
    graph_schema,
    kept_run,
    questions,
    sandbox,
    secrecy,
    student_diagnostics,
)
from testbed.grading.accept import Accepted, Handed
from testbed.grading.assignment import Assignment
from testbed.grading.checks import End, check_of, followed, grader_failure
from testbed.grading.library import LabFolder
from testbed.grading.result import FORMAT, Result
from testbed.grading.submission import FOLDER, HANDED, Submission, SubmissionError
from testbed.results.data import ScenarioData

if TYPE_CHECKING:
    import pandas as pd

SEED = 1
RESULT = "result.json"
RUN = "run"
"""Folder of a student's networks, laid out as a run directory."""

_WALL_PER_CPU, _LEAST_WALL_S = 60.0, 600.0
"""Wall time allowed per second of processor time, and the minimum: the machine may be
busy. The limit ends a guest that hangs idle, which counts as the grader's fault."""

_OVERRUN = {
    "cpu_limit": "it exceeded its processor time ({limits.cpu_s:g} s): an endless loop?",
    "disk_limit": "it wrote more than {limits.disk_mb} MiB (files, logs and traffic)",
    "out_of_memory": "it needed more memory than allowed ({limits.memory_mb} MiB)",
}
"""Ways in which a submission ends its run, the same on every machine."""

ENDED = "the submission was ended: "
"""Beginning of the reason that checks get then."""


@dataclass(frozen=True)
class Task:
    """What to grade.

    Attributes:
        lab: the lab.
        student: the student's ID.
        params: their variant.
        handed: what was read from the submission.
        folder: where the student's results go; emptied first.
    """

    lab: LabFolder
    student: str
    params: Mapping[str, Any]
    handed: Handed
    folder: Path

    def key(self, versions: str) -> str:
        """SHA-256 over everything the result depends on; `versions` as `versions_hash` gave it."""
        files = {n: hashlib.sha256(d).hexdigest() for n, d in sorted(self.handed.files.items())}
        about = {
            "format": FORMAT,
            "lab": self.lab.source_hash(),
            "student": self.student,
            "variant": self.params,
            "files": files,
            "problems": self.handed.problems,
            "versions": versions,
            "questions": questions.asked(self.lab, self.params),
        }
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def grading_runtime(lab: LabFolder) -> Runtime:
    """The runtime for grading a lab: a guest with the virtual clock, nothing else.

    Raises:
        MissingPrerequisiteError: no such guest is available, or the lab needs programs or an extra
            set of packages that are not installed.
        ConfigError: the project is where submissions can see it.
    """
    runtime = choose("guest")
    if runtime.clock != "virtual":
        raise MissingPrerequisiteError(
            "the testbed's own guest kernel", "make setup", "grading must not depend on load"
        )
    refuse_if_shown(PROJECT)
    required.check(lab.full, lab.full.programs, image_of(runtime))
    return runtime


def refuse_if_shown(*private: Path) -> None:
    """Raises ConfigError if a lab, a secret, submissions or results are visible to submissions."""
    tops = sandbox.shown_of_host()
    for path in map(Path.resolve, private):
        if top := next((t for t in tops if path.is_relative_to(t)), None):
            raise ConfigError(
                f"{path}: submissions can read {top} (the system's programs), so they could read "
                "this, too; move it (to a home directory or /opt)"
            )


def versions_hash(runtime: Runtime) -> str:
    """SHA-256 over what grades: kernel, programs, libraries, our own sources."""
    about = {
        "kernel": runtime.kernel["sha256"],
        "sources": sources_hash(),
        **tool_versions(image_of(runtime)),
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def earlier(folder: Path, key: str) -> Result | None:
    """The result of an earlier grading if it is still valid and needs no regrading."""
    try:
        result = Result.from_dict(read_json(folder / RESULT))
    except (TestbedError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return result if result.key == key and result.conclusive else None


def grade(
    task: Task,
    runtime: Runtime,
    *,
    versions: str = "",
    workers: int = 1,
) -> Result:
    """Grades a submission again; writes ``result.json`` last.

    Args:
        task: what to grade.
        runtime: where its networks live.
        versions: from `versions_hash`; without it, neither result nor run is reused later.
        workers: number of parallel networks.
    """
    shutil.rmtree(task.folder, ignore_errors=True)
    task.folder.mkdir(parents=True)
    accepted = accepted_of(task)
    own = len(accepted.problems)
    job = _Job(task, runtime, accepted)
    evaluated = job.evaluate_topologies()
    accepted.write(task.folder, **evaluated)
    ended = job.run(workers)
    ends, tables = job.measured(ended)
    scenarios = task.folder / RUN / "scenarios"
    removed = [
        secrecy.remove(folder, task.lab.full.secret_files) for folder in sorted(scenarios.glob("*"))
    ]
    accepted.problems += student_diagnostics.refused(scenarios, task.handed.files)
    accepted.problems += student_diagnostics.services_said(scenarios)
    accepted.problems += student_diagnostics.raised(scenarios, accepted.kinds)
    sites = {n: d for n, d in accepted.files.items() if accepted.kinds.get(n) == "nginx"}
    accepted.problems += student_diagnostics.nginx_said(scenarios, sites)
    if versions and not any(removed) and not evaluated["unevaluated"]:
        used = kept_run.key(task.lab, task.params, accepted, versions)
        kept_run.write(task.folder, task.folder / RUN, used, ended, accepted.problems[own:])
    return _judged(job, ends, tables, versions)


def judge_again(task: Task, runtime: Runtime, versions: str) -> Result | None:
    """The result from the run of an earlier grading; None if another run is needed.

    Args:
        task: what to grade.
        runtime: where its networks would live.
        versions: from `versions_hash`.
    """
    accepted = accepted_of(task)
    used = kept_run.key(task.lab, task.params, accepted, versions)
    kept = kept_run.read(task.folder, task.folder / RUN, used)
    job = _Job(task, runtime, accepted)
    if kept is None or set(kept.ends) != set(job.experiment().scenarios()):
        return None
    accepted.problems += kept.said
    result = _judged(job, *job.measured(kept.ends), versions)
    return result if result.conclusive else None  # the run itself may lack something


def _judged(job: _Job, ends: Mapping[str, End], tables: Tables, versions: str) -> Result:
    """Judges all checks of a run and writes the result."""
    task, experiment = job.task, job.experiment()
    judged = [
        check_of(task.lab, experiment, claim, ends, tables)
        for claim in task.lab.full.claims()
        if claim.name in task.lab.manifest.checks
    ]
    result = Result(
        task.lab.name,
        task.lab.manifest.title,
        task.student,
        task.key(versions),
        tuple(job.accepted.problems),
        kept_run.fingerprint(task.folder / RUN),
        followed(judged, task.lab.manifest),
    )
    write_json(task.folder / RESULT, result.as_dict())
    return result


def accepted_of(task: Task) -> Accepted:
    """The usable part of a submission, with a line on each answer that was not asked for."""
    accepted = accept.accept(task.handed, task.lab.manifest)
    asked = questions.asked(task.lab, task.params)
    accepted.problems += questions.strange(task.lab.manifest, accepted.answers, asked)
    if accepted.answers:
        accepted.problems += questions.malformed(task.lab.manifest, accepted.answers)
    return accepted


@dataclass(frozen=True)
class _Job:
    """One submission's networks."""

    task: Task
    runtime: Runtime
    accepted: Accepted
    stop: threading.Event = field(default_factory=threading.Event)

    def experiment(self, params: Any = None) -> Assignment:
        """The lab with the variant (or a scenario's parameters) and the submission."""
        lab = self.task.lab.instance(self.task.params)
        experiment = lab if params is None else type(lab)(params)
        experiment.submission = Submission(self.task.folder / FOLDER)
        return experiment

    def evaluate_topologies(self) -> dict[str, dict[str, Any]]:
        """``topologies``: files as data; ``unevaluated``: file → why not."""
        names = [n for n, kind in self.accepted.kinds.items() if kind == "topology"]
        found: dict[str, Any] = {}
        unknown: dict[str, str] = {}
        for name in names:
            folder = self.task.folder / "topologies" / name
            one = {name: self.accepted.files[name]}
            replace(self.accepted, files=one).write(folder)
            end = self._end(folder, self._guest(folder, "testbed.grading.evaluate"))
            if end.fault == "grader":
                unknown[name] = f"{name}: {end.reason}"
                continue
            try:
                if end.fault:
                    raise SubmissionError(end.reason)
                found[name] = graph_schema.read(folder)
            except SubmissionError as error:
                self.accepted.problems.append(f"{name}: {error}")
        return {"topologies": found, "unevaluated": unknown}

    def run(self, workers: int) -> dict[str, End]:
        """Runs all scenarios."""
        scenarios = dict(self.experiment().scenarios())
        with ThreadPoolExecutor(workers) as pool:
            futures = {n: pool.submit(self._scenario, n, p) for n, p in scenarios.items()}
            try:
                return {name: future.result() for name, future in futures.items()}
            except BaseException:
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def measured(self, ended: Mapping[str, End]) -> tuple[dict[str, End], Tables]:
        """Measures the scenarios that finished."""
        scenarios = dict(self.experiment().scenarios())
        parts: dict[str, dict[str, pd.DataFrame]] = {}
        ends = dict(ended)
        for name, end in ended.items():
            if not end.fault:
                ends[name], parts[name] = self._measure(name, scenarios[name])
        return ends, self.task.lab.full.tables_type(combined(parts, keep_empty=True))

    def _folder(self, name: str) -> Path:
        return self.task.folder / RUN / "scenarios" / name

    def _scenario(self, name: str, params: Any) -> End:
        try:
            experiment = self.experiment(params)
            _ = experiment.topo  # a student's topology that is wrong shows here
            folder = self._prepare(name, experiment)
        except SubmissionError as error:
            return End("submission", str(error))
        except MissingDataError as missing:
            return End("grader", str(missing))
        outcome = self._guest(folder, "testbed.grading.inside")
        shutil.rmtree(folder / "lab")  # hidden checks stay out of what students can see
        scenario = dict(read_json(folder / SCENARIO))
        public = self.task.lab.public_parameters(scenario["parameters"])
        write_json(folder / SCENARIO, {**scenario, "parameters": public})
        return self._end(folder, outcome)

    def _prepare(self, name: str, experiment: Assignment) -> Path:
        """A scenario's folder with everything that its guest may see."""
        folder, lab = self._folder(name), self.task.lab
        folder.mkdir(parents=True)
        copy_tree(self.task.folder / FOLDER, folder / FOLDER)
        shutil.copyfile(self.task.folder / HANDED, folder / HANDED)
        modules = folder / "lab" / lab.name
        modules.mkdir(parents=True)
        for file, data in lab.sources.items():
            if file.endswith(".py"):
                (modules / file).write_bytes(data)
        for file, text in experiment.inputs().items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text, encoding="utf-8")
        scenario = {
            "experiment": lab.name,
            "file": f"lab/{lab.name}",
            "scenario": name,
            "parameters": asdict(experiment.params),
            "seed": SEED,
            "runtime": self.runtime.name,
            "clock": self.runtime.clock,
        }
        write_json(folder / SCENARIO, scenario)
        return folder

    def _guest(self, folder: Path, module: str) -> Outcome:
        limits = self.task.lab.manifest.limits
        return self.runtime.run(
            folder,
            seed=SEED,
            memory_mb=limits.memory_mb,
            module=module,
            stop=self.stop,
            wall_limit_s=max(_LEAST_WALL_S, _WALL_PER_CPU * limits.cpu_s),
            limits=Limits(limits.cpu_s, limits.disk_mb),
        )

    def _end(self, folder: Path, outcome: Outcome) -> End:
        if outcome.status in _OVERRUN:
            words = _OVERRUN[outcome.status].format(limits=self.task.lab.manifest.limits)
            return End("submission", f"{ENDED}{words}")
        inside = read_json(folder / OUTCOME) if (folder / OUTCOME).is_file() else {}
        if inside.get("error") == SubmissionError.__name__:
            return End("submission", str(inside["reason"]))
        if outcome.status == "interrupted":
            raise RunIncompleteError("interrupted")
        if outcome.ok:
            return End()
        return End(
            "grader",
            f"the network did not finish ({outcome.status}):"
            f" {inside.get('reason') or outcome.reason}",
        )

    def _measure(self, name: str, params: Any) -> tuple[End, dict[str, pd.DataFrame]]:
        try:
            data = ScenarioData(name, self._folder(name), params)
            return End(), self.experiment(params).measure(data)
        except SubmissionError as error:
            return End("submission", str(error)), {}
        except MissingDataError as missing:
            return End("grader", str(missing)), {}
        except Exception as error:  # noqa: BLE001 (a lab's code on a hostile run)
            return End("grader", grader_failure("measuring", error)), {}


def parameters_text(params: Mapping[str, Any], lab: LabFolder) -> list[tuple[str, str]]:
    """A variant in words, as students know it: (what, value with unit)."""
    return [
        (p.spec.help, f"{params[p.name]} {p.spec.unit}".strip())
        for p in parameters.parameters_of(lab.public.Parameters)
    ]
