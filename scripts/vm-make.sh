#!/bin/sh
# In the virtual machine: copies the project from the shared folder, runs make on it, and copies runs
# and the guest kernel back. Shared folders lack features that a virtual environment needs (links,
# owners, locks), so all work is done on a copy. If the shared folder contains an image, runs use it.
set -eu
shared=${TESTBED_SHARED:-/vagrant}
copy=${TESTBED_COPY:-$HOME/testbed}
cache=${TESTBED_CACHE:-$HOME/.cache/network-testbed}
kept=$shared/.vagrant/testbed-cache

if ! command -v make >/dev/null || ! command -v rsync >/dev/null; then
    sudo apt-get update -q
    sudo apt-get install -q -y --no-install-recommends make rsync
fi
mkdir -p "$copy" "$cache"
take() { rsync --recursive --links --times --executability "$@"; }

# virtiofs keeps the host's owners, whose IDs may differ from ours: copied files must belong to them
if mkdir -p "$kept" 2>/dev/null && [ -w "$kept" ] && [ -w "$shared" ]; then
    bring() { take "$@"; }
else
    owner=$(stat --format %u:%g "$shared")
    sudo install -d -o "${owner%:*}" -g "${owner#*:}" "$shared/.vagrant" "$kept"
    bring() {
        sudo rsync --recursive --links --times --executability --owner --group --chown="$owner" "$@"
    }
fi

take --delete --exclude=/.git --exclude=/.venv --exclude=/.vagrant --exclude=/build --exclude=/runs \
    --exclude=__pycache__ --exclude='*.so' --exclude='*.egg-info' --exclude='.*_cache' --exclude='/testbed-image-*.xz' \
    "$shared/" "$copy/"
if [ -d "$kept/kernels" ]; then take --ignore-existing "$kept/kernels" "$cache/"; fi

# with an image in the project's folder, nothing else has to be installed or built for the guest
image=$(ls -t "$shared"/testbed-image-*.xz 2>/dev/null | head -n 1)
case "$(uname -m) $image" in
    "x86_64 "?*) export TESTBED_IMAGE="$image" ;;
esac

root=""
case "$(uname -m) ${1:-}" in
    x86_64*) ;;
    *exp-* | *test | *bench) root="sudo -E" ;;  # no guest kernel: use the machine's own, as root
esac
status=0
(cd "$copy" && $root make "$@") || status=$?

new=""
for run in "$copy"/runs/*/; do
    name=runs/$(basename "$run")
    if [ -d "$copy/$name" ] && [ ! -e "$shared/$name" ]; then new="$new $name"; fi
done
if [ -d "$copy/runs" ]; then bring --no-links --ignore-existing "$copy/runs" "$shared/"; fi
if [ -d "$cache/kernels" ]; then bring --ignore-existing --exclude='*.lock' "$cache/kernels" "$kept/"; fi
[ -z "$new" ] || echo "on the host:$new"
exit $status
