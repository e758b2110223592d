#!/bin/sh
# Types and style of the viewer's page (viewer/), checked in a copy: what only developers need is
# installed there, as locked in viewer/package-lock.json.
set -eu
cd "$(dirname "$0")/.."
python=${VENV:-.venv}/bin/python
node=$("$python" -c 'from testbed.viewer import bundle; print(bundle.node())')
PATH="$node/bin:$PATH"
rm -rf build/viewer/src build/viewer/test
mkdir -p build/viewer
cp -R viewer/src viewer/test viewer/*.js viewer/*.json viewer/.npmrc build/viewer/
cd build/viewer
# nothing is left in the home folder
export npm_config_cache="$PWD/.npm" npm_config_logs_dir="$PWD/.npm/_logs"
node "$node/lib/node_modules/npm/bin/npm-cli.js" ci --silent
node node_modules/typescript/bin/tsc
node node_modules/eslint/bin/eslint.js .
