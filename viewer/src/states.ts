// What is true of a node at a moment, from what changed before it.

import type { Change, More } from "./data.ts";

export interface Standing {
  row: Change;
  /** Whether nothing in this table changed later. */
  newest: boolean;
}

/**
 * A table of a node at a moment.
 *
 * @param changes in time's order; an action `del` removes an entry, all others set it
 * @param key what names an entry
 */
export function tableAt(
  changes: Change[] | undefined, node: string, time: number, key: (row: Change) => string,
): Standing[] {
  const entries = new Map<string, Change>();
  let newest = -Infinity;
  for (const row of changes ?? []) {
    if (row.time_ns > time) break;
    if (row.node !== node) continue;
    if (row.action !== "have") newest = row.time_ns;
    if (row.action === "del") entries.delete(key(row));
    else entries.set(key(row), row);
  }
  return [...entries.values()].map((row) => ({ row, newest: row.action !== "have" && row.time_ns === newest }));
}

export const routeKey = (row: Change): string => `${word(row.family)} ${word(row.destination)} ${word(row.metric)}`;
export const neighbourKey = (row: Change): string => `${word(row.interface)} ${word(row.address)}`;
export const linkKey = (row: Change): string => word(row.interface);

/** A value of JSON as text; nothing for one that is not there. */
export function word(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The next hops of a route: `via 10.0.0.1 out r1-eth0`. */
export function hopsText(hops: unknown): string {
  if (!Array.isArray(hops)) return word(hops);
  return (hops as Record<string, unknown>[])
    .map((hop) => [hop.via ? `via ${word(hop.via)}` : "", word(hop.out)].filter(Boolean).join(" "))
    .join(", ");
}

/** The latest table of sockets that was recorded of a node up to a moment. */
export function socketsAt(more: More, node: string, time: number): Record<string, unknown>[] {
  const seen = (more.sockets ?? []).filter((one) => one.node === node && one.time_ns <= time);
  return seen.at(-1)?.sockets ?? [];
}

const TCP_STATES = [
  "", "ESTABLISHED", "SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSE", "CLOSE-WAIT",
  "LAST-ACK", "LISTEN", "CLOSING", "SYN-RECEIVED",
];

/** The name of a TCP state by the kernel's number (include/net/tcp_states.h). */
export function tcpState(number: unknown): string {
  return typeof number === "number" ? (TCP_STATES[number] ?? String(number)) : word(number);
}

/** What daemons of a node reported, last up to a moment; what has no moment comes last. */
export function reportsAt(more: More, node: string, time: number): { title: string; text: string; time: number | null }[] {
  const own = (more.states ?? []).filter((one) => one.node === node);
  const latest = new Map<string, (typeof own)[number]>();
  const counted = new Map<string, number>();
  for (const one of own) {
    if (one.time_ns !== null && one.time_ns > time) continue;
    const place = `${one.daemon} ${one.label}`;
    const nth = (counted.get(place) ?? 0) + 1;
    counted.set(place, nth);
    const before = latest.get(`${one.daemon} ${nth}`);
    if (before === undefined || (before.time_ns ?? 0) <= (one.time_ns ?? 0)) latest.set(`${one.daemon} ${nth}`, one);
  }
  return [...latest.values()].map((one) => ({ title: `${one.daemon} (${one.label})`, text: one.text, time: one.time_ns }));
}
