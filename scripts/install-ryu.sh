#!/bin/sh
# Installs Ryu 4.34 into build/ryu, apart from everything else, as requirements/ryu*.txt lock it. Its
# set-up takes hold of a function that setuptools has dropped and does not use it; with a present
# eventlet it runs on present Pythons, but for one name that controller/framework.py puts back.
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
# Python 3.12 dropped distutils, of which Ryu compares versions by
/usr/bin/python3 -W ignore -c 'import distutils' 2>/dev/null \
  || cp -r build/ryu.part/setuptools/_distutils build/ryu.part/distutils
rm -rf build/ryu
mv build/ryu.part build/ryu
PYTHONPATH=.:build/ryu SDN_FRAMEWORK=ryu /usr/bin/python3 -W ignore -c 'import controller.app'
echo "Ryu is in build/ryu"
