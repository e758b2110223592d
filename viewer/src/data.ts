// What the page shows, as testbed/viewer collects it.

import { json, numbers, type Blocks, type Column, type Numbers } from "./columns.ts";

export interface Address {
  interface: string;
  peer: string | null;
  ipv4: string | null;
  ipv6: string | null;
  mac: string | null;
}

export interface GraphNode {
  name: string;
  kind: string;
  x: number;
  y: number;
  addresses: Address[];
}

export interface Queue {
  place: string;
  kind: string;
  sent_pkts: number | null;
  sent_bytes: number | null;
  dropped_pkts: number | null;
}

export interface Link {
  nodes: [string, string];
  interfaces: [string, string];
  bend: number;
  shapes: string[];
  captured: [boolean, boolean];
  queues: [Queue[], Queue[]];
}

export interface RunEvent {
  time_ns: number;
  event: string;
  text: string;
  node?: string;
}

export interface Evidence {
  what: string;
  scene: number | null;
  capture: string;
  frames: number;
  rows: number[];
}

export interface Claim {
  claim: string;
  sentence: string;
  source: string;
  status: string;
  observed: string;
  expected: string;
  evidence: Evidence[];
}

export interface SceneHead {
  name: string;
  nodes: GraphNode[];
  links: Link[];
  end_ns: number;
  events: RunEvent[];
  columns: Record<string, Column>;
  talks: string;
  texts: string;
  opened: Column;
  layers: string[];
  more: string;
}

export interface About {
  kind: "run" | "capture";
  title: string;
  experiment?: string;
  folder?: string;
  seed?: number;
  clock?: string;
  /** English → Chinese, of the title and the claims. */
  chinese?: Record<string, string>;
  /** What the user chose; without it the browser's language decides. */
  language?: "en" | "zh";
  notes: string[];
  claims: Claim[];
  scenes: SceneHead[];
}

export interface Talks {
  names: string[];
  protocol: number[];
  one: number[];
  one_port: number[];
  two: number[];
  two_port: number[];
}

/** Name, value, first byte, bytes, problem, children. */
export type Field = [string, string, number, number, string?, Field[]?];

export interface Layers {
  tree: Field[];
  hex: string;
}

export type Change = Record<string, unknown> & { time_ns: number; node: string; action: string };

export interface Window {
  ends: string[];
  time_s: number[];
  cwnd: number[];
  ssthresh: (number | null)[];
}

/** Whether a congestion window is of the sender of a conversation. */
export function isSentBy(window: Window, from: string, to: string): boolean {
  const [saddr, sport, daddr, dport] = window.ends;
  return withPort(saddr, Number(sport)) === from && withPort(daddr, Number(dport)) === to;
}

export interface More {
  routes?: Change[];
  neighbours?: Change[];
  links?: Change[];
  states?: { node: string; daemon: string; label: string; time_ns: number | null; text: string }[];
  logs?: { node: string | null; log: string; text: string }[];
  sockets?: { time_ns: number; node: string; sockets: Record<string, unknown>[] }[];
  windows?: Window[];
}

/** Of a movement: how much of it was captured. */
export const SEEN = 0, ARRIVAL_GUESSED = 1, START_GUESSED = 2, LOST = 3;
/** Of a movement: what became of it where it arrived. */
export const STOPS = 1, EXPIRES = 2;

const TURNED = 16;
const CHUNK = 100;
export const TCP_FLAGS: [number, string][] = [
  [2, "SYN"], [1, "FIN"], [4, "RST"], [8, "PSH"], [16, "ACK"], [32, "URG"], [64, "ECE"], [128, "CWR"],
];

const COLUMNS = [
  "sent", "took", "way", "state", "out", "into", "bytes", "flags", "talk", "packet", "text", "mark",
] as const;

type ColumnName = (typeof COLUMNS)[number];

/** A scenario with its columns in memory; a row is a packet's way over one link. */
export class Scene {
  readonly head: SceneHead;
  readonly count: number;
  readonly talks: Talks;
  readonly texts: string[];
  readonly sent: Float64Array;
  readonly took: Numbers;
  readonly columns: Record<ColumnName, Numbers>;
  readonly opened: Numbers;
  private readonly blocks: Blocks;
  private readonly chunks = new Map<number, Promise<Layers[]>>();
  private more_: Promise<More> | undefined;
  /** What was looked for last: it is asked for again while time passes. */
  private readonly kept: Record<"packet" | "talk", readonly number[]> = { packet: [], talk: [] };

  private constructor(
    head: SceneHead, blocks: Blocks, columns: Record<ColumnName, Numbers>, opened: Numbers, talks: Talks, texts: string[],
  ) {
    this.head = head;
    this.blocks = blocks;
    this.columns = columns;
    this.opened = opened;
    this.talks = talks;
    this.texts = texts;
    this.sent = columns.sent as Float64Array;
    this.took = columns.took;
    this.count = this.sent.length;
  }

