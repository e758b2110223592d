#!/bin/sh
# Installs Ryu 4.34 into build/ryu, separate from everything else, as locked in requirements/ryu*.txt.
# Its set-up refers to a function that setuptools has dropped, but does not use it. With a current
# eventlet it runs on current Pythons, except for one name that controller/framework.py restores.
set -eu
cd "$(dirname "$0")/.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
/usr/bin/python3 -m venv "$tools"
locked() { "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes "$@"; }
locked --requirement requirements/ryu-build.txt
echo 'import setuptools.command.easy_install as dropped; dropped.get_script_args = None' \
  >"$("$tools/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ryu.pth"
rm -rf build/ryu.part
locked --no-build-isolation --target build/ryu.part --requirement requirements/ryu.txt
# Python 3.12 dropped distutils, which Ryu uses to compare versions:
/usr/bin/python3 -W ignore -c 'import distutils' 2>/dev/null \
  || cp -r build/ryu.part/setuptools/_distutils build/ryu.part/distutils
rm -rf build/ryu
mv build/ryu.part build/ryu
PYTHONPATH=.:build/ryu SDN_FRAMEWORK=ryu /usr/bin/python3 -W ignore -c 'import controller.app'
echo "Ryu is in build/ryu"
