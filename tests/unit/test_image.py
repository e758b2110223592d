"""Images: one file and back, what is refused, what is held, which one is taken."""

import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from testbed.author import experiment_folder
from testbed.author.experiment import load
from testbed.cli.image import export_kernel, import_kernel
from testbed.cli.image import image as command
from testbed.core.errors import (
    ConfigError,
    ExitCode,
    MissingPrerequisiteError,
    OutputError,
    ParseError,
    TestbedError,
)
from testbed.core.rundir import RunDir
from testbed.execution import doctor, required, verify
from testbed.grading import gradescope, library
from testbed.machine.image import choice, container, manifest, native, recipe, store, transfer
from testbed.machine.image.manifest import Entry, Manifest
from testbed.machine.image.scan import scan
from testbed.machine.kernel import recipe as kernel_recipe
from testbed.machine.kernel import store as kernels

ROOT = Path(__file__).parents[2]
KERNEL = {
    "version": "7.2.12",
    "sha256": hashlib.sha256(b"kernel").hexdigest(),
    "recipe": "r",
    "source": "linux-source-7.2",
    "compiler": "gcc",
    "patches": ["0001-hz"],
}
SPARE_BYTES = 1 << 21
"""Longer than what is read at once."""


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TESTBED_IMAGE", raising=False)
    return tmp_path / "cache"


def small(folder: Path, word: str = "hello") -> Path:
    """An image's folders with a little of everything."""
    for name in ("kernel", "root/usr/bin", "root/etc", "site/pyroute2"):
        (folder / name).mkdir(parents=True)
    (folder / "kernel/linux").write_bytes(b"kernel")
    (folder / "root/usr/bin/iperf3").write_text(word)
    (folder / "root/usr/bin/iperf3").chmod(0o4755)
    (folder / "root/bin").symlink_to("usr/bin")
    (folder / "root/etc/absolute").symlink_to("/etc/passwd")
    (folder / "root/etc/müll").write_bytes(os.urandom(SPARE_BYTES) if word == "big" else b"")
    (folder / "site/pyroute2/__init__.py").write_text("")
    return folder


def described(folder: Path) -> tuple[Manifest, bytes]:
    facts = {"kernel": KERNEL, "packages": {"iperf3": "3.18"}, "libraries": {}, "suite": "trixie"}
    return manifest.make(manifest.LAB, facts, scan(folder))


def packed(tmp_path: Path, word: str = "hello") -> Path:
    """An image's file."""
    folder = small(tmp_path / f"made-{word}", word)
    path = tmp_path / f"{word}.xz"
    container.write(path, *described(folder), folder, lambda _: None)
    return path


def kept() -> list[str]:
    root = store.images_root()
    return sorted(p.name for p in root.iterdir() if p.name != "lock") if root.exists() else []


# ---- one file and back


def test_a_file_becomes_the_same_image_again(tmp_path):
    path = packed(tmp_path)
    image = store.bring_in(path)
    assert image.which("iperf3").read_text() == "hello"
    assert image.which("/usr/bin/iperf3") and image.which("iperf4") is None
    assert (image.root / "etc/absolute").readlink() == Path("/etc/passwd")
    assert (image.root / "usr/bin/iperf3").stat().st_mode & 0o7777 == 0o755
    assert int((image.root / "etc").stat().st_mtime) == container.MTIME_S
    again = transfer.export_image(image.id, tmp_path / "again.xz", lambda _: None)
    assert again.read_bytes() == path.read_bytes()
    store.check(image)


def test_a_run_from_an_image_without_its_program_ends_with_the_command(tmp_path):
    folder = small(tmp_path / "made")
    (folder / "root/usr/bin/tcpdump").write_text("")
    path = tmp_path / "small.xz"
    container.write(path, *described(folder), folder, lambda _: None)
    image, wanted = store.bring_in(path), load("url_to_page")
    with pytest.raises(MissingPrerequisiteError) as caught:
        required.check(wanted, wanted.programs, image)
    assert caught.value.exit_code is ExitCode.ENVIRONMENT
    assert "chromium-headless-shell" in str(caught.value)
    assert "testbed run url_to_page --image none" in str(caught.value)


