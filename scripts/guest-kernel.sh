#!/bin/sh
# Makes sure that there is a guest kernel: our own, or Debian's if ours cannot be built.
set -u
cd "$(dirname "$0")/.."
/usr/bin/python3 -m testbed.machine.kernel build
status=$?
case $status in
    0 | 130) exit $status ;;
esac
echo "the guest kernel could not be built (see above): no virtual clock, and results are not" >&2
echo "the same on every machine; 'testbed kernel build' tries again" >&2
if [ "$(uname -m)" = x86_64 ]; then
    scripts/install-packages.sh user-mode-linux && echo "Debian's user-mode-linux serves" >&2
fi
exit 0
