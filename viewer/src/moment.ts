// The packets up to the present moment, the table of events, and the list of nodes and links.

import { h, table } from "./dom.ts";
import { moment } from "./format.ts";
import { say } from "./phrases.ts";
import type { Viewer } from "./viewer.ts";

const LISTED = 40;
const MOST_LOSSES = 300;

/** The last packets up to now, newest first. */
export function momentPanel(viewer: Viewer): HTMLElement {
  const { scene, player } = viewer;
  const to = player.begun;
  const rows = Array.from({ length: Math.min(LISTED, to) }, (_, at) => to - 1 - at);
  if (rows.length === 0) return h("p", { class: "quiet" }, say("no_packets"));
  const cells = rows.map((row) => [
    moment(scene.sent[row]),
    `${scene.from(row)} → ${scene.to(row)}`,
    h(
      "span", {}, scene.text(row),
      scene.isLost(row) ? h("b", { class: "loss" }, ` ✕ ${say("lost_mark")}`) : undefined,
      scene.mark(row) ? h("i", { class: "odd" }, ` ${scene.mark(row)}`) : undefined,
    ),
  ]);
  return table([`${say("time")} (s)`, say("link"), say("what")], cells, {
    pick: (at) => { viewer.choose({ packet: rows[at] }); },
    marked: (at) => (player.film.starts[rows[at]] === player.at ? "now" : ""),
  });
}

interface Line {
  time: number;
  kind: string;
  text: string;
  row?: number;
}

/** The run's events and its losses in one table; the first cell of a row leads to its moment. */
export function eventsPanel(viewer: Viewer): HTMLElement {
  const { scene } = viewer;
  const lines: Line[] = scene.head.events.map((one) => ({
    time: one.time_ns, kind: one.event, text: [one.node, one.text].filter(Boolean).join(" "),
  }));
  let losses = 0;
  for (let row = 0; row < scene.count; row++) {
    if (!scene.isLost(row) || ++losses > MOST_LOSSES) continue;
    const where = `${scene.from(row)} → ${scene.to(row)}`;
    lines.push({ time: scene.sent[row], kind: say("loss"), text: `${where}: ${scene.text(row)}`, row });
  }
  lines.sort((one, two) => one.time - two.time);
  const go = (at: number): void => {
    const { row, time } = lines[at];
    if (row === undefined) viewer.seek(time);
    else viewer.choose({ packet: row });
  };
  const cells = lines.map((line) => [moment(line.time), line.kind, line.text]);
  return h(
    "div", {},
    table([`${say("time")} (s)`, say("event"), say("what")], cells, {
      pick: go,
      marked: (at) => (lines[at].row === undefined ? "" : "loss"),
    }),
    losses > MOST_LOSSES ? h("p", { class: "quiet" }, say("more_losses", losses - MOST_LOSSES)) : undefined,
  );
}

/** Nodes and links as buttons: what can be clicked in the drawing, for keyboards and readers. */
export function networkPanel(viewer: Viewer): HTMLElement {
  const { nodes, links } = viewer.scene.head;
  const kinds = { host: say("kind_host"), router: say("kind_router"), switch: say("kind_switch") };
  return h(
    "div", {},
    table(
      [say("network"), "", "IP"],
      nodes.map((node) => [
        node.name, kinds[node.kind as keyof typeof kinds], node.addresses.map((row) => row.ipv4).filter(Boolean).join(", "),
      ]),
      { pick: (node) => { viewer.choose({ node }); } },
    ),
    table(
      [say("link"), say("interfaces"), ""],
      links.map((link) => [link.nodes.join(" – "), link.interfaces.join(" – "), link.shapes.join(", ")]),
      { pick: (link) => { viewer.choose({ link }); } },
    ),
  );
}