def test_the_file_follows_from_the_content_alone(tmp_path):
    """Whoever packs it, when, in which order its files were made, under which mask."""
    one = small(tmp_path / "one")
    before = os.umask(0o077)
    try:
        other = tmp_path / "elsewhere" / "other"
        other.mkdir(parents=True)
        for path in sorted(one.rglob("*"), reverse=True):
            target = other / path.relative_to(one)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                target.symlink_to(path.readlink())
            elif path.is_file():
                target.write_bytes(path.read_bytes())
                target.chmod(0o500 if path.stat().st_mode & 0o100 else 0o640)
                os.utime(target, (1, 1))
        for made in (one, other):
            container.write(made.with_suffix(".xz"), *described(made), made, lambda _: None)
    finally:
        os.umask(before)
    assert other.with_suffix(".xz").read_bytes() == one.with_suffix(".xz").read_bytes()
    assert described(small(tmp_path / "third", "other"))[0].id != described(one)[0].id


def test_progress_is_told_and_ends_at_one(tmp_path):
    seen = []
    store.bring_in(packed(tmp_path), seen.append)
    assert seen[-1] == 1.0 and seen == sorted(seen)


# ---- what is refused


def test_what_is_no_image_is_refused_by_name(tmp_path):
    path = tmp_path / "photo.jpg"
    for content in (b"", b"\xff\xd8 a photo", os.urandom(1000), b"network-testb"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="jpg: was not made by 'testbed image export'"):
            store.bring_in(path)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        store.bring_in(tmp_path / "none.xz")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        store.bring_in(tmp_path)
    assert kept() == []


def test_a_later_format_is_named(tmp_path):
    path = packed(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"image 1\n", b"image 2\n", 1))
    with pytest.raises(ParseError, match="has an unknown format"):
        store.bring_in(path)


