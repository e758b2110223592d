"""Sends until the capture is full."""

import socket
import sys
import time

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as letter:
    while True:
        letter.sendto(b"x" * 60000, (sys.argv[1], 9))
        time.sleep(0.01)  # so that time passes, and the capture is written
