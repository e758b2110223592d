#!/bin/sh
# Installs missing Debian packages of testbed/machine/packages.txt (or of the arguments);
# --extra NAME: those of testbed/machine/packages-NAME.txt instead;
# --first: only those needed to build the kernel and the virtual environment;
# --missing: only prints the names of the missing ones.
# Services that come with them are started neither now nor at boot; each run starts its own.
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C

list_file=testbed/machine/packages.txt
if [ "${1-}" = --extra ]; then list_file="testbed/machine/packages-$2.txt"; shift 2; fi
only_name=""
if [ "${1-}" = --missing ]; then only_name=yes; shift; fi

list() {
    if [ "${1-}" = --first ]; then
        sed -n -e 's/^\([a-z][^ |]*\) .*| building the guest kernel$/\1/p' \
            -e 's/^\([a-z][^ |]*\) .*| the virtual environment$/\1/p' "$list_file"
    elif [ $# -gt 0 ]; then printf '%s\n' "$@"; else
        sed -e '/^#/d' -e '/^[[:space:]]*$/d' -e 's/[[:space:]]*|.*//' "$list_file"
    fi
}

missing=""
for package in $(list "$@"); do
    status=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
if [ -n "$only_name" ]; then echo $missing; exit 0; fi
[ -n "$missing" ] || exit 0

echo "installing Debian packages:$missing"
if [ "$(id -u)" -eq 0 ]; then sudo=""
elif command -v sudo >/dev/null; then sudo=sudo
else
    echo "root is needed: run as root 'apt-get install$missing', then again what you ran" >&2
    exit 3
fi

# shellcheck disable=SC2086  # lists of words, and no sudo for root
$sudo sh -eu -s -- $missing <<'ROOT'
services() { dpkg-query --listfiles "$@" 2>/dev/null | sed -n 's,.*/systemd/system/\([^/]*\.service\)$,\1,p'; }
installed() { dpkg-query --show --showformat '${db:Status-Status} ${binary:Package}\n' | sed -n 's/^installed //p' | sort; }
before=$(mktemp) after=$(mktemp)
policy=/usr/sbin/policy-rc.d
ours=""
leave() { rm -f "$before" "$after"; [ -z "$ours" ] || rm -f "$policy"; }
trap leave EXIT
trap 'exit 130' INT TERM HUP

installed >"$before"
if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
dpkg --configure -a  # finish an interrupted installation
install() { apt-get install -q -y --no-install-recommends "$@"; }
if ! install --simulate "$@" >/dev/null 2>&1; then apt-get update -q; fi
install "$@" || { apt-get update -q; install "$@"; }
installed >"$after"
new=$(comm -13 "$before" "$after")
if [ -n "$new" ] && command -v systemctl >/dev/null; then
    for service in $(services $new); do
        systemctl disable --quiet "$service" 2>/dev/null || true
    done
fi
ROOT
