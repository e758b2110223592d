// One packet: its way through the network, its conversation, its layers and its bytes.

import uPlot from "uplot";
import { ARRIVAL_GUESSED, EXPIRES, isSentBy, LOST, SEEN, START_GUESSED, type Field, type Layers, type Scene, type Window } from "./data.ts";
import { h, table } from "./dom.ts";
import { count, duration, moment } from "./format.ts";
import { say } from "./phrases.ts";
import type { Viewer } from "./viewer.ts";

const ROW_BYTES = 16;
const MOST_HOPS = 60;

export function packetPanel(viewer: Viewer, row: number): HTMLElement {
  const { scene } = viewer;
  const [from, to] = scene.ends(row);
  const layers = h("div", { class: "layers" });
  const curve = h("div", { class: "plot" });
  void scene.layers(row).then((found) => { layers.append(found ? layersView(found) : absent(scene, row)); });
  void scene.more().then((more) => {
    const windows = more.windows?.filter((one) => isSentBy(one, from, to) || isSentBy(one, to, from)) ?? [];
    for (const window of windows) if (curve.isConnected) drawWindow(curve, window, viewer);
  });
  return h(
    "article", { class: "packet" },
    h("h2", {}, scene.text(row)),
    h("p", { class: "quiet" }, `${moment(scene.sent[row])} s · ${from} → ${to} · ${count(scene.columns.bytes[row])} ${say("bytes")}`),
    scene.mark(row) ? h("p", { class: "odd" }, scene.mark(row)) : undefined,
    h("h3", {}, say("on_the_way")),
    way(viewer, row),
    h("h3", {}, say("layers")),
    layers,
    h("h3", {}, say("conversation")),
    conversation(viewer, row),
    curve,
  );
}

/** What became of a packet on a link. */
export function fate(scene: Scene, row: number): string {
  if (scene.status(row) === LOST) return say("lost");
  if (scene.stop(row) === EXPIRES) return say("expires", scene.to(row));
  if (scene.stop(row) !== 0) return say("stops", scene.to(row));
  if (scene.status(row) === ARRIVAL_GUESSED) return say("arrival_guessed");
  return scene.status(row) === START_GUESSED ? say("start_guessed") : say("seen");
}

function way(viewer: Viewer, row: number): HTMLElement {
  const { scene } = viewer;
  const rows = scene.journey(row);
  const at = Math.max(0, Math.min(rows.indexOf(row) - MOST_HOPS / 2, rows.length - MOST_HOPS));
  const shown = rows.slice(at, at + MOST_HOPS);
  const cells = shown.map((one) => [
    moment(scene.sent[one]),
    `${scene.from(one)} → ${scene.to(one)}`,
    scene.status(one) === SEEN ? duration(scene.took[one]) : "",
    h("span", { class: scene.isLost(one) ? "loss" : "" }, fate(scene, one)),
    scene.places(one).map(({ capture, frame }) => `${capture} ${frame}`).join(", "),
  ]);
  const headings = [`${say("time")} (s)`, say("link"), "", "", `${say("capture_file")}, ${say("packet")}`];
  const found = table(headings, cells, {
    pick: (place) => { viewer.choose({ packet: shown[place] }); },
    marked: (place) => (shown[place] === row ? "now" : ""),
  });
  found.classList.add("way");
  return found;
}

function conversation(viewer: Viewer, row: number): HTMLElement {
  const { scene } = viewer;
  const rows = scene.conversation(row);
  const [one, two] = scene.talkEnds(scene.columns.talk[row]);
  const packets = new Set(rows.map((at) => scene.columns.packet[at])).size;
  const lasted = scene.arrived(rows[rows.length - 1]) - scene.sent[rows[0]];
  return h(
    "p", {}, `${scene.protocol(row)} ${one} – ${two}: ${say("packets_of", count(packets), duration(lasted))} `,
    h("button", { onclick: () => { viewer.show("ladder"); } }, say("open_ladder")),
  );
}