  static async open(head: SceneHead, blocks: Blocks): Promise<Scene> {
    const read = COLUMNS.map(async (name) => [name, await numbers(blocks, head.columns[name])] as const);
    const columns = Object.fromEntries(await Promise.all(read)) as Record<ColumnName, Numbers>;
    const opened = await numbers(blocks, head.opened);
    const talks = (await json(blocks, head.talks)) as Talks;
    return new Scene(head, blocks, columns, opened, talks, (await json(blocks, head.texts)) as string[]);
  }

  link(row: number): number {
    return this.columns.way[row] >> 1;
  }

  /** Which end of its link sent it: 0 or 1. */
  end(row: number): number {
    return this.columns.way[row] & 1;
  }

  from(row: number): string {
    return this.head.links[this.link(row)].nodes[this.end(row)];
  }

  to(row: number): string {
    return this.head.links[this.link(row)].nodes[1 - this.end(row)];
  }

  status(row: number): number {
    return this.columns.state[row] & 3;
  }

  stop(row: number): number {
    return (this.columns.state[row] >> 2) & 3;
  }

  arrived(row: number): number {
    return this.sent[row] + this.took[row];
  }

  /** Lost on the link, or stopped where it arrived. */
  isLost(row: number): boolean {
    return this.status(row) === LOST || this.stop(row) !== 0;
  }

  protocol(row: number): string {
    return this.talks.names[this.talks.protocol[this.columns.talk[row]]];
  }

  /** Addresses with ports of its sender and of its target. */
  ends(row: number): [string, string] {
    const [one, two] = this.talkEnds(this.columns.talk[row]);
    return (this.columns.state[row] & TURNED) === 0 ? [one, two] : [two, one];
  }

  talkEnds(talk: number): [string, string] {
    const { names, one, one_port, two, two_port } = this.talks;
    return [withPort(names[one[talk]], one_port[talk]), withPort(names[two[talk]], two_port[talk])];
  }

  /** What the packet says, in a few words. */
  text(row: number): string {
    const known = this.texts[this.columns.text[row]];
    if (known !== "") return known;
    const flags = TCP_FLAGS.filter(([bit]) => (this.columns.flags[row] & bit) !== 0).map(([, name]) => name);
    const [from, to] = this.ends(row);
    const words = flags.length ? ` [${flags.join(", ")}]` : "";
    return `${this.protocol(row)} ${from} → ${to}${words} ${this.columns.bytes[row]} B`;
  }

  /** Its protocol, as far up as the page knows: RIP rather than UDP. */
  name(row: number): string {
    const known = this.texts[this.columns.text[row]];
    return known === "" ? this.protocol(row) : known.slice(0, (known + " ").indexOf(" "));
  }

  /** All such names. */
  names(): string[] {
    const found = new Set<string>();
    const done = new Uint8Array(this.texts.length);
    for (let row = 0; row < this.count; row++) {
      const text = this.columns.text[row];
      if (text !== 0 && done[text] === 1) continue;
      done[text] = 1;
      found.add(this.name(row));
    }
    return [...found];
  }

  mark(row: number): string {
    return this.texts[this.columns.mark[row]];
  }

  /** Capture and packet number: where the packet was sent, and where it arrived. */
  places(row: number): { capture: string; frame: number; sent: boolean }[] {
    const { interfaces } = this.head.links[this.link(row)];
    const end = this.end(row);
    return [
      { capture: interfaces[end], frame: this.columns.out[row], sent: true },
      { capture: interfaces[1 - end], frame: this.columns.into[row], sent: false },
    ].filter((place) => place.frame > 0);
  }

  /** All rows of the same packet, in time's order. */
  journey(row: number): readonly number[] {
    return this.rowsWith("packet", row);
  }

  conversation(row: number): readonly number[] {
    return this.rowsWith("talk", row);
  }

  private rowsWith(name: "packet" | "talk", row: number): readonly number[] {
    const column = this.columns[name];
    const kept = this.kept[name];
    if (kept.length > 0 && column[kept[0]] === column[row]) return kept;
    const found: number[] = [];
    for (let at = 0; at < this.count; at++) if (column[at] === column[row]) found.push(at);
    this.kept[name] = found;
    return found;
  }

  /** A packet's layers as it was on a link, or undefined if the page does not have them. */
  async layers(row: number): Promise<Layers | undefined> {
    const at = indexOf(this.opened, row);
    if (at < 0) return undefined;
    const chunk = Math.floor(at / CHUNK);
    let read = this.chunks.get(chunk);
    if (read === undefined) {
      read = json(this.blocks, this.head.layers[chunk]) as Promise<Layers[]>;
      this.chunks.set(chunk, read);
    }
    return (await read)[at % CHUNK];
  }

  /** What the run recorded of its nodes. */
  more(): Promise<More> {
    this.more_ ??= json(this.blocks, this.head.more) as Promise<More>;
    return this.more_;
  }
}

function withPort(address: string, port: number): string {
  if (port === 0) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Place of a value among ascending ones, or -1. */
export function indexOf(ascending: Numbers, value: number): number {
  const at = firstFrom(ascending, value);
  return at < ascending.length && ascending[at] === value ? at : -1;
}

/** Place of the first of some ascending values that is not below a certain one. */
export function firstFrom(ascending: ArrayLike<number>, value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
