#!/bin/sh
# On a host that cannot run experiments: runs make in the virtual machine.
set -eu
cd "$(dirname "$0")/.."
if ! command -v vagrant >/dev/null; then
    echo "experiments need Debian 12 or 13; elsewhere Vagrant brings one: install it, then 'vagrant up'" >&2
    exit 3
fi
if ! vagrant status --machine-readable | grep -q ',state,running'; then
    echo "experiments run in a virtual machine here: start it by 'vagrant up', then this again" >&2
    exit 3
fi
line=/vagrant/scripts/vm-make.sh
for word in "$@"; do
    line="$line '$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'"
done
exec vagrant ssh --no-tty -c "$line"
