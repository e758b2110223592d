#!/bin/sh
# Runs make in the virtual machine, on a host that cannot run experiments.
set -eu
cd "$(dirname "$0")/.."
if ! command -v vagrant >/dev/null; then
    echo "experiments need Debian 12 or 13; on other systems install Vagrant, then run 'vagrant up'" >&2
    exit 3
fi
if ! vagrant status --machine-readable | grep -q ',state,running'; then
    echo "experiments run in a virtual machine here; start it with 'vagrant up', then repeat this command" >&2
    exit 3
fi
line=/vagrant/scripts/vm-make.sh
for word in "$@"; do
    line="$line '$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'"
done
exec vagrant ssh --no-tty -c "$line"
