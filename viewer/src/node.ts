// One node as of the bar's moment: what the run recorded of it.

import type { More } from "./data.ts";
import { h, table } from "./dom.ts";
import { moment } from "./format.ts";
import { say } from "./phrases.ts";
import {
  hopsText, linkKey, neighbourKey, reportsAt, routeKey, socketsAt, tableAt, tcpState, word, type Standing,
} from "./states.ts";
import type { Viewer } from "./viewer.ts";

const KINDS = { host: "kind_host", router: "kind_router", switch: "kind_switch" } as const;

export function nodePanel(viewer: Viewer, number: number): HTMLElement {
  const node = viewer.scene.head.nodes[number];
  const rest = h("div", {});
  const kind = KINDS[node.kind as keyof typeof KINDS];
  void viewer.scene.more().then((more) => { rest.append(...recorded(viewer, node.name, more)); });
  return h(
    "article", {},
    h("h2", {}, `${say(kind)} ${node.name}`),
    node.addresses.length ? h("h3", {}, say("interfaces")) : undefined,
    node.addresses.length
      ? table(
          [say("interface"), say("peer"), "IPv4", "IPv6", "MAC"],
          node.addresses.map((row) => [row.interface, row.peer ?? "", row.ipv4 ?? "", row.ipv6 ?? "", row.mac ?? ""]),
        )
      : undefined,
    rest,
  );
}

function recorded(viewer: Viewer, name: string, more: More): HTMLElement[] {
  const time = viewer.player.time;
  const links = tableAt(more.links, name, time, linkKey);
  const neighbours = tableAt(more.neighbours, name, time, neighbourKey);
  const routes = tableAt(more.routes, name, time, routeKey);
  const sockets = socketsAt(more, name, time);
  const reports = reportsAt(more, name, time);
  const logs = (more.logs ?? []).filter((one) => one.node === name);
  const parts = [
    standing("links", links, ["interface", "up", "carrier"]),
    standing("neighbours", neighbours, ["interface", "address", "mac", "state"]),
    standing("routes", routes, ["destination", "hops", "protocol", "metric"]),
    ...(sockets.length ? [h("h3", {}, say("sockets")), socketTable(sockets)] : []),
    ...(reports.length ? [h("h3", {}, say("reports"))] : []),
    ...reports.map((one) => long(one.time === null ? one.title : `${one.title} ${moment(one.time)} s`, one.text)),
    ...(logs.length ? [h("h3", {}, say("logs"))] : []),
    ...logs.map((one) => long(one.log, one.text)),
  ].filter((part) => part !== undefined);
  return parts.length ? parts : [h("p", { class: "quiet" }, say("not_recorded"))];
}

function standing(title: "links" | "neighbours" | "routes", rows: Standing[], columns: string[]): HTMLElement | undefined {
  if (rows.length === 0) return undefined;
  const cell = (row: Standing, name: string) => (name === "hops" ? hopsText(row.row.hops) : word(row.row[name]));
  const titles = { links: say("interfaces"), neighbours: say("neighbours"), routes: say("routes") };
  return h(
    "section", {},
    h("h3", {}, titles[title]),
    table(columns, rows.map((row) => columns.map((name) => cell(row, name))), {
      marked: (at) => (rows[at].newest ? "newest" : ""),
    }),
    rows.some((row) => row.newest) ? h("p", { class: "quiet newest" }, say("changed_last")) : undefined,
  );
}

function socketTable(sockets: Record<string, unknown>[]): HTMLElement {
  return table(
    ["", "", "", ""],
    sockets.map((one) => [
      `${word(one.local)}:${word(one.port)}`, `${word(one.remote)}:${word(one.remote_port)}`, tcpState(one.state),
      `${word(one.receive_queue_bytes)} / ${word(one.send_queue_bytes)} B`,
    ]),
  );
}

function long(title: string, text: string): HTMLElement {
  return h("details", {}, h("summary", {}, title), h("pre", { tabindex: "0" }, text));
}
