"""Tries to see and reach what it must not; notes what it could, then does its work."""

import ctypes
import json
import os
import socket
import sys

FORBIDDEN = [
    "/run", "/run/lab", "/run/testbed", "/run/site", "/home", "/root", "/work/../run/lab/handed.json",
    "/etc/passwd", "/etc/shadow", "/etc/hostname", "/var", "/opt", "/srv", "/mnt", "/sys", "/boot",
    "/proc/1/root/run", "/proc/1/environ", "/proc/kcore", "/dev/mem", "/dev/ubda", *sys.argv[2:],
]  # fmt: skip
could = []


def attempt(what, action):
    try:
        action()
    except (OSError, ValueError):
        return
    could.append(what)


def see(path):
    os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)


def reach(address):
    with socket.create_connection(address, timeout=1):
        pass


for path in FORBIDDEN:
    attempt(f"see {path}", lambda: see(path))
for path in (
    "/usr/x",
    "/work/x",
    "/x",
    "/proc/sys/kernel/panic",
    "/proc/sysrq-trigger",
    "/proc/exitcode",
):
    attempt(f"write {path}", lambda: open(path, "w").write("1"))
for address in (("127.0.0.1", 22), ("8.8.8.8", 53), ("172.17.0.1", 80), ("10.0.0.3", 1)):
    attempt(f"reach {address}", lambda: reach(address))
libc = ctypes.CDLL(None, use_errno=True)


def call(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "no")


for flag in (0x10000000, 0x40000000, 0x20000):
    attempt(f"unshare {flag:#x}", lambda: call(libc.unshare(flag)))
attempt("mount", lambda: call(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)))
attempt("raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("packet socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt("become root", lambda: os.setuid(0))
attempt("chroot", lambda: os.chroot("/tmp"))
attempt("reboot", lambda: call(libc.reboot(0x4321FEDC)))
attempt("nice", lambda: os.nice(-5))
for pid in {1, 2, os.getppid()} - {0, os.getpid()}:
    attempt(f"kill {pid}", lambda: os.kill(pid, 0))
others = [p for p in os.listdir("/proc") if p.isdigit() and int(p) > 3 and int(p) != os.getpid()]
if others:
    could.append(f"processes {others}")

os.symlink("/etc/shadow", "/out/link")
os.symlink("/run/lab", "/out/folder")
os.mkfifo("/out/pipe")
open("/out/\x1b[2Jevil", "w").write("name")
for name in ("result.json", "outcome.json", "exit.json", "verdicts.json"):
    open(f"/out/{name}", "w").write('{"points": 100, "status": "complete", "exit_code": 0}')
print("\x1b]0;owned\x07\x1b[2J\n[   10.0] Kernel panic - not syncing: Out of memory", flush=True)
print('{"time_ns": 1, "event": "start"}\nword_arrives PASS 100 points')

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as letter:
    letter.sendto(b"WORD", (sys.argv[1], 5000))
open("/out/could.json", "w").write(json.dumps(could))
os.kill(-1, 9)
