"""What every application has: a switch's first greeting, helpers to speak to it, a log of events.

An application's handlers are a few lines: decode → pure policy → install. Times given to policies
are seconds of the monotonic clock.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import IO, Any, ClassVar

from controller import frames, settings
from controller.framework import (
    CONFIG_DISPATCHER,
    DEAD_DISPATCHER,
    MAIN_DISPATCHER,
    BaseApp,
    EventBase,
    hub,
    ofp_event,
    ofproto,
    on,
    parser,
)

TABLE_MISS = 0
"""Priority of the flow that sends what no other flow matches to the controller."""

FORWARDING = 10
"""Priority of flows that forward."""

BARRED = 1000
"""Priority of flows that drop on purpose."""

FLOOD = ofproto.OFPP_FLOOD
CONTROLLER = ofproto.OFPP_CONTROLLER


class Alarm(EventBase):  # type: ignore[misc]
    """It is time to do something."""

    def __init__(self, action: Callable[[], None]) -> None:
        super().__init__()
        self.action = action


class App(BaseApp):  # type: ignore[misc]
    """Base of all applications.

    Attributes:
        settings: values of `Settings` from the command line.
        switches: datapath id → the connected switch.
    """

    OFP_VERSIONS: ClassVar[list[int]] = [ofproto.OFP_VERSION]
    Settings: ClassVar[type] = settings.Nothing
    miss_table: ClassVar[int] = 0
    """The table whose misses come here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settings: Any = settings.parse(self.Settings, settings.given.words)
        self.switches: dict[int, Any] = {}
        self._log: IO[str] | None = None
        if settings.given.log:
            self._log = open(settings.given.log, "a", buffering=1, encoding="utf-8")  # noqa: PTH123, SIM115

    def note(self, event: str, **data: Any) -> None:
        """Logs that something happened now: one JSON object a line."""
        if self._log:
            row = {"time_ns": time.time_ns(), "event": event, **data}
            self._log.write(json.dumps(row) + "\n")

    def every(self, seconds: float, action: Callable[[], None]) -> None:
        """Does something again and again, from now on, in the thread that handles events."""

        def work() -> None:
            while True:
                hub.sleep(seconds)
                self.send_event(self.name, Alarm(action))

        hub.spawn(work)

    @on(Alarm, None)
    def _alarm(self, event: Any) -> None:
        event.action()

    # ---- switches come and go

    @on(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def _features(self, event: Any) -> None:
        switch = event.msg.datapath
        self.switches[switch.id] = switch
        self.delete(switch)  # what an earlier controller left behind is unknown to us
        self.prepare(switch)
        to_us = parser.OFPActionOutput(CONTROLLER, ofproto.OFPCML_NO_BUFFER)
        self.install(switch, TABLE_MISS, {}, [to_us], table=self.miss_table)
        self.note("switch", dpid=switch.id)
        self.joined(switch)

    @on(ofp_event.EventOFPStateChange, [MAIN_DISPATCHER, DEAD_DISPATCHER])
    def _state(self, event: Any) -> None:
        dpid = event.datapath.id
        if event.state == DEAD_DISPATCHER and self.switches.get(dpid) is event.datapath:
            del self.switches[dpid]
            self.note("switch-gone", dpid=dpid)
            self.left(dpid)

    def prepare(self, switch: Any) -> None:
        """Installs what must be there before the first packet."""

    def joined(self, switch: Any) -> None:
        """A switch is ready."""

    def left(self, dpid: int) -> None:
        """A switch is gone."""

    # ---- packets

    @on(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def _packet_in(self, event: Any) -> None:
        message = event.msg
        frame = frames.decode(message.data)
        if frame:
            self.packet(message.datapath, message.match["in_port"], frame, message.data)

    def packet(self, switch: Any, port: int, frame: frames.Frame, data: bytes) -> None:
        """A switch sent a packet that came in at `port`."""

    # ---- what we tell switches

    def install(
        self,
        switch: Any,
        priority: int,
        match: dict[str, Any],
        actions: Sequence[Any],
        *,
        idle_s: int = 0,
        hard_s: int = 0,
        table: int = 0,
        goto: int | None = None,
        meter: int | None = None,
        notify: bool = False,
        cookie: int = 0,
    ) -> None:
        """Installs a flow.

        Args:
            switch: where.
            priority: the largest that matches wins.
            match: field → value, as the framework names them; empty: everything.
            actions: applied in order; none: the packet is dropped, unless `goto` leads on.
            idle_s, hard_s: lifetime without packets, and in all; 0: unlimited.
            table: number of the flow table.
            goto: the table that goes on.
            meter: number of a meter every packet must pass.
            notify: the switch tells when the flow ends.
            cookie: a number of ours.
        """
        steps = [parser.OFPInstructionMeter(meter)] if meter is not None else []
        if actions:
            steps.append(parser.OFPInstructionActions(ofproto.OFPIT_APPLY_ACTIONS, list(actions)))
        if goto is not None:
            steps.append(parser.OFPInstructionGotoTable(goto))
        switch.send_msg(
            parser.OFPFlowMod(
                switch,
                cookie=cookie,
                table_id=table,
                priority=priority,
                match=parser.OFPMatch(**match),
                instructions=steps,
                idle_timeout=idle_s,
                hard_timeout=hard_s,
                flags=ofproto.OFPFF_SEND_FLOW_REM if notify else 0,
            )
        )

    def delete(
        self,
        switch: Any,
        match: dict[str, Any] | None = None,
        *,
        priority: int | None = None,
        out_port: int | None = None,
        table: int | None = None,
        cookie: int = 0,
    ) -> None:
        """Deletes the flows that `match` covers; with a `priority`, the one that is exactly so.

        A `cookie` other than 0 leaves flows with another one alone.
        """
        strict = priority is not None
        mask = 0xFFFFFFFFFFFFFFFF if cookie else 0
        switch.send_msg(
            parser.OFPFlowMod(
                switch,
                cookie=cookie,
                cookie_mask=mask,
                table_id=ofproto.OFPTT_ALL if table is None else table,
                command=ofproto.OFPFC_DELETE_STRICT if strict else ofproto.OFPFC_DELETE,
                out_port=ofproto.OFPP_ANY if out_port is None else out_port,
                out_group=ofproto.OFPG_ANY,
                priority=priority or 0,
                match=parser.OFPMatch(**(match or {})),
            )
        )

    def send(
        self, switch: Any, ports: Sequence[int], data: bytes, in_port: int | None = None
    ) -> None:
        """Has a switch send a packet out of ports; flooding leaves `in_port` out."""
        self.apply(switch, [parser.OFPActionOutput(p) for p in ports], data, in_port)

    def apply(
        self, switch: Any, actions: Sequence[Any], data: bytes, in_port: int | None = None
    ) -> None:
        """Has a switch apply actions to a packet."""
        switch.send_msg(
            parser.OFPPacketOut(
                switch,
                buffer_id=ofproto.OFP_NO_BUFFER,
                actions=list(actions),
                data=data,
                in_port=ofproto.OFPP_CONTROLLER if in_port is None else in_port,
            )
        )


def output(*ports: int) -> list[Any]:
    """Actions that send out of ports."""
    return [parser.OFPActionOutput(port) for port in ports]