def test_wherever_a_file_ends_early_it_is_refused(tmp_path):
    whole = packed(tmp_path).read_bytes()
    path = tmp_path / "cut.xz"
    for length in {*range(1, len(whole), 97), len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises((ConfigError, ParseError), match=r"cut\.xz"):
            store.bring_in(path)
    assert kept() == []


def test_a_file_cut_in_a_large_one_is_refused(tmp_path):
    path = packed(tmp_path, "big")
    path.write_bytes(path.read_bytes()[: SPARE_BYTES // 2])
    with pytest.raises(ParseError, match="truncated"):
        store.bring_in(path)
    assert kept() == []


def test_wherever_a_bit_is_wrong_it_is_refused(tmp_path):
    whole = packed(tmp_path).read_bytes()
    path = tmp_path / "bad.xz"
    name = container.read_manifest(tmp_path / "hello.xz").id
    for place in range(0, len(whole), 61):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            image = store.bring_in(path)
        except (ConfigError, ParseError) as error:
            assert "bad.xz" in str(error)
        else:  # a letter of the manifest: then it is another image, and says so
            assert place < whole.index(b"\xfd7zXZ") and image.id != name
            image.held.close()
            store.remove(image.id)
    assert kept() == []


def test_more_than_the_image_is_refused(tmp_path):
    path = packed(tmp_path)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(ParseError, match="contains more than its list"):
        store.bring_in(path)
    assert kept() == []


D, F = Entry("root", "d", 0o755), {"mode": 0o644, "sha256": "0" * 64}
HOSTILE = {
    "absolute": [D, Entry("/etc/x", "f", **F)],
    "upwards": [D, Entry("root/../../x", "f", **F)],
    "dot": [D, Entry("root/.", "d", 0o755)],
    "empty": [D, Entry("root//x", "f", **F)],
    "elsewhere": [Entry("home", "d", 0o755)],
    "no folder": [Entry("root", "f", **F)],
    "through a link": [D, Entry("root/a", "l", target="/tmp"), Entry("root/a/x", "f", **F)],
    "below a file": [D, Entry("root/a", "f", **F), Entry("root/a/x", "f", **F)],
    "below nothing": [D, Entry("root/a/x", "f", **F)],
    "twice": [D, Entry("root/a", "l", target="/tmp"), Entry("root/a", "f", **F)],
    "not in order": [D, Entry("root/b", "f", **F), Entry("root/a", "f", **F)],
    "set-user-id": [D, Entry("root/a", "f", 0o4755, 0, "0" * 64)],
    "unreadable": [D, Entry("root/a", "d", 0o055)],
    "no hash": [D, Entry("root/a", "f", 0o644, 0, "xyz")],
    "negative": [D, Entry("root/a", "f", 0o644, -1, "0" * 64)],
    "to nowhere": [D, Entry("root/a", "l")],
    "zero byte": [D, Entry("root/a\0b", "f", **F)],
    "zero byte in a link": [D, Entry("root/a", "l", target="a\0b")],
    "no text": [D, Entry("root/\ud800", "f", **F)],
    "long": [D, Entry("root/" + "x" * 2000, "f", **F)],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_listing_is_refused(tmp_path, name):
    """Packed as a hostile tool would: hashes right, order and names as given."""
    listing = "".join(entry.line() for entry in HOSTILE[name]).encode()
    sizes = {"bytes": len(listing), "entries": 2, "sha256": hashlib.sha256(listing).hexdigest()}
    total = sum(entry.size for entry in HOSTILE[name])
    data = {"kind": "lab", "kernel": KERNEL, "packages": {}, "suite": "x"}
    raw = json.dumps(data | {"listing": sizes | {"content_bytes": max(0, total)}}).encode()
    path = tmp_path / "hostile.xz"
    with path.open("wb") as out:
        out.write(container.MAGIC + raw + b"\n")
        with container.lzma.open(out, "wb") as inner:
            inner.write(listing)
    with pytest.raises(ParseError, match=r"hostile\.xz: list of files, line [123]"):
        store.bring_in(path)
    assert kept() == []
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "line", [b"[]", b"{", b'["c","root/null",1]', b'["d","root"]', b"[" * 9999]
)
def test_a_line_of_another_kind_is_refused(line):
    made = manifest.parse(
        json.dumps(
            {
                "kind": "lab",
                "kernel": KERNEL,
                "packages": {},
                "listing": {
                    "bytes": len(line),
                    "content_bytes": 0,
                    "entries": 1,
                    "sha256": hashlib.sha256(line).hexdigest(),
                },
            }
        ).encode(),
        "x",
    )
    with pytest.raises(ParseError, match="line 1: not understood"):
        manifest.parse_listing(made, line, "x")


@pytest.mark.parametrize("raw", [b"{}", b"[]", b'"x"', b"{", b'{"kind":"lab"}', b"[" * 99999])
def test_a_manifest_of_another_kind_is_refused(raw):
    with pytest.raises(ParseError, match="manifest: is damaged"):
        manifest.parse(raw, "x")


def test_a_bomb_is_stopped_by_the_manifest(tmp_path):
    """What unpacks to more than was said is not unpacked."""
    folder = small(tmp_path / "made")
    made, listing = described(folder)
    path = tmp_path / "bomb.xz"
    with path.open("wb") as out:
        out.write(container.MAGIC + made.raw + b"\n")
        with container.lzma.open(out, "wb") as inner:
            inner.write(listing + b"kernel" + bytes(1 << 24))
    with pytest.raises(ParseError, match="damaged"):
        store.bring_in(path)
    assert kept() == []


def test_another_image_than_expected_is_refused(tmp_path):
    path = packed(tmp_path)
    found = container.read_manifest(path)
    for expected, reason in (
        ("0" * 64, f"is {found.sha256}, not 000"),
        (found.id, "all 64 digits"),
        (found.sha256[:63], "all 64 digits"),
        (found.sha256.upper(), "all 64 digits"),
    ):
        done = CliRunner().invoke(command, ["import", str(path), "--expect", expected])
        assert isinstance(done.exception, ConfigError) and reason in str(done.exception)
    assert kept() == []
    assert (
        CliRunner().invoke(command, ["import", str(path), "--expect", found.sha256]).exit_code == 0
    )


def test_what_was_looked_at_is_what_is_unpacked(tmp_path):
    """The file's name may lead elsewhere a moment later."""
    path, other = packed(tmp_path), packed(tmp_path, "other")
    expected = container.read_manifest(path).sha256
    folder = tmp_path / "unpacked"
    folder.mkdir()
    with container.opened(path) as source:
        source.expect(expected)
        other.replace(path)
        container.unpack(source, folder, lambda _: None)
    assert (folder / "root/usr/bin/iperf3").read_text() == "hello"
    assert container.read_manifest(path).sha256 != expected


def test_checking_a_file_takes_no_room(tmp_path, monkeypatch):
    path = packed(tmp_path, "big")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr(container.Path, "write_bytes", None)
    monkeypatch.setattr(container.Path, "mkdir", None)
    assert transfer.check_file(path).kind == manifest.LAB
    whole = bytearray(path.read_bytes())
    whole[-200] ^= 1
    with path.open("wb") as file:
        file.write(whole)
    with pytest.raises(ParseError, match="is damaged"):
        transfer.check_file(path)


def test_no_room_is_said_before_anything_is_made(tmp_path, monkeypatch):
    path = packed(tmp_path)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: _Full())
    with pytest.raises(TestbedError, match="0 MB free, the image needs 200 MB"):
        store.bring_in(path)
    assert kept() == []


class _Full:
    free = 0


def test_a_cache_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="set TESTBED_CACHE"):
        store.bring_in(packed(tmp_path))


# ---- an image in the cache


@pytest.mark.parametrize(
    "what", ["content", "added", "gone", "link", "mode", "manifest", "listing"]
)
def test_what_was_changed_since_is_found_before_use(tmp_path, what):
    image = store.bring_in(packed(tmp_path))
    assert store.get(image.id).id == image.id
    program = image.root / "usr/bin/iperf3"
    if what == "content":
        program.write_text("HELLO")
    elif what == "added":
        (image.root / "usr/bin/sitecustomize.py").write_text("")
    elif what == "gone":
        program.unlink()
    elif what == "link":
        (image.root / "bin").unlink()
        (image.root / "bin").symlink_to("/bin")
        os.utime(image.root / "bin", (container.MTIME_S,) * 2, follow_symlinks=False)
        os.utime(image.root, (container.MTIME_S,) * 2)
    elif what == "mode":
        program.chmod(0o644)
    else:
        names = {"manifest": container.MANIFEST, "listing": container.LISTING}
        path = image.folder / names[what]
        path.write_bytes(path.read_bytes().replace(b"iperf3", b"iperf4", 1))
    with pytest.raises(ParseError, match=r"image remove|list of files: is damaged"):
        store.get(image.id)


def test_a_disguised_change_is_found_by_the_kernels_hash_and_by_check(tmp_path):
    image = store.bring_in(packed(tmp_path))
    for name, content in (("root/usr/bin/iperf3", "HELLO"), ("kernel/linux", "KERNEL")):
        path = image.folder / name
        path.write_text(content)
        os.utime(path, (container.MTIME_S,) * 2)
        with pytest.raises(ParseError, match=f"{name}: was changed"):
            store.check(image)
    with pytest.raises(ParseError, match="kernel/linux: was changed"):
        store.get(image.id)
    with pytest.raises(ParseError, match=r"iperf3: has changed|kernel/linux: has changed"):
        container.write(
            tmp_path / "out.xz",
            image.manifest,
            (image.folder / container.LISTING).read_bytes(),
            image.folder,
            lambda _: None,
        )
    assert not list(tmp_path.glob("*out.xz*"))


def test_an_image_in_use_is_not_removed(tmp_path):
    image = store.bring_in(packed(tmp_path))
    with pytest.raises(TestbedError, match="in use by a run"):
        store.remove(image.id)
    assert store.get(image.id).which("iperf3")
    name = image.id
    image.held.close()
    store.remove(name)
    assert kept() == []
    with pytest.raises(ConfigError, match="does not exist"):
        store.get(name)
    with pytest.raises(ConfigError, match="does not exist"):
        store.remove(name)


def _bring_in(path: Path, gate: object, results: object) -> None:
    gate.wait()
    results.put(store.bring_in(path).id)


def test_imports_at_once_give_one_image(tmp_path):
    path = packed(tmp_path, "big")
    context = multiprocessing.get_context("fork")
    gate, results = context.Barrier(3), context.Queue()
    at_once = [context.Process(target=_bring_in, args=(path, gate, results)) for _ in range(3)]
    for process in at_once:
        process.start()
    names = {results.get(timeout=60) for _ in at_once}
    for process in at_once:
        process.join()
    assert names == set(kept()) and len(names) == 1


def test_what_an_interrupted_import_left_goes_with_the_next(tmp_path):
    stale = store.images_root() / "work-dead"
    stale.mkdir(parents=True)
    (stale / "manifest.json").write_text("{}")
    assert store.ids() == []
    image = store.bring_in(packed(tmp_path))
    assert kept() == [image.id]


# ---- which one


def test_which_image_is_taken_and_why(tmp_path, monkeypatch):
    assert choice.choose()[0] is None
    first = store.bring_in(packed(tmp_path, "first")).id
    path = packed(tmp_path, "second")
    second = store.bring_in(path).id
    image, why = choice.choose()
    assert image is None and why.startswith("no image is chosen")
    assert choice.use(second[:6]).id == second
    image, why = choice.choose()
    assert (image.id, why) == (second, "chosen (testbed image use)")
    assert choice.choose("none")[0] is None
    image, why = choice.choose(first[:6])
    assert (image.id, why) == (first, "asked for")
    monkeypatch.setenv("TESTBED_IMAGE", first)
    image, why = choice.choose()
    assert (image.id, why) == (first, "set by TESTBED_IMAGE")
    assert choice.choose("auto")[0].id == second
    monkeypatch.setenv("TESTBED_IMAGE", "none")
    assert choice.choose()[0] is None
    monkeypatch.delenv("TESTBED_IMAGE")
    assert choice.use("none") is None
    assert choice.choose()[0] is None


def test_an_image_that_is_at_hand_is_used_by_nobody_who_did_not_choose_it(tmp_path):
    run = CliRunner().invoke
    path = packed(tmp_path)
    said = run(command, ["import", str(path)]).output
    (name,) = kept()
    assert "runs use this system's programs" in said
    assert f"testbed image use {name}" in said
    assert choice.choose()[0] is None
    check = next(c for c in doctor.examine() if c.name == "image")
    assert check.found.startswith(f"{name}, not used by runs")
    assert "testbed image use NAME" in check.purpose
    assert f"runs use image {name}" in run(command, ["use", name]).output
    assert choice.choose()[0].id == name
    check = next(c for c in doctor.examine() if c.name == "image")
    assert check.found.startswith(f"{name}: chosen") and "testbed image use none" in check.purpose
    assert json.loads(run(command, ["list", "--json"]).output)[0]["used"]
    assert "runs use this system's programs" in run(command, ["use", "none"]).output
    assert choice.choose()[0] is None
    run(command, ["import", "--use", str(path)])
    assert choice.choose()[0].id == name


def test_a_chosen_image_that_goes_is_chosen_no_more(tmp_path):
    run = CliRunner().invoke
    name = choice.use(str(packed(tmp_path))).id
    assert "runs use this system's programs" in run(command, ["remove", name]).output
    assert choice.choose()[0] is None
    store.choose(name)  # as if somebody had removed its folder
    with pytest.raises(ConfigError, match=f"{name}: was chosen but no longer exists; .* use none"):
        choice.choose()


def test_an_unknown_image_is_not_chosen(tmp_path):
    done = CliRunner().invoke(command, ["use", "abc"])
    assert isinstance(done.exception, ConfigError) and not store.chosen()


def test_a_file_is_brought_in_on_the_way(tmp_path):
    path = packed(tmp_path)
    image, _ = choice.choose(str(path))
    assert kept() == [image.id]
    assert choice.choose(str(path))[0].id == image.id


def test_unknown_images_are_named(tmp_path):
    with pytest.raises(ConfigError, match="no such image or file; there are none"):
        choice.choose("abc")
    with pytest.raises(ConfigError, match="no such file"):
        choice.choose("./abc.xz")
    name = store.bring_in(packed(tmp_path)).id
    with pytest.raises(ConfigError, match=f"there are: {name}"):
        choice.choose("xyz")


def test_the_commands_tell(tmp_path):
    run = CliRunner().invoke
    assert "no image" in run(command, ["list"]).output
    path = packed(tmp_path)
    assert (
        json.loads(run(command, ["info", str(path), "--json", "--check"]).stdout)["kind"] == "lab"
    )
    assert run(command, ["import", str(path)]).exit_code == 0
    (row,) = json.loads(run(command, ["list", "--json"]).stdout)
    assert row["suite"] == "trixie" and row["packages"] == 1
    assert "iperf3 3.18" in run(command, ["info", "--check"]).output
    assert run(command, ["export", str(tmp_path / "out.xz")]).exit_code == 0
    assert (tmp_path / "out.xz").read_bytes() == path.read_bytes()
    assert run(command, ["remove", row["id"][:5]]).output == f"removed {row['id']}\n"
    assert isinstance(run(command, ["remove", "x"]).exception, ConfigError)


# ---- runs made from one


@pytest.fixture
def recorded(tmp_path):
    """A run that says it was made from the image of that name."""

    def make(name: str) -> RunDir:
        run = RunDir.create(tmp_path / f"runs-{name}", "rip")
        image = None if name == "none" else {"id": name, "suite": "bookworm"}
        run.write_meta(
            {
                "experiment": "rip",
                "status": "complete",
                "seed": 1,
                "parameters": {},
                "runtime": "guest",
                "clock": "virtual",
                "scenarios": ["main"],
                "tools": {},
                "image": image,
                "kernel": {"version": "7", "sha256": KERNEL["sha256"]},
            }
        )
        folder = run.path / "scenarios/main"
        folder.mkdir(parents=True)
        experiment_folder.copy(ROOT / "experiments/rip", "rip", folder)
        (folder / "scenario.json").write_text('{"file": "experiment/rip"}')
        return run

    return make


def test_a_run_is_verified_from_its_own_image_or_names_the_other(recorded, tmp_path):
    first = store.bring_in(packed(tmp_path, "first")).id
    second = store.bring_in(packed(tmp_path, "second")).id
    found = {d.where: d for d in verify.versions_that_differ(recorded(first))}
    assert "image" not in found
    assert verify.request_of(recorded(first), tmp_path).image == first
    run = recorded(first)
    (image, *_) = verify.versions_that_differ(run, second)
    assert (image.where, image.recorded, image.again) == ("image", first, second)
    assert verify.request_of(run, tmp_path, second).image == second
    (image, *_) = verify.versions_that_differ(recorded("none"), first)
    assert (image.recorded, image.again) == ("none: the host's programs", first)


def test_a_run_whose_image_is_not_here_says_which_it_needs(recorded, tmp_path):
    store.bring_in(packed(tmp_path))
    with pytest.raises(
        ConfigError, match=r"made from image 0123456789ab, which is not here: .*--image"
    ):
        list(verify.versions_that_differ(recorded("0123456789ab")))
    with pytest.raises(ConfigError, match="image 'xyz': no such image"):
        list(verify.versions_that_differ(recorded("0123456789ab"), "xyz"))


# ---- the kernel alone


KERNEL_FOLDER = f"linux-source-7.2_7.2.12-{kernel_recipe.recipe_key()}-cc"
KERNEL_FACTS = {k: KERNEL[k] for k in ("version", "sha256", "source", "compiler")}


def kernel_in(folder: Path, content: bytes = b"kernel") -> Path:
    """A guest kernel as `testbed kernel build` leaves it."""
    folder.mkdir(parents=True)
    (folder / "linux").write_bytes(content)
    (folder / "linux").chmod(0o755)
    (folder / "config").write_text("CONFIG_UML=y\n")
    (folder / "kernel.json").write_text(json.dumps(KERNEL_FACTS | {"absent": []}))
    return folder


@pytest.fixture
def kernel_file(cache, tmp_path, monkeypatch):
    """A kernel's file; the cache is now another, empty one."""
    kernel_in(kernels.cache_root() / KERNEL_FOLDER)
    path = tmp_path / "kernel.xz"
    assert CliRunner().invoke(export_kernel, [str(path)]).exit_code == 0
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "other"))
    return path


