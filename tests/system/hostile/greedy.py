"""Fills memory, disks and the log, each in a child, and does its work all the same."""

import os
import socket
import sys


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


def log():
    while True:
        os.write(1, b"y" * (1 << 16))


for greed in (memory, disks, log):
    child = os.fork()
    if child == 0:
        greed()
        os._exit(0)
    os.waitpid(child, 0)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as letter:
    letter.sendto(b"WORD", (sys.argv[1], 5000))
