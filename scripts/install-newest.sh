#!/bin/sh
# Creates an environment in FOLDER with the newest packages that pyproject.toml's ranges allow, for
# `make test-newest`. It matches what users get who install the project as a library.
set -eu
cd "$(dirname "$0")/.."
folder=$1
/usr/bin/python3 -m venv --clear "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade --editable '.[dev]' || {
    echo "the Python packages are not installed (see above); call the same command again" >&2
    exit 3
}
site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
ln -sfn /usr/lib/python3/dist-packages/mininet "$site/mininet"
