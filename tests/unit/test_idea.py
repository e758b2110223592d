"""A wrong idea as a mutant: the difference between a solution and changed files."""

from contextlib import suppress
from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from testbed.core.errors import ConfigError
from testbed.grading import idea, library
from testbed.grading.manifest import Mutant
from testbed.grading.result import CheckResult, Mark, Result

SECRET = b"0123456789abcdef"
MUTANTS = [
    (lab, name)
    for lab in ("rip", "subnetting", "office")
    for name, mutant in library.open_lab(lab).manifest.mutants.items()
    if mutant.edits or mutant.without
]


def test_a_mutants_files_become_that_mutant_again():
    """In the variant it was made with, always; in another one, mostly."""
    fits = 0
    for lab, name in MUTANTS:
        found = library.open_lab(lab)
        params, other = found.variant("ada", SECRET), found.variant("bob", SECRET)
        files = found.mutant(name, params, "ada")
        made = idea.mutant_of(found, params, "ada", files, "an idea")
        manifest = found.manifest.model_copy(update={"mutants": {"again": made}})
        again = replace(found, manifest=manifest)
        assert again.mutant("again", params, "ada") == files
        with suppress(ConfigError):  # the command says so, and which value it is about
            fits += again.mutant("again", other, "bob") == found.mutant(name, other, "bob")
    assert fits > len(MUTANTS) / 2


def test_the_solution_itself_is_no_idea():
    found = library.open_lab("rip")
    params = found.variant("ada", SECRET)
    with pytest.raises(ConfigError, match="change one of them first"):
        idea.mutant_of(found, params, "ada", found.solution(params, "ada"), "")


def test_what_is_printed_is_what_a_manifest_takes():
    def check(name, mark, points):
        return CheckResult(name, "", "", "", False, mark, points, 5, "", "")

    marks = [("a", Mark.PASS, 5), ("b", Mark.PARTIAL, 2.5), ("c", Mark.INCONCLUSIVE, 0)]
    lost = idea.losses(Result("x", "X", "s", "k", checks=tuple(check(*m) for m in marks)))
    assert lost == {"b": 2.5}
    edits = [{"file": "r1.conf", "find": "a: {{ x }}\n  b\n", "put": ""}]
    made = Mutant(what="an idea: with a colon", loses=lost, edits=edits)
    read = YAML(typ="safe").load("mutants:\n" + idea.as_yaml("mine", made))
    assert Mutant.model_validate(read["mutants"]["mine"]) == made
