#!/bin/sh
# Installs Python packages in .venv, with the versions locked in requirements/*.txt.
#   install-python.sh         what every user needs, and the project itself
#   install-python.sh NAME    the packages of requirements/NAME.txt as well
# The environment is closed: of the system's Python packages it sees only Mininet, through a link.
set -eu
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
python=${PYTHON:-/usr/bin/python3}
mininet=/usr/lib/python3/dist-packages/mininet

pip() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" || {
        echo "the Python packages are not installed (see above); if a download broke off," \
            "call the same command again" >&2
        exit 3
    }
}
locked() { pip --require-hashes --no-build-isolation --use-pep517 "$@"; }

if [ $# -gt 0 ]; then
    locked --requirement "requirements/$1.txt"
    exit 0
fi

# recreated when the lock changes, so that it contains exactly what the lock says
key=$("$python" -VV | cat - requirements/base.txt requirements/build.txt | cksum)
if [ "$(cat "$venv/.locked" 2>/dev/null)" != "$key" ]; then
    "$python" -m venv --clear "$venv" || {
        echo "this Python cannot make virtual environments: on Debian that is the package python3-venv" >&2
        exit 3
    }
    locked --requirement requirements/build.txt
    locked --requirement requirements/base.txt
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    ln -sfn "$mininet" "$site/mininet"
    echo "$key" >"$venv/.locked"
fi
pip --no-deps --no-build-isolation --editable .
# files that setuptools leaves here would take precedence over installed ones and become stale
rm -rf network_testbed.egg-info
