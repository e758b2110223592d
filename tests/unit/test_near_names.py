"""Files under almost the right name, in the wrong encoding, too deep, or packed twice."""

import time
import zipfile

import pytest

from testbed.core.project import PROJECT
from testbed.grading import accept, library

RIGHT = {"say.py": b"print(1)\n", "answers.yaml": b"port: 1\n"}


@pytest.fixture(scope="module")
def lab():
    return library.open_folder(PROJECT / "tests/labs/letter")


def handed(manifest, tmp_path, files):
    """What is read from a zip, and again from a folder: both must be the same."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
            path = tmp_path / "folder" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    first = accept.read(tmp_path / "a.zip", manifest)
    assert accept.read(tmp_path / "folder", manifest) == first
    return first


@pytest.mark.parametrize(
    "name",
    [
        "Answers.yaml",
        "answers.yml",
        "answers.yaml.txt",
        "ANSWERS.YAML.TXT",
        "answers (1).yaml",
        "answers.yaml (2)",
        "Copy of answers.yaml",
        "answers - Copy.yaml",
        "answers copy.yaml",
        " answers.yaml",
        "work/Answers.yml",
        "a/b/c/d/answers.yaml",
    ],
)
def test_a_file_with_almost_the_right_name_is_used_and_named(lab, tmp_path, name):
    found = handed(lab.manifest, tmp_path, {"say.py": b"x", name: b"port: 1\n"})
    assert found.files == {"say.py": b"x", "answers.yaml": b"port: 1\n"}
    mend = "put it in at most 3 folders" if name.startswith("a/") else "rename it to answers.yaml"
    assert found.problems == [f"answers.yaml: '{name}' was used; {mend}"]


def test_two_files_that_could_be_meant_are_only_named(lab, tmp_path):
    files = {"say.py": b"x", "Answers.yaml": b"a: 1", "answers.yml": b"a: 2"}
    found = handed(lab.manifest, tmp_path, files)
    assert found.files == {"say.py": b"x"}
    assert found.problems == [
        "answers.yaml: was not handed in; you handed in 'Answers.yaml' and 'answers.yml': "
        "the name must be answers.yaml"
    ]


def test_a_lab_may_insist_on_names(lab, tmp_path):
    strict = lab.manifest.model_copy(update={"near_names": False})
    found = handed(strict, tmp_path, {"say.py": b"x", "Answers.yaml": b"port: 1"})
    assert found.files == {"say.py": b"x"}
    assert found.problems == [
        "answers.yaml: was not handed in; you handed in 'Answers.yaml': "
        "the name must be answers.yaml"
    ]


def test_a_misspelt_name_is_named_and_never_used(lab, tmp_path):
    found = handed(lab.manifest, tmp_path, {"say.py": b"x", "anwsers.yaml": b"port: 1"})
    assert found.files == {"say.py": b"x"}
    assert "you handed in 'anwsers.yaml': the name must be answers.yaml" in found.problems[0]


def test_other_files_are_not_taken_for_misspelt_names(lab, tmp_path):
    files = {"say.py": b"x", "notes.md": b"-", "variant.json": b"{}", "lab/letter/lab.yaml": b"-"}
    assert handed(lab.manifest, tmp_path, files).problems == ["answers.yaml: was not handed in"]


def test_the_right_name_wins_over_almost_right_ones(lab, tmp_path):
    found = handed(lab.manifest, tmp_path, RIGHT | {"SAY.py": b"other"})
    assert found.files == RIGHT
    assert found.problems == []


def test_an_archive_in_the_archive_is_named(lab, tmp_path):
    found = handed(lab.manifest, tmp_path, {"work.zip": b"PK"})
    assert found.problems == [
        f"{name}: was not handed in; archives in a submission ('work.zip') are not opened"
        for name in ("say.py", "answers.yaml")
    ]


def test_a_link_with_almost_the_right_name_is_not_followed(lab, tmp_path):
    (tmp_path / "say.py").write_text("x")
    (tmp_path / "Answers.yaml").symlink_to("/etc/passwd")
    found = accept.read(tmp_path, lab.manifest)
    assert found.files == {"say.py": b"x"}


def test_what_is_larger_than_allowed_is_not_used_under_another_name(lab, tmp_path):
    found = handed(lab.manifest, tmp_path, {"say.py": b"x", "Answers.yaml": b"0" * (70 << 10)})
    assert found.files == {"say.py": b"x"}
    assert found.problems == ["answers.yaml: is larger than 64 KiB"]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (
            "port: 1\nname: café".encode("latin-1"),
            "answers.yaml: line 2, column 10: is not UTF-8 text (byte 0xe9); save it as UTF-8; "
            "it counts as not handed in",
        ),
        (
            "\ufeffa: é\nb: ".encode() + b"\xff",
            "answers.yaml: line 2, column 4: is not UTF-8 text (byte 0xff); save it as UTF-8; "
            "it counts as not handed in",
        ),
        (
            "port: 1".encode("utf-16"),
            "answers.yaml: is UTF-16 text; save it as UTF-8; it counts as not handed in",
        ),
        (b"", "answers.yaml: is empty"),
        (b" \n\n", "answers.yaml: is empty"),
        (b"port: 1\r\n", "answers.yaml: has Windows line ends, which were converted"),
        (
            "\ufeffport: 1".encode(),
            "answers.yaml: begins with a byte order mark, which was left out; "
            "save it as plain UTF-8",
        ),
    ],
)
def test_what_an_editor_did_to_a_file_is_told(lab, data, line):
    accepted = accept.accept(accept.Handed({"answers.yaml": data}), lab.manifest)
    assert accepted.problems == [line]


def test_names_made_to_be_slow_are_left_alone(lab, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(300):
            archive.writestr("a" + " " * 60_000 + f"{number}.yaml", "x")
    began = time.process_time()
    found = accept.read(tmp_path / "a.zip", lab.manifest)
    assert time.process_time() - began < 10  # it was hours
    assert found.files == {}
