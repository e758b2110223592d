#!/bin/sh
# Sets up what runs need: first what building the kernel needs, then all else while that compiles.
set -eu
cd "$(dirname "$0")/.."
log=build/setup/first.log
mkdir -p build/setup
echo "set-up: the compiler and Python first (Debian packages)"
scripts/install-packages.sh --first >"$log" 2>&1 || {
    status=$?
    tail -n 5 "$log" >&2
    [ $status -eq 130 ] || echo "all of it: $log" >&2
    exit $status
}
# asked for now: later the line of progress would write over the question
if [ "$(id -u)" -ne 0 ] && [ -n "$(scripts/install-packages.sh --missing)" ]; then sudo -v; fi
exec /usr/bin/python3 scripts/setup.py
