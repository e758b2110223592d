// One link: its rate over time in both directions, its queues and what they dropped.

import uPlot from "uplot";
import type { Queue } from "./data.ts";
import { h, table } from "./dom.ts";
import { count } from "./format.ts";
import { rates, type Rates } from "./rates.ts";
import { cursorAt, plots } from "./packet.ts";
import { say } from "./phrases.ts";
import type { Viewer } from "./viewer.ts";

export function linkPanel(viewer: Viewer, number: number): HTMLElement {
  const { scene, player } = viewer;
  const link = scene.head.links[number];
  const found = rates(scene, number, player.course.start, player.course.end);
  const arrows = [`${link.nodes[0]} → ${link.nodes[1]}`, `${link.nodes[1]} → ${link.nodes[0]}`];
  const plot = h("div", { class: "plot" });
  requestAnimationFrame(() => { draw(plot, viewer, found, arrows); });
  return h(
    "article", {},
    h("h2", {}, `${say("link")} ${link.nodes.join(" – ")}`),
    ...link.shapes.map((shape) => h("p", {}, shape)),
    h("p", { class: "quiet" }, link.interfaces.map((name, end) => `${name}${link.captured[end] ? `: captures/${name}.pcap` : ""}`).join(" · ")),
    plot,
    table(
      ["", say("totals"), say("dropped_there")],
      arrows.map((arrow, end) => [arrow, count(found.packets[end]), count(found.gone[end])]),
    ),
    h("h3", {}, say("queue")),
    queues(link.interfaces, link.queues),
  );
}

function queues(interfaces: readonly string[], all: readonly Queue[][]): HTMLElement {
  const rows = all.flatMap((queues, end) =>
    queues.map((one) => [
      interfaces[end], `${one.kind} (${one.place})`, count(one.sent_pkts ?? 0), count(one.dropped_pkts ?? 0),
    ]),
  );
  if (rows.length === 0) return h("p", { class: "quiet" }, say("none"));
  return table([say("interface"), say("queue"), say("sent"), say("dropped")], rows);
}

function draw(place: HTMLElement, viewer: Viewer, found: Rates, arrows: string[]): void {
  const style = getComputedStyle(place);
  const colour = (name: string) => style.getPropertyValue(`--${name}`);
  const axis = { stroke: colour("text"), grid: { stroke: colour("line"), width: 0.5 } };
  plots.add(
    new uPlot(
      {
        width: Math.max(260, place.clientWidth), height: 220, title: say("rate"),
        scales: { x: { time: false } },
        axes: [{ ...axis, label: "s" }, axis],
        series: [
          { label: "s" },
          { label: arrows[0], stroke: colour("tcp"), width: 1.5 },
          { label: arrows[1], stroke: colour("udp"), width: 1.5, dash: [6, 3] },
        ],
        hooks: { draw: [cursorAt(() => viewer.player.time / 1e9, colour("accent"))] },
      },
      [found.time_s, ...found.mbps],
      place,
    ),
  );
}

