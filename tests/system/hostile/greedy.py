"""Takes all there is, each in a child; does its work; leaves time bombs that must never go off."""

import ctypes
import os
import signal
import socket
import sys
import time


def send():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as letter:
        letter.sendto(b"WORD", (sys.argv[1], 5000))


def memory():
    held = []
    while True:
        held.append(b"x" * (1 << 20))


def disks():
    for folder in ("/out", "/tmp"):
        for number in range(100):
            try:
                with open(f"{folder}/{number}", "wb") as file:
                    file.write(b"x" * (4 << 20))
            except OSError:
                break


def files():
    """As many names as there can be, and as many open files."""
    held = []
    try:
        for number in range(100_000):
            held.append(os.open(f"/out/n{number}", os.O_CREAT | os.O_RDWR))
            if len(held) > 200:
                os.close(held.pop(0))
    except OSError:
        pass
    for name in os.listdir("/out"):
        os.unlink(f"/out/{name}")


def log():
    while True:
        os.write(1, b"y" * (1 << 16))


def forks():
    """As many processes as there can be; they sleep, and end with their parent."""
    while True:
        try:
            if os.fork() == 0:
                ctypes.CDLL(None).prctl(1, signal.SIGKILL)
                time.sleep(1e9)
        except OSError:
            return


def core():
    """A dump of its memory."""
    os.abort()


def signals():
    """Sends every signal to the sandbox's first process, which started it."""
    for number in range(1, 32):
        try:
            os.kill(1, number)
        except OSError:
            pass


for greed in (files, memory, disks, log, forks, core, signals):
    child = os.fork()
    if child == 0:
        greed()
        os._exit(0)
    os.waitpid(child, 0)
send()


def bomb():
    """A daemon that goes on when its parent has ended: sends again, and changes results."""
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(5)
    open("/out/late", "w").write("late")
    send()
    os._exit(0)


if os.fork() == 0:
    bomb()