def test_a_kernel_goes_from_cache_to_cache(kernel_file, tmp_path):
    path = kernel_file
    with pytest.raises(ConfigError, match="contains only a kernel"):
        store.bring_in(path)
    found = container.read_manifest(path).sha256
    refused = CliRunner().invoke(import_kernel, [str(path), "--expect", found[:-1] + "x"])
    assert isinstance(refused.exception, ConfigError) and kernels.find() is None
    assert CliRunner().invoke(import_kernel, [str(path), "--expect", found]).exit_code == 0
    found = kernels.find()
    assert found.path == tmp_path / "other/kernels" / KERNEL_FOLDER / "linux"
    assert found.path.read_bytes() == b"kernel" and os.access(found.path, os.X_OK)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ParseError, match="truncated"):
        transfer.import_kernel(path)
    with pytest.raises(ConfigError, match="contains a whole image"):
        transfer.import_kernel(packed(tmp_path))


def test_importing_mends_a_kernel_that_was_changed(kernel_file):
    transfer.import_kernel(kernel_file)
    there = kernels.find().path
    there.write_bytes(b"KERNEL")
    found, _ = transfer.import_kernel(kernel_file)
    assert found.path == there and there.read_bytes() == b"kernel"


@pytest.mark.parametrize("key", ["version", "sha256", "source"])
def test_a_kernel_that_says_of_itself_what_its_manifest_does_not_is_refused(tmp_path, key):
    """What runs record must be what was checked."""
    folder = tmp_path / "made"
    kernel_in(folder / "kernel")
    told = KERNEL_FACTS | {"absent": [], key: "0" * 64}
    (folder / "kernel/kernel.json").write_text(json.dumps(told))
    facts = {"kernel": KERNEL | {"folder": "linux_7.2-r-cc"}}
    path = tmp_path / "kernel.xz"
    container.write(path, *manifest.make(manifest.KERNEL, facts, scan(folder)), folder, lambda _: 0)
    with pytest.raises(ParseError, match=r"kernel\.json: does not match the manifest"):
        transfer.import_kernel(path)
    assert kernels.find() is None


