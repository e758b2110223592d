"""The kernel side of one network: collects requests and sends them in few system calls."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from testbed.core.errors import MissingPrerequisiteError
from testbed.net import orphan, owned, rtnl, traffic
from testbed.net.namespaces import Namespace, Rooms, read_setting
from testbed.net.netlink import Message, NetlinkError, NetlinkSocket
from testbed.net.shape import LinkShape

_FIRST_INDEX_AT_RUN_TIME = 1001
_FIRST_WIRE = 1_000_001  # never the number of the interface at the other end

CONTROL_SETTINGS = {
    "net/ipv6/conf/default/disable_ipv6": "1",  # of ports; its loopback speaks IPv6
    "net/ipv4/igmp_link_local_mcast_reports": "0",
}

SILENT_SETTINGS = {
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
}
"""Settings of a namespace that only forwards frames: without IPv6, ports send no ND or MLD."""

_PATCHED = Path("/sys/module/veth/parameters/wire")
"""Where our guest kernel's patch is switched."""

Result = TypeVar("Result")


class Engine:
    """Collects what a network needs and makes the kernel do it.

    Outside `batch` every request is executed immediately. Within, requests wait until the block
    ends: then links are made, then what belongs to each namespace, each in order.

    Attributes:
        rooms: namespaces and processes.
        control: the namespace of controllers and Open vSwitch, which must reach each other.
        wires: the namespace with the wires of shaped links; see `testbed.net.wire`.
        virtual_clock: True where the kernel's clock is virtual and therefore never late.
        notes: deviations of this kernel; stored in the run's record.
        is_free: True while no network has taken over its nodes.
    """

    def __init__(self) -> None:
        kernel_options = Path("/proc/cmdline").read_text()
        self.virtual_clock = "time-travel" in kernel_options
        self.rooms = Rooms(owned.new_run(), on_machine="rootfstype=hostfs" not in kernel_options)
        self.control = Namespace("control", settings=CONTROL_SETTINGS)
        self.wires = Namespace("wires", settings=SILENT_SETTINGS, next_index=_FIRST_WIRE)
        # A link is requested from a namespace that has none of the names and indexes asked for.
        self._yard = Namespace("yard")
        self._fresh: dict[str, str] = {}
        self._at_close: list[Callable[[], None]] = []
        self._links: list[Message] = []
        self._requests: dict[int, tuple[Namespace, list[Message]]] = {}
        self._batching = False
        self._built = False
        self.is_free = False
        self.notes: list[str] = []
        atexit.register(self.close)

    def fd(self, namespace: Namespace) -> int:
        """Open file of the namespace, created if it does not exist."""
        if namespace.fd is None:
            self._learn_fresh(namespace.settings)
            self.rooms.call(self.rooms.create, namespace, self._fresh)
            namespace.next_index = max(namespace.next_index, self._first_index)
        assert namespace.fd is not None
        return namespace.fd

    @cached_property
    def _first_index(self) -> int:
        """Behind the devices the kernel itself puts into every namespace (``tunl0``, ...)."""
        return 1 + max(state.index for state in self.ask(self._yard, lambda s: list(rtnl.links(s))))

    def _learn_fresh(self, settings: Mapping[str, str]) -> None:
        """Read a new namespace's settings, so that only differences are written."""
        if self._yard.fd is None:
            self.rooms.call(self.rooms.create, self._yard, {})
        unknown = [path for path in settings if path not in self._fresh]
        if unknown:
            read = self.inside(self._yard, lambda: [read_setting(path) for path in unknown])
            self._fresh.update(zip(unknown, read, strict=True))

    @cached_property
    def has_netem(self) -> bool:
        """Whether this kernel has netem."""
        self._learn_fresh({})
        probe = traffic.wire(LinkShape(), rtnl.LOOPBACK_INDEX, 0, "probe")
        try:
            self.ask(self._yard, lambda socket: socket.send([probe]))
        except NetlinkError as error:
            if _missing_in_kernel(error) is None:
                raise
            return False
        return True

    @cached_property
    def orphan_fd(self) -> int | None:
        """The program of `testbed.net.orphan`; None if it is not needed or not possible."""
        if self.virtual_clock or _PATCHED.exists():  # our own kernel does it by itself
            return None
        self._learn_fresh({})
        try:
            fd = orphan.load()
            probe = orphan.messages(rtnl.LOOPBACK_INDEX, fd, "probe")
            self.ask(self._yard, lambda socket: socket.send(probe))
        except (OSError, NetlinkError) as error:
            self.notes.append(f"a queue behind a switch holds back its senders' sockets: {error}")
            return None
        self.at_close(lambda: os.close(fd))
        return fd

    def orphan(self, namespace: Namespace, index: int, what: str) -> None:
        """From now on, packets that leave by the interface belong to no socket."""
        if self.orphan_fd is not None:
            self.request(namespace, *orphan.messages(index, self.orphan_fd, what))

    def index(self, namespace: Namespace) -> int:
        """A free interface index; at run time beyond those that the kernel assigns."""
        self.fd(namespace)
        if self._built:
            namespace.next_index = max(namespace.next_index, _FIRST_INDEX_AT_RUN_TIME)
        return namespace.take_index()

    def link(self, message: Message) -> None:
        """Request a link; its ends name their namespaces."""
        self._links.append(message)
        if not self._batching:
            self.flush()

    def request(self, namespace: Namespace, *messages: Message) -> None:
        """Request something in one namespace."""
        self.fd(namespace)
        self._requests.setdefault(id(namespace), (namespace, []))[1].extend(messages)
        if not self._batching:
            self.flush()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Collect the requests made in the block and execute them at its end."""
        if self._batching:
            yield
            return
        self._batching = True
        try:
            yield
        finally:
            self._batching = False
        self.flush()
        self._built = True

    def flush(self) -> None:
        """Execute all waiting requests.

        Raises:
            NetlinkError: the kernel refused a request.
            MissingPrerequisiteError: the kernel lacks a queue discipline.
        """
        links, requests = self._links, list(self._requests.values())
        self._links, self._requests = [], {}
        try:
            self.rooms.call(self._do, links, requests)
        except NetlinkError as error:
            missing = _missing_in_kernel(error)
            if missing is None:
                raise
            raise missing from error

    def _do(
        self,
        links: list[Message],
        requests: Iterable[tuple[Namespace, list[Message]]],
    ) -> None:
        if links:
            with self.rooms.socket(self._yard) as socket:
                socket.send(links)
        for namespace, messages in requests:
            with self.rooms.socket(namespace) as socket:
                socket.send(messages)

    def ask(self, namespace: Namespace, question: Callable[[NetlinkSocket], Result]) -> Result:
        """Answer to a query over a netlink socket of the namespace."""

        def within() -> Result:
            with self.rooms.socket(namespace) as socket:
                return question(socket)

        return self.rooms.call(within)

    def inside(self, namespace: Namespace, function: Callable[[], Result]) -> Result:
        """Run a function that opens files or sockets of the namespace."""

        def within() -> Result:
            self.rooms.enter(namespace)
            return function()

        return self.rooms.call(within)

    def proc(self, namespace: Namespace, path: str) -> str:
        """A file of the namespace in /proc, e.g. ``net/tcp``."""
        return self.inside(namespace, lambda: self.rooms.read_proc(path))

    def at_close(self, function: Callable[[], None]) -> None:
        """Call a function when the network is gone."""
        self._at_close.append(function)

    def close(self) -> None:
        """Remove the network from the kernel; happens automatically when the program ends."""
        atexit.unregister(self.close)
        try:
            self.rooms.close()
        finally:  # after Ctrl-C, too
            while self._at_close:
                self._at_close.pop()()


def _missing_in_kernel(error: NetlinkError) -> MissingPrerequisiteError | None:
    """Turns a refusal into an error about what shaped links need and this kernel lacks."""
    if "kind is unknown" not in error.detail and "not found" not in error.detail:
        return None
    return MissingPrerequisiteError(
        f"shaping of links (delay, loss, bw) in the running kernel {os.uname().release}",
        "make setup (it builds the guest's kernel, which has it; run with --runtime guest)",
        error.detail,
    )