function absent(scene: Scene, row: number): HTMLElement {
  const commands = scene.places(row).map(({ capture, frame }) => `testbed capture packet ${capture}.pcap ${frame}`);
  return h("p", {}, `${say("no_layers")} `, h("code", {}, commands[0] ?? ""));
}

/** A tree of fields, with the bytes next to it; a field that is pointed at shows its bytes. */
export function layersView(layers: Layers): HTMLElement {
  const dump = h("pre", { class: "bytes", tabindex: "0" });
  const cells: HTMLElement[] = [];
  const total = layers.hex.length / 2;
  for (let at = 0; at < total; at += ROW_BYTES) {
    dump.append(`${at.toString(16).padStart(4, "0")} `);
    for (let byte = at; byte < Math.min(at + ROW_BYTES, total); byte++) {
      const cell = h("span", {}, layers.hex.slice(2 * byte, 2 * byte + 2));
      cells.push(cell);
      dump.append(" ", cell);
    }
    dump.append(`${"   ".repeat(Math.max(0, at + ROW_BYTES - total))}  ${characters(layers.hex, at)}\n`);
  }
  const point = (start: number, length: number): void => {
    cells.forEach((cell, at) => { cell.classList.toggle("of", at >= start && at < start + length); });
  };
  const fields = layers.tree.map((field, at) => fieldView(field, point, at === layers.tree.length - 1));
  return h("div", { class: "both" }, h("div", { class: "tree" }, ...fields), dump);
}

function characters(hex: string, from: number): string {
  const bytes = hex.slice(2 * from, 2 * (from + ROW_BYTES)).match(/../g) ?? [];
  return bytes.map((byte) => parseInt(byte, 16)).map((one) => (one >= 32 && one < 127 ? String.fromCharCode(one) : ".")).join("");
}

function fieldView(field: Field, point: (start: number, length: number) => void, open: boolean): HTMLElement {
  const [name, value, start, length, problem, children] = field;
  const words = [
    h("span", { class: "name" }, name), value ? h("span", {}, `: ${value}`) : undefined,
    problem ? h("b", { class: "loss" }, ` [${problem}]`) : undefined,
  ];
  const show = (event: Event): void => {
    event.stopPropagation();
    point(start, length);
  };
  if (!children) return h("div", { class: "field", tabindex: "0", onmouseover: show, onfocus: show, onclick: show }, ...words);
  return h(
    "details", { open },
    h("summary", { onmouseover: show, onfocus: show }, ...words),
    ...children.map((child) => fieldView(child, point, false)),
  );
}

function drawWindow(place: HTMLElement, window: Window, viewer: Viewer): void {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`);
  const axis = { stroke: colour("text"), grid: { stroke: colour("line"), width: 0.5 } };
  const plot = new uPlot(
    {
      width: Math.max(260, place.clientWidth), height: 200, title: say("window"),
      scales: { x: { time: false } },
      axes: [{ ...axis, label: "s" }, axis],
      series: [
        { label: "s" }, { label: "cwnd", stroke: colour("tcp"), width: 1.5 },
        { label: "ssthresh", stroke: colour("udp"), width: 1.5, dash: [6, 3] },
      ],
      hooks: { draw: [cursorAt(() => viewer.player.time / 1e9, colour("accent"))] },
    },
    [window.time_s, window.cwnd, window.ssthresh],
    place,
  );
  plots.add(plot);
}

/** Plots that show the present moment. */
export const plots = new Set<uPlot>();

/** Draws the present moment into a plot. */
export function cursorAt(time: () => number, colour: string): (plot: uPlot) => void {
  return (plot) => {
    const x = plot.valToPos(time(), "x", true);
    if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) return;
    plot.ctx.fillStyle = colour;
    plot.ctx.fillRect(x - 1, plot.bbox.top, 2, plot.bbox.height);
  };
}