# ---- its programs on the host


def test_links_of_an_image_stay_in_it(tmp_path):
    """Absolute ones, too: else the host's loader would meet the image's libraries."""
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/python3.11").write_text("")
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "usr/bin/python3").symlink_to("/etc/python")
    (tmp_path / "etc").symlink_to("../../../alternatives")
    (tmp_path / "alternatives").mkdir()
    (tmp_path / "alternatives/python").symlink_to("../bin/python3.11")
    assert native.inside(tmp_path, "/bin/python3") == tmp_path / "usr/bin/python3.11"
    assert native.inside(tmp_path, "usr/bin/sh") == tmp_path / "usr/bin/sh"
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="Too many levels"):
        native.inside(tmp_path, "loop/x")


# ---- what goes in, and set-up


def test_what_a_guest_never_reads_is_left_out():
    kept_paths = """
        usr/bin/vtysh usr/bin/ovs-vsctl usr/bin/dash usr/lib/frr/zebra etc proc tmp
        usr/lib/python3.13/json/decoder.py var usr/share/openvswitch/vswitch.ovsschema
        usr/lib/x86_64-linux-gnu/security/pam_rootok.so
    """
    dropped_paths = """
        usr/share/doc/frr/copyright usr/share/locale/de var/cache/apt/x usr/bin/perl5.40.1
        usr/lib/python3.13/test/x.py usr/lib/python3.13/json/__pycache__/decoder.cpython-313.pyc
        etc/shadow etc/machine-id etc/nsd/nsd_server.key
        etc/nsd/nsd_control.pem var/lib/frr dev/null etc/passwd
            usr/lib/python3/dist-packages/pexpect/x.py
    """
    assert all(recipe.is_kept(path) for path in kept_paths.split())
    assert not any(recipe.is_kept(path) for path in dropped_paths.split())
    assert {"frr", "openvswitch-switch", "tcpdump", "python3"} <= set(recipe.package_names())
    assert not {"gcc", "tshark", "python3-venv"} & set(recipe.package_names())


