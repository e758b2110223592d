"""The virtual machine's recipe: what it chooses, and how make goes into it and back."""

import json
import os
import shutil
import subprocess

import pytest

from testbed.core.project import PROJECT

needs_ruby = pytest.mark.skipif(shutil.which("ruby") is None, reason="needs ruby, as Vagrant does")

HARNESS = r"""
require "json"
require "rbconfig"
RbConfig::CONFIG["host_cpu"] = ENV["HOST_CPU"] if ENV["HOST_CPU"]

class Recorder
  def initialize(rows, path) = (@rows, @path = rows, path)

  def method_missing(name, *arguments, **options, &block)
    return @rows << [@path, name.to_s.delete("="), *arguments] if name.end_with?("=")
    if name == :provider
      key = "#{@path}.#{arguments[0]}"
      return block.call(Recorder.new(@rows, key), Recorder.new(@rows, "#{key}.override"))
    end
    if name == :vmx
      rows, path = @rows, @path
      store = Object.new
      store.define_singleton_method(:[]=) { |k, v| rows << [path, k, v] }
      return store
    end
    return Recorder.new(@rows, "#{@path}.#{name}") if arguments.empty? && options.empty?
    @rows << [@path, name.to_s, *arguments, options]
  end

  def respond_to_missing?(*) = true
end

module Vagrant
  VERSION = ENV.fetch("VAGRANT", "2.4.9")
  def self.configure(_)
    rows = []
    yield Recorder.new(rows, "")
    puts JSON.generate(rows)
  end
end
load ARGV[0]
"""


def chosen(**environment):
    """What the Vagrantfile sets: (where, what) → values, the last if it sets several."""
    return {(row[0], row[1]): row[2:] for row in said(**environment)}


