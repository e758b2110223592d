"""Kernel modules of Debian's guest kernel; ours has none.

The kernel cannot find them by itself: they lie outside of /lib/modules. So what networks need is
loaded before anything else, with what it depends on (the list is depmod's, see depmod(8)).
"""

from __future__ import annotations

import ctypes
import os

FOLDER = "/usr/lib/uml/modules"

_NEEDED = (
    "kernel/fs/overlayfs/",
    "kernel/net/sched/",
    "kernel/net/ipv4/tcp_",
    "kernel/net/bridge/bridge.",
    "kernel/net/openvswitch/openvswitch.",
    "kernel/drivers/net/veth.",
    "kernel/drivers/net/ifb.",
    "kernel/drivers/net/dummy.",
    "kernel/drivers/net/tun.",
    "kernel/drivers/net/vrf.",
    "kernel/net/8021q/",
    "kernel/net/packet/",
    "kernel/net/ipv6/ipv6.",
    "kernel/net/netfilter/nf_",
    "kernel/net/netfilter/nft_",
    "kernel/net/ipv4/inet_diag.",
    "kernel/net/mpls/",
)
_SYS_FINIT_MODULE = 313
_libc = ctypes.CDLL(None, use_errno=True)


def load_all() -> None:
    """Loads what networks need; nothing if this kernel has no folder of modules."""
    root = f"{FOLDER}/{os.uname().release}"
    if not os.path.isfile(f"{root}/modules.dep"):
        return
    with open(f"{root}/modules.dep") as lines:
        needs = {name: rest.split() for name, _, rest in (x.partition(":") for x in lines)}
    loaded: set[str] = set()
    for name in sorted(needs):
        if name.startswith(_NEEDED):
            for each in (*reversed(needs[name]), name):  # the deepest dependency stands last
                if each not in loaded:
                    _load(f"{root}/{each}")
                    loaded.add(each)


def _load(path: str) -> None:
    """A module that this kernel refuses (for another machine, say) is done without."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    _libc.syscall(_SYS_FINIT_MODULE, fd, b"", 0)
    os.close(fd)
