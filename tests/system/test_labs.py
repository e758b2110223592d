"""Every lab of the project on itself: solutions earn all points, mutants lose what they must."""

import base64
import re
from pathlib import Path

import pytest

from testbed.grading import export, library, pages, secrecy, trial
from testbed.grading.accept import Handed
from testbed.grading.grade import Task, grade, grading_runtime

pytestmark = pytest.mark.guest

LABS = library.names()

P256_BYTES = 138
"""Of a private key in PKCS #8 whose number is in bytes 36 to 67; the public key follows."""

COURSE_SECRET = b"the secret of a course"
SAID = {
    "rip": {"plain_split_horizon": r"r3\.conf: line \d+: FRR: No such command: '.*poisened"},
    "https": {
        "misspelt": r'site\.conf: line 3: nginx: unknown directive "ssl_session_cach"',
        "unknown_cipher": r"site\.conf: line 2: nginx: .*no cipher match",
        "wrong_key": r"site\.conf: line \d+: nginx: .*key values mismatch",
        "damaged": r'site\.conf: line \d+: nginx: cannot load certificate "/out/tls/second.pem"',
    },
}
"""What a student must learn about mutants' mistakes, in addition to the points they cost."""


@pytest.mark.parametrize("name", LABS)
def test_a_lab_earns_and_loses_what_it_must(name, guest_kernel, tmp_path):
    lab = library.open_lab(name)
    found = trial.run(lab, trial.names(lab), ["ada"], tmp_path)
    assert {t.name: t.wrong for t in found if t.wrong} == {}
    for mutant, words in SAID.get(name, {}).items():
        problems = next(t.result.problems for t in found if t.name == mutant)
        assert any(re.match(words, problem) for problem in problems), problems


@pytest.mark.parametrize("name", LABS)
def test_what_students_get_holds_no_secret(name, guest_kernel, tmp_path, monkeypatch):
    """Bundle, feedback and the run that is kept, compared with the keys that the run had."""
    lab, secrets, remove = library.open_lab(name), {COURSE_SECRET}, secrecy.remove
    params = lab.variant("ada", COURSE_SECRET)

    def noting(scenario, patterns):
        secrets.update(secrets_in(scenario))
        remove(scenario, patterns)
        assert not [path for pattern in patterns for path in scenario.glob(pattern)]

    monkeypatch.setattr(secrecy, "remove", noting)
    handed = Handed(lab.solution(params, "ada"))
    task = Task(lab, "ada", params, handed, tmp_path / "ada")
    pages.write_student(lab, grade(task, grading_runtime(lab)), params, task.folder)
    kept = {str(p): p.read_bytes() for p in task.folder.rglob("*") if p.is_file()}
    everything = kept | export.bundle(lab, "ada", COURSE_SECRET)
    assert [n for n, data in everything.items() if any(s in data for s in secrets)] == []
    if (task.folder / "run/scenarios/main/certificates").is_dir():
        assert len(secrets) > 20  # otherwise nothing was looked for


def secrets_in(scenario: Path) -> set[bytes]:
    """Private keys and secrets of TLS, in the forms in which a file could repeat them."""
    found = set()
    for log in scenario.glob("keys/*.log"):
        found |= {word for line in log.read_bytes().splitlines() for word in line.split()[2:3]}
    found |= {bytes.fromhex(secret.decode()) for secret in found}
    for path in (p for p in scenario.rglob("*") if p.is_file()):
        for pem in re.findall(rb"PRIVATE KEY-----\n(.*?)\n-----END", path.read_bytes(), re.DOTALL):
            lines = pem.splitlines()
            raw = base64.b64decode(b"".join(lines))
            found |= {*lines, raw, raw[36:68] if len(raw) == P256_BYTES else raw}
    return {secret for secret in found if len(secret) >= 16}
