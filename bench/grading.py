"""Submissions graded per minute: solutions of labs, on one and more processors.

    python bench/grading.py [--students 12] [LAB...]

Prints, per lab and number of workers, submissions a minute of wall time, what a class of 300 takes
at that rate, and the same when the kept runs are only judged again. With one worker also the
processor time of a submission, and the memory of the largest process (the guest, or the grader).
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from testbed.execution.cluster import Cluster
from testbed.grading import classroom, library
from testbed.grading.grade import RESULT

SECRET = b"the secret of the bench"


def write_class(lab: library.LabFolder, students: int, folder: Path) -> None:
    """The solution of one variant per student."""
    for number in range(students):
        student = f"student{number:03}"
        own = folder / student
        own.mkdir(parents=True)
        for name, data in lab.solution(lab.variant(student, SECRET), student).items():
            (own / name).write_bytes(data)


def used_s() -> float:
    """Processor time of this process and of all that it waited for."""
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, both))


def measure(lab: library.LabFolder, students: int, workers: int) -> tuple[float, float, float]:
    """Wall time and processor time of grading a class, and wall time of judging it again, in s."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        write_class(lab, students, Path(scratch) / "in")
        sources = classroom.find([Path(scratch) / "in"], lab.manifest)
        out = Path(scratch) / "out"
        request = classroom.Request(lab, SECRET, sources, out, Cluster("", workers))
        began_s, cpu_s = time.perf_counter(), used_s()
        graded = classroom.grade_class(request)
        wall_s, cpu_s = time.perf_counter() - began_s, used_s() - cpu_s
        for result in out.glob(f"{classroom.STUDENTS}/*/{RESULT}"):
            result.unlink()
        began_s = time.perf_counter()
        graded += classroom.grade_class(request)
        again_s = time.perf_counter() - began_s
    wrong = [g.result.student for g in graded if g.result.points < g.result.of]
    if wrong:
        sys.exit(f"{lab.name}: solutions without all points: {', '.join(wrong)}")
    if any(g.ran for g in graded[students:]):
        print(f"{lab.name}: has secrets, so its runs are made again", file=sys.stderr)
    return wall_s, cpu_s, again_s


def largest_mib() -> float:
    """Memory of the largest process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    """Measures the labs named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labs", nargs="*", default=library.names())
    parser.add_argument("--students", type=int, default=12)
    given = parser.parse_args()
    students = given.students
    cores = len(os.sched_getaffinity(0))
    print(f"{students} students, {cores} processors")
    print("lab           workers  a minute  300 students  judged again  s each  largest")
    for name in given.labs:
        lab = library.open_lab(name)
        for workers in dict.fromkeys((1, max(1, cores // 2), cores)):
            wall_s, cpu_s, again_s = measure(lab, students, workers)
            rate = 60 * students / wall_s
            alone = workers == 1  # else it is the workers' time
            each = f"{cpu_s / students:6.2f} {largest_mib():4.0f} MiB" if alone else ""
            class_min, again_min = 300 / rate, 300 / 60 * again_s / students
            row = f"{rate:9.1f} {class_min:9.0f} min {again_min:9.1f} min  {each}"
            print(f"{name:13} {workers:7} {row}", flush=True)


if __name__ == "__main__":
    main()
