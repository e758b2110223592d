// The ladder of a conversation around the present moment: each node a line, each link's crossing an arrow.

import { firstFrom, LOST, type Scene } from "./data.ts";
import { h, svg } from "./dom.ts";
import { moment } from "./format.ts";
import { say } from "./phrases.ts";
import type { Viewer } from "./viewer.ts";

const BEFORE = 18;
const AFTER = 22;
const LANE_PX = { least: 120, most: 200 };
const CHARACTER_PX = 6.2;
const TIME_PX = 92;
const HEAD_PX = 34;
const ROW_PX = 20;
/** Moments that are closer share a row. */
const SAME_NS = 1500;

export interface Step {
  row: number;
  from: number;
  to: number;
  /** Number of the row of the picture where it starts, and where it ends. */
  start: number;
  end: number;
}

export interface Ladder {
  nodes: string[];
  steps: Step[];
  /** Moments of the picture's rows, in ns. */
  times: number[];
}

/** Nodes, arrows and rows of some movements, which are in the order in which they follow from one another. */
export function arrange(scene: Scene, rows: readonly number[]): Ladder {
  const there = new Set(rows.flatMap((row) => [scene.from(row), scene.to(row)]));
  // from left to right as in the drawing of the network
  const nodes = scene.head.nodes.filter((node) => there.has(node.name)).sort((one, two) => one.x - two.x || one.y - two.y);
  const lanes = new Map(nodes.map((node, lane) => [node.name, lane]));
  const steps = rows.map((row) => ({ row, from: lanes.get(scene.from(row))!, to: lanes.get(scene.to(row))!, start: 0, end: 0 }));
  const moments = steps
    .flatMap((step) => [{ step, time: scene.sent[step.row], first: true }, { step, time: scene.arrived(step.row), first: false }])
    .sort((one, two) => one.time - two.time);
  const times: number[] = [];
  const used = new Map<string, number>();
  for (const { step, time, first } of moments) {
    const pair = `${Math.min(step.from, step.to)} ${Math.max(step.from, step.to)}`;
    const taken = first && used.get(pair) === times.length - 1; // two arrows would lie on each other
    if (times.length === 0 || time - times[times.length - 1] > SAME_NS || taken) times.push(time);
    const place = times.length - 1;
    if (first) step.start = place;
    step.end = place;
    used.set(pair, place);
  }
  return { nodes: nodes.map((node) => node.name), steps, times };
}

export function ladderPanel(viewer: Viewer): HTMLElement {
  const { scene, player, choice } = viewer;
  const last = player.begun - 1;
  const row = choice && "packet" in choice ? choice.packet : last;
  if (row < 0) return h("p", { class: "quiet" }, say("no_packets"));
  const all = scene.conversation(row);
  const at = firstFrom(all, last + 1);
  const shown = all.slice(Math.max(0, at - BEFORE), at + AFTER);
  const [one, two] = scene.talkEnds(scene.columns.talk[row]);
  return h(
    "div", {},
    h("h2", {}, `${scene.protocol(row)} ${one} – ${two}`),
    h("div", { class: "scroll" }, picture(viewer, arrange(scene, shown), row, viewer.room())),
  );
}

function picture(viewer: Viewer, ladder: Ladder, chosen: number, room: number): SVGElement {
  const { player } = viewer;
  const lane_px = Math.max(LANE_PX.least, Math.min(LANE_PX.most, (room - TIME_PX) / ladder.nodes.length));
  const width = TIME_PX + lane_px * ladder.nodes.length;
  const height = HEAD_PX + ROW_PX * (ladder.times.length + 1);
  const x = (lane: number) => TIME_PX + lane_px * (lane + 0.5);
  const y = (row: number) => HEAD_PX + ROW_PX * (row + 0.5);
  const parts: SVGElement[] = ladder.nodes.flatMap((name, lane) => [
    svg("text", { x: x(lane), y: 18, class: "host" }, name),
    svg("line", { x1: x(lane), x2: x(lane), y1: HEAD_PX - 6, y2: height, class: "lane" }),
  ]);
  const now = firstFrom(ladder.times, player.time + 1) - 1;
  if (now >= 0) parts.push(svg("rect", { x: 0, y: y(now) - ROW_PX / 2, width, height: ROW_PX, class: "present" }));
  const named = new Set<number>();
  for (const step of ladder.steps) {
    if (!named.has(step.start)) {
      named.add(step.start);
      parts.push(svg("text", { x: 4, y: y(step.start) + 4, class: "at" }, moment(ladder.times[step.start], 1e3)));
    }
    parts.push(arrow(viewer, step, chosen, x, y));
  }
  const title = svg("title", {}, say("ladder"));
  return svg("svg", { class: "ladder", width, height, viewBox: `0 0 ${width} ${height}`, role: "img" }, title, ...parts, heads());
}

function arrow(viewer: Viewer, step: Step, chosen: number, x: (lane: number) => number, y: (row: number) => number): SVGElement {
  const { scene } = viewer;
  const lost = scene.status(step.row) === LOST;
  const [x1, y1] = [x(step.from), y(step.start)];
  const share = lost ? 0.55 : 1;
  const [x2, y2] = [x1 + (x(step.to) - x1) * share, y1 + (y(step.end) - y1) * share];
  const same = scene.columns.packet[step.row] === scene.columns.packet[chosen];
  const kind = `arrow${same ? " chosen" : ""}${scene.isLost(step.row) ? " lost" : ""}`;
  const text = scene.text(step.row);
  const most = Math.floor(Math.abs(x(step.to) - x1) / CHARACTER_PX);
  const words = text.length <= most ? text : `${text.slice(0, most - 1)}…`;
  const group = svg(
    "g", { class: kind },
    svg("line", { x1, y1, x2, y2, "marker-end": lost ? "url(#cross)" : "url(#head)" }),
    svg("text", { x: (x1 + x2) / 2, y: (y1 + y2) / 2 - 4 }, words),
    svg("title", {}, text),
  );
  group.addEventListener("click", () => { viewer.choose({ packet: step.row }); });
  return group;
}

function heads(): SVGElement {
  const marker = (id: string, path: string, attributes: Record<string, string>) =>
    svg(
      "marker", { id, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 8, markerHeight: 8, orient: "auto-start-reverse" },
      svg("path", { d: path, ...attributes }),
    );
  return svg(
    "defs", {},
    marker("head", "M0 0L10 5L0 10z", { fill: "context-stroke" }),
    marker("cross", "M2 1L10 9M10 1L2 9", { stroke: "context-stroke", "stroke-width": "2" }),
  );
}