def said(**environment):
    """All that the Vagrantfile sets: (where, what, values...)."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TESTBED_")}
    done = subprocess.run(
        ["ruby", "-e", HARNESS, str(PROJECT / "Vagrantfile")],
        env=clean | {"HOST_CPU": "x86_64"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


@needs_ruby
@pytest.mark.parametrize(
    ("provider", "box"),
    [
        ("libvirt", "debian/trixie64"),
        ("virtualbox", "bento/debian-13"),
        ("vmware_desktop", "bento/debian-13"),
        ("parallels", "bento/debian-13"),
    ],
)
def test_each_provider_has_a_box_of_debian_13(provider, box):
    rows = chosen()
    assert rows[f".vm.{provider}.override.vm", "box"] == [box]


@needs_ruby
@pytest.mark.parametrize(
    ("cpu", "box"),
    [("x86_64", "amd64"), ("x64", "amd64"), ("arm64", "arm64"), ("aarch64", "arm64")],
)
def test_the_box_is_for_the_hosts_processor(cpu, box):
    assert chosen(HOST_CPU=cpu)[".vm", "box_architecture"] == [box]


@needs_ruby
def test_another_processor_is_refused():
    with pytest.raises(RuntimeError, match="no box for this processor"):
        chosen(HOST_CPU="riscv64")


@needs_ruby
def test_an_old_vagrant_is_not_told_the_architecture():
    assert (".vm", "box_architecture") not in chosen(VAGRANT="2.3.4")


@needs_ruby
def test_sizes_and_box_are_settings():
    rows = chosen(
        TESTBED_CPUS="6",
        TESTBED_MEMORY_MB="8192",
        TESTBED_BOX="own/box",
        TESTBED_BOX_URL="file:///own.box",
    )
    assert rows[".vm.virtualbox", "cpus"] == [6]
    assert rows[".vm.parallels", "memory"] == [8192]
    assert rows[".vm.vmware_desktop", "memsize"] == ["8192"]
    assert rows[".vm.libvirt.override.vm", "box"] == ["own/box"]
    assert rows[".vm", "box_url"] == ["file:///own.box"]


@needs_ruby
def test_memory_that_both_sides_see_is_memory_not_a_file_on_the_disk():
    found = [row[2:] for row in said() if row[:2] == [".vm.libvirt", "memorybacking"]]
    assert found == [["access", {"mode": "shared"}], ["source", {"type": "memfd"}]]


@needs_ruby
@pytest.mark.parametrize("cpus", ["0", "two", ""])
def test_a_bad_size_is_refused(cpus):
    with pytest.raises(RuntimeError, match="TESTBED_CPUS"):
        chosen(TESTBED_CPUS=cpus)


@needs_ruby
def test_provisioning_is_the_repositorys_own():
    shell, options = chosen()[".vm", "provision"]
    assert shell == "shell"
    assert options == {"privileged": False, "inline": "/vagrant/scripts/vm-make.sh setup"}


# ---- make on a host that cannot run experiments


def program(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("#!/bin/sh\n" + text)
    (folder / name).chmod(0o755)


def on_a_mac(tmp_path, *arguments, state="running", vagrant=True):
    """What `make` says, and what it hands to the machine."""
    tools = tmp_path / "bin"
    program(tools, "uname", "echo Darwin\n")
    if vagrant:
        program(
            tools,
            "vagrant",
            f'if [ "$1" = status ]; then echo "1,default,state,{state}"; exit; fi\n'
            'printf "%s\\n" "$@"\n',
        )
    path = f"{tools}:{os.environ['PATH']}" if vagrant else f"{tools}:/opt/none"
    if not vagrant:
        for name in ("sh", "dirname", "make", "sed"):
            (tools / name).symlink_to(shutil.which(name))
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=PROJECT,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_goes_into_the_machine(tmp_path):
    done = on_a_mac(tmp_path, "exp-congestion", "RATE_MBPS=50", "CC=reno,it's")
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()
    assert words[:3] == ["ssh", "--no-tty", "-c"]
    script, *quoted = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {words[3]}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert script == "/vagrant/scripts/vm-make.sh"
    assert quoted[0] == "exp-congestion"
    assert set(quoted[1:]) == {"RATE_MBPS=50", "CC=reno,it's"}


def test_a_machine_that_is_off_is_named(tmp_path):
    done = on_a_mac(tmp_path, "test", state="poweroff")
    assert done.returncode != 0
    assert "start it with 'vagrant up'" in done.stderr


def test_a_host_without_vagrant_is_told(tmp_path):
    done = on_a_mac(tmp_path, "setup", vagrant=False)
    assert done.returncode != 0
    assert "install Vagrant" in done.stderr


# ---- in the machine


@pytest.fixture
def machine(tmp_path):
    """A shared folder, a home and a `make` that leaves a run."""
    if shutil.which("rsync") is None:
        pytest.skip("needs rsync, which the machine installs")
    shared = tmp_path / "shared"
    for name in ("Makefile", "testbed/a.py", ".venv/bin/mac", "runs/old/run.json", ".git/HEAD"):
        (shared / name).parent.mkdir(parents=True, exist_ok=True)
        (shared / name).write_text(name)
    tools = tmp_path / "bin"
    program(
        tools,
        "make",
        'pwd; echo "$@"; mkdir -p runs/new; echo {} > runs/new/run.json\n'
        'mkdir -p "$TESTBED_CACHE/kernels/k"; echo kernel > "$TESTBED_CACHE/kernels/k/linux"\n'
        'case "$1" in exp-bad) exit 2 ;; esac\n',
    )
    program(tools, "uname", "echo ${MACHINE:-x86_64}\n")
    program(tools, "sudo", 'echo "as root: $*"; shift; exec "$@"\n')

    def run(*arguments, **environment):
        return subprocess.run(
            [PROJECT / "scripts/vm-make.sh", *arguments],
            env={
                "PATH": f"{tools}:{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "TESTBED_SHARED": str(shared),
                "TESTBED_COPY": str(tmp_path / "copy"),
                "TESTBED_CACHE": str(tmp_path / "cache"),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return run, tmp_path


def test_it_works_on_a_copy_and_brings_the_run_back(machine):
    run, place = machine
    done = run("exp-congestion", "RATE_MBPS=50")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        str(place / "copy"),
        "exp-congestion RATE_MBPS=50",
        "on the host: runs/new",
    ]
    assert (place / "copy/testbed/a.py").is_file()
    assert not [n for n in (".venv", ".git", "runs/old") if (place / "copy" / n).exists()]
    assert (place / "shared/runs/new/run.json").is_file()
    assert (place / "shared/runs/old/run.json").is_file()


def test_a_deleted_file_is_deleted_there_too(machine):
    run, place = machine
    run("setup")
    (place / "shared/testbed/a.py").unlink()
    run("setup")
    assert not (place / "copy/testbed/a.py").exists()


def test_what_was_compiled_there_stays_and_the_hosts_does_not_come(machine):
    run, place = machine
    (place / "copy/testbed").mkdir(parents=True)
    (place / "copy/testbed/a.cpython-313-x86_64-linux-gnu.so").write_text("machine")
    (place / "shared/testbed/a.cpython-313-darwin.so").write_text("host")
    assert run("setup").returncode == 0
    kept = [p.read_text() for p in (place / "copy/testbed").glob("*.so")]
    assert kept == ["machine"]


def test_a_failure_is_told_and_the_run_still_comes_back(machine):
    run, place = machine
    assert run("exp-bad").returncode == 2
    assert (place / "shared/runs/new/run.json").is_file()


def test_the_kernel_outlives_the_machine(machine):
    run, place = machine
    run("setup")
    shutil.rmtree(place / "cache")
    shutil.rmtree(place / "copy")
    assert (place / "shared/.vagrant/testbed-cache/kernels/k/linux").is_file()
    program(place / "bin", "make", 'cat "$TESTBED_CACHE/kernels/k/linux"\n')
    assert run("setup").stdout == "kernel\n"


def test_what_comes_back_is_the_hosts_where_the_folder_keeps_its_owners(machine):
    """As on virtiofs, when the host's user has another number than the machine's."""
    run, place = machine
    host = (place / "shared").stat()
    refuse = 'case "$*" in *testbed-cache*) exit 1 ;; esac\nexec /bin/mkdir "$@"\n'
    program(place / "bin", "mkdir", refuse)
    program(place / "bin", "sudo", 'echo "as root: $*"\n')
    done = run("exp-icmp")
    assert done.returncode == 0, done.stderr
    asked = [line.split()[2:] for line in done.stdout.splitlines() if line.startswith("as root: ")]
    assert [words[0] for words in asked] == ["install", "rsync", "rsync"]
    assert all(f"--chown={host.st_uid}:{host.st_gid}" in words for words in asked[1:])


def test_an_image_in_the_shared_folder_is_used_where_it_runs(machine):
    run, place = machine
    program(place / "bin", "make", 'echo "from ${TESTBED_IMAGE:-nothing}"\n')
    assert run("setup").stdout == "from nothing\n"
    for number, name in enumerate(("testbed-image-new.xz", "testbed-image-old.xz")):
        (place / "shared" / name).write_text(name)
        os.utime(place / "shared" / name, (9000 - number, 9000 - number))
    assert run("setup").stdout == f"from {place}/shared/testbed-image-new.xz\n"
    assert not list((place / "copy").glob("*.xz"))
    assert "from nothing\n" in run("exp-icmp", MACHINE="aarch64").stdout


@pytest.mark.parametrize(("what", "root"), [("exp-icmp", True), ("test", True), ("setup", False)])
def test_without_a_guest_kernel_experiments_run_as_root(machine, what, root):
    run, _ = machine
    assert ("as root: -E make" in run(what, MACHINE="aarch64").stdout) == root
    assert "as root" not in run(what, MACHINE="x86_64").stdout