def test_gradescopes_bundle_has_the_image_in_place_of_packages(tmp_path):
    held = choice.use(str(packed(tmp_path)))
    lab = library.open_lab("rip")
    files = gradescope.bundle(lab, b"secret")
    assert "packages.txt" not in files and not [n for n in files if n.startswith("cache/")]
    (tmp_path / "image.xz").write_bytes(files["image.xz"])
    assert container.read_manifest(tmp_path / "image.xz").sha256 == held.manifest.sha256
    assert files["image.sha256"].decode().strip() == held.manifest.sha256
    assert b"image import --use" in files["setup.sh"]
    assert b"install-python.sh" in files["setup.sh"]
    assert {"project/scripts/install-python.sh", "project/requirements/base.txt"} <= set(files)
    chinese = {"project/testbed/core/zh.po", "labs/rip/zh.po", "labs/rip/hidden.zh.po"}
    assert chinese <= set(files)
    held.held.close()
    store.remove(held.id)
    with pytest.raises(MissingPrerequisiteError, match="guest kernel"):
        gradescope.bundle(lab, b"secret")


def test_doctor_counts_what_an_image_holds(tmp_path, monkeypatch):
    """The system then needs Python and the project alone."""
    monkeypatch.setattr(doctor, "installed_packages", dict)
    monkeypatch.setattr(doctor, "find", lambda _: None)
    bare = {check.name: check for check in doctor.examine()}
    assert {bare[name].state for name in ("guest kernel", "iperf3", "mininet", "gcc")} == {
        "missing"
    }
    name = choice.use(str(packed(tmp_path))).id
    checks = {check.name: check for check in doctor.examine()}
    assert checks["image"].found.startswith(name) and checks["a runtime"].state == "there"
    assert checks["guest kernel"].found == "7.2.12 (linux-source-7.2), in the image"
    assert checks["iperf3"].found == "3.18, in the image" and not checks["iperf3"].mend
    assert checks["mininet"].state == "missing"  # this image has none
    assert "gcc" not in checks


def _plan(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name in (
        "Makefile",
        "pyproject.toml",
        "setup.py",
        "analysis",
        "testbed",
        "scripts",
        "requirements",
    ):
        if not (tmp_path / name).exists():
            (tmp_path / name).symlink_to(ROOT / name)
    return subprocess.run(
        ["make", "-n", "setup"],
        cwd=tmp_path,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_set_up_from_an_image_needs_no_packages(tmp_path):
    (tmp_path / "lab.xz").write_bytes(b"")
    said = _plan(tmp_path, TESTBED_IMAGE="lab.xz").stdout
    assert "testbed image import --use 'lab.xz'" in said
    assert "scripts/install-python.sh" in said and "scripts/setup.sh" not in said
    assert "scripts/setup.sh" in _plan(tmp_path, TESTBED_IMAGE="").stdout
    missing = _plan(tmp_path, TESTBED_IMAGE="none.xz")
    assert missing.returncode == 2 and "no such file" in missing.stderr
