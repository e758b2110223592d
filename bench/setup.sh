#!/bin/sh
# Measures the first quarter of an hour: how long set-up takes on a bare Debian, from nothing, and
# what it weighs. As root, with debootstrap; everything is in one folder, which is removed.
#   bench/setup.sh [SUITE [CACHE [TARGET...]]]
# SUITE: bookworm (the default) or trixie. CACHE: a cache folder whose guest kernel is taken instead
# of building one; - for none. TARGET: what make makes instead of the first experiment.
set -eu
cd "$(dirname "$0")/.."
suite=${1:-bookworm} cache=${2:--}
[ $# -lt 2 ] || shift; [ $# -lt 1 ] || shift
root=$(mktemp -d "${TMPDIR:-/var/tmp}/testbed-setup-XXXXXX")
chmod 755 "$root"  # it becomes "/": exim's set-up reads /etc/passwd as another user
trap 'rm -rf --one-file-system "$root"' EXIT
trap 'exit 130' INT TERM HUP

debootstrap --variant=minbase --include=make,ca-certificates "$suite" "$root" >"$root.log" 2>&1 || {
    tail -n 3 "$root.log" >&2
    exit 3
}
rm "$root.log"
mkdir -p "$root/root/testbed" "$root/root/.cache/network-testbed"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --no-dereference -t "$root/root/testbed"
[ "$cache" = - ] || cp -a "$cache/kernels" "$root/root/.cache/network-testbed/"
# the machine's own way to the network
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/apt/sources.list.d/debian.sources \
    /etc/apt/apt.conf.d/*proxy* /etc/ssl/certs/ca-certificates.crt; do
    case "$suite $file" in trixie*debian.sources) continue ;; esac
    [ ! -f "$file" ] || cp --parents --dereference "$file" "$root"
done

cat >"$root/root/measure" <<'MEASURE'
set -eu
cd /root/testbed
size() { du -sm "$@" 2>/dev/null | awk '{ sum += $1 } END { print sum " MB" }'; }
before=$(size --one-file-system /)
began=$(date +%s)
make setup </dev/null
set_up=$(date +%s)
make "$@" </dev/null || true
ended=$(date +%s)
echo "set-up            $((set_up - began)) s"
echo "make $*           $((ended - set_up)) s"
echo "bare system       $before"
echo "system and all    $(size --one-file-system /)"
echo "Python packages   $(size .venv), $(ls -d .venv/lib/python3*/site-packages/*.dist-info | wc -l) packages"
echo "guest kernel      $(size /root/.cache/network-testbed/kernels)"
MEASURE

# mounts and processes end with their namespaces, whatever happens
unshare --mount --pid --fork --kill-child --propagation private sh -c '
    mount --rbind /dev "$1/dev"
    mount -t proc proc "$1/proc"
    mount -t sysfs -o ro sysfs "$1/sys"
    root=$1; shift
    exec chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" \
        sh /root/measure "$@"' sh "$root" "${@:-exp-$(ls experiments | head -n 1)}"
