// Packets on their way, drawn on a canvas above the network.

import { LOST, TCP_FLAGS, type Scene } from "./data.ts";
import type { Point } from "./geometry.ts";
import type { Graph } from "./graph.ts";
import type { Player } from "./player.ts";

export const MOST_DRAWN = 500;
const MOST_LABELLED = 14;
const NEAR_PX = 16;

/** Colours by protocol, as names of the page's style. */
const COLOURS: Partial<Record<string, string>> = {
  TCP: "tcp", HTTP: "tcp", TLS: "tcp", "HTTP/2": "tcp", WebSocket: "tcp", OpenFlow: "tcp", UDP: "udp", DNS: "udp", DHCP: "udp",
  QUIC: "udp", ICMP: "icmp", ICMPv6: "icmp", echo: "icmp", ARP: "arp", OSPF: "routing", OSPFv3: "routing", RIP: "routing",
  RIPng: "routing", IGMP: "routing",
};

export function colourOf(name: string, protocol = name): string {
  return COLOURS[name] ?? COLOURS[protocol] ?? "other";
}

/** How far on its link a packet is drawn, from 0 to 1, and whether it is drawn as lost. */
export function progress(start: number, lasts: number, at: number, lost: boolean): { share: number; gone: boolean } {
  const share = Math.min(1, Math.max(0, (at - start) / lasts));
  return lost && share > 0.5 ? { share: 0.5, gone: true } : { share, gone: false };
}

/** One or two words next to a packet. */
export function label(scene: Scene, row: number): string {
  const flags = scene.columns.flags[row];
  const names = TCP_FLAGS.filter(([bit]) => (flags & bit) !== 0 && bit !== 16 && bit !== 8).map(([, name]) => name);
  if (scene.name(row) !== "TCP") return scene.name(row);
  return names.join(" ") || (scene.columns.bytes[row] > 90 ? "TCP" : "ACK");
}

export class Packets {
  private readonly canvas: HTMLCanvasElement;
  private readonly scene: Scene;
  private readonly graph: Graph;
  private shown: { row: number; at: Point }[] = [];
  /** Packets on their way when it was drawn last. */
  count = 0;

  constructor(canvas: HTMLCanvasElement, scene: Scene, graph: Graph) {
    this.canvas = canvas;
    this.scene = scene;
    this.graph = graph;
  }

  draw(player: Player, chosen: ReadonlySet<number>, lit: ReadonlySet<number>): void {
    const { scene, canvas } = this;
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const context = canvas.getContext("2d")!;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const { starts, lasts, flights } = player.film;
    const rows = flights.at(player.at, MOST_DRAWN);
    this.count = rows.length;
    const style = getComputedStyle(canvas);
    const colour = (name: string) => style.getPropertyValue(`--${name}`);
    this.shown = [];
    for (const row of rows.reverse()) {
      const lost = scene.status(row) === LOST;
      const { share, gone } = progress(starts[row], lasts[row], player.at, lost);
      const at = this.graph.at(scene.link(row), scene.end(row), share);
      const stopped = scene.stop(row) !== 0 && share > 0.8;
      const radius = 4 + 3 * Math.min(1, scene.columns.bytes[row] / 1500);
      this.shown.push({ row, at });
      context.fillStyle = colour(colourOf(scene.name(row), scene.protocol(row)));
      if (gone || stopped) cross(context, at, radius + 2, colour("loss"));
      else disc(context, at, radius);
      if (lit.has(row)) ring(context, at, radius + 4, colour("lit"));
      if (chosen.has(row)) ring(context, at, radius + 4, colour("accent"));
    }
    if (rows.length <= MOST_LABELLED) this.write(context, colour("text"), colour("stage"));
  }

  private write(context: CanvasRenderingContext2D, colour: string, halo: string): void {
    context.font = "11px system-ui, sans-serif";
    context.lineWidth = 3;
    context.strokeStyle = halo;
    context.fillStyle = colour;
    const written: Point[] = [];
    for (const { row, at } of this.shown) {
      const text = label(this.scene, row);
      if (written.some((other) => Math.abs(other.x - at.x) < 8 * text.length + 6 && Math.abs(other.y - at.y) < 12)) continue;
      written.push(at);
      context.strokeText(text, at.x + 9, at.y - 7);
      context.fillText(text, at.x + 9, at.y - 7);
    }
  }

  /** The packet at a place on the screen. */
  near(at: Point): number | undefined {
    let best: number | undefined;
    let least = NEAR_PX;
    for (const { row, at: place } of this.shown) {
      const distance = Math.hypot(place.x - at.x, place.y - at.y);
      if (distance <= least) [best, least] = [row, distance];
    }
    return best;
  }

  /** Where in the window the newest packet is, for programs that drive the page. */
  newest(canvas: HTMLElement): string {
    const last = this.shown.at(-1)?.at;
    if (last === undefined) return "";
    const box = canvas.getBoundingClientRect();
    return `${Math.round(box.left + last.x)} ${Math.round(box.top + last.y)}`;
  }
}

function disc(context: CanvasRenderingContext2D, { x, y }: Point, radius: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function ring(context: CanvasRenderingContext2D, { x, y }: Point, radius: number, colour: string): void {
  context.strokeStyle = colour;
  context.lineWidth = 3;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.stroke();
}

function cross(context: CanvasRenderingContext2D, { x, y }: Point, radius: number, colour: string): void {
  context.strokeStyle = colour;
  context.lineWidth = 3;
  context.beginPath();
  context.moveTo(x - radius, y - radius);
  context.lineTo(x + radius, y + radius);
  context.moveTo(x + radius, y - radius);
  context.lineTo(x - radius, y + radius);
  context.stroke();
}
