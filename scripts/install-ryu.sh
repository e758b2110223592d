#!/bin/sh
# Installs Ryu 4.34 into build/ryu, apart from everything else. Its set-up needs setuptools < 58,
# which later ones have dropped; with a present eventlet it runs on present Pythons, but for one
# name that controller/framework.py puts back.
set -eu
cd "$(dirname "$0")/.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
/usr/bin/python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check 'setuptools<58' wheel pbr
rm -rf build/ryu.part
"$tools/bin/pip" install --quiet --disable-pip-version-check --no-build-isolation \
  --target build/ryu.part 'ryu==4.34' 'eventlet>=0.36' 'dnspython>=2' setuptools
rm -rf build/ryu
mv build/ryu.part build/ryu
PYTHONPATH=.:build/ryu SDN_FRAMEWORK=ryu /usr/bin/python3 -W ignore -c 'import controller.app'
echo "Ryu is in build/ryu"
