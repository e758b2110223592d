// The page's frame: controls, the network, tabs, and what moves them.

import { Bar } from "./bar.ts";
import { aboutPanel, claimsPanel } from "./claims.ts";
import type { Blocks } from "./columns.ts";
import { Scene, type About } from "./data.ts";
import { h } from "./dom.ts";
import { count, duration, moment } from "./format.ts";
import type { Point } from "./geometry.ts";
import { Graph, type Hit } from "./graph.ts";
import { ladderPanel } from "./ladder.ts";
import { linkPanel } from "./link.ts";
import { eventsPanel, momentPanel, networkPanel } from "./moment.ts";
import { nodePanel } from "./node.ts";
import { packetPanel, plots } from "./packet.ts";
import { colourOf, MOST_DRAWN, Packets } from "./packets.ts";
import { say, speak, spoken, told, type Phrase } from "./phrases.ts";
import { courseOf } from "./film.ts";
import { Player, type Kind } from "./player.ts";
import type { Choice, Tab, Viewer } from "./viewer.ts";

const TABS: Tab[] = ["moment", "details", "ladder", "claims", "events", "network", "about"];
/** Tabs whose contents follow the bar. */
const MOVING = new Set<Tab>(["moment", "ladder"]);
const REFRESH_MS = 200;
const NOTE_MS = 2500;

export class Page implements Viewer {
  readonly about: About;
  readonly licences: string;
  scene!: Scene;
  player!: Player;
  choice: Choice;
  private readonly blocks: Blocks;
  private readonly root: HTMLElement;
  private tab: Tab = "moment";
  private number = 0;
  private graph: Graph | undefined;
  private packets!: Packets;
  private bar!: Bar;
  private lit = new Set<number>();
  private chosen = new Set<number>();
  private dirty = true;
  private refreshed = 0;
  private drawn = NaN;
  private last = 0;
  private noteUntil = 0;
  private readonly opened = new Map<number, Scene>();
  private parts!: Record<"stage" | "graph" | "canvas" | "side" | "bar" | "clock" | "speed" | "note" | "play" | "flight" | "event", HTMLElement>;

  constructor(root: HTMLElement, about: About, blocks: Blocks, licences: string) {
    [this.root, this.about, this.blocks, this.licences] = [root, about, blocks, licences];
    if ((about.language ?? navigator.language).startsWith("zh")) speak("zh");
    document.addEventListener("keydown", (event) => { this.key(event); });
    window.addEventListener("resize", () => { this.resized(); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.recolour(); });
    const frame = (now: number): void => {
      this.frame(now);
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  /** Opens a scenario. */
  async open(number: number): Promise<void> {
    if (this.opened.size === 0) this.root.replaceChildren(h("p", { class: "quiet loading" }, say("loading")));
    let scene = this.opened.get(number);
    if (scene === undefined) {
      scene = await Scene.open(this.about.scenes[number], this.blocks);
      this.opened.set(number, scene);
    }
    const opened = scene;
    this.player = new Player(courseOf(scene), (row) => opened.isLost(row));
    [this.scene, this.number, this.choice] = [scene, number, undefined];
    this.lit = new Set();
    this.chosen = new Set();
    this.build();
  }

  /** Makes all elements, as for another scenario or language. */
  private build(): void {
    document.documentElement.lang = spoken() === "zh" ? "zh-CN" : "en";
    const { scene, about } = this;
    this.graph?.destroy();
    const graph = h("div", { class: "graph", "aria-hidden": "true" });
    const canvas = h("canvas", { class: "packets", "aria-hidden": "true" });
    const bar = h("canvas", {
      class: "bar", tabindex: "0", role: "slider", "aria-label": say("time"), "aria-valuemin": "0",
      "aria-valuemax": moment(this.player.course.end),
    });
    const button = (phrase: Phrase, sign: string, act: () => void): HTMLElement =>
      h("button", { onclick: act, title: say(phrase), "aria-label": say(phrase), id: phrase }, sign);
    const play = button("play", "▶", () => { this.toggle(); });
    const [clock, speed, note, flight] = [
      h("output", { class: "clock" }), h("span", { class: "speed" }), h("div", { class: "note", role: "status" }), h("span", { class: "flight" }),
    ];
    const event = h("div", { class: "event" });
    const stage = h("section", { class: "stage" }, graph, canvas, event, note, legend(scene), flight);
    const side = h("div", { class: "panel", id: "panel", role: "tabpanel", tabindex: "0" });
    const tabs = TABS.filter((tab) => tab !== "claims" || about.claims.length).map((tab) =>
      h("button", { role: "tab", id: `tab-${tab}`, "aria-controls": "panel", onclick: () => { this.show(tab); } }, say(tab)),
    );
    this.root.replaceChildren(
      h(
        "header", {}, h("h1", {}, told(about.title, about.chinese)), this.scenarios(),
        button("theme", "◐", () => { this.theme(); }),
        h("button", { id: "language", lang: spoken() === "en" ? "zh" : "en", onclick: () => { this.translate(); } }, spoken() === "en" ? "中文" : "English"),
      ),
      h("main", {}, stage, h("section", { class: "side" }, h("div", { class: "tabs", role: "tablist" }, ...tabs), side)),
      h(
        "footer", {}, bar,
        h(
          "div", { class: "controls" },
          button("start", "⇤", () => { this.seek(this.player.course.start); }), play,
          button("slower", "−", () => { this.player.slower(); this.dirty = true; }),
          button("faster", "+", () => { this.player.faster(); this.dirty = true; }),
          button("next_packet", "→●", () => { this.step("packets"); }),
          button("next_event", "→▼", () => { this.step("events"); }),
          button("next_loss", "→✕", () => { this.step("losses"); }),
          clock, speed, h("span", { class: "quiet marks" }, say("marks")),
        ),
      ),
    );
    this.parts = { stage, graph, canvas, side, bar, clock, speed, note, play, flight, event };
    this.graph = new Graph(graph, scene.head, () => { this.dirty = true; }, (hit, at) => { this.tapped(hit, at); });
    this.packets = new Packets(canvas as HTMLCanvasElement, scene, this.graph);
    const { events } = this.player.course;
    const losses = this.player.losses.map((row) => scene.sent[row]);
    const evidence = about.claims
      .flatMap((claim) => claim.evidence)
      .filter((one) => one.scene === this.number && one.rows.length > 0)
      .map((one) => scene.sent[one.rows[0]]);
    this.bar = new Bar(bar as HTMLCanvasElement, scene, this.player.course, { events, losses, evidence }, (time) => { this.seek(time); });
    this.mark();
    this.show(this.tab);
  }

  private scenarios(): HTMLElement | undefined {
    if (this.about.scenes.length < 2) return undefined;
    const options = this.about.scenes.map((one, at) => h("option", { value: String(at), selected: at === this.number }, one.name));
    const pick = (event: Event): void => { void this.open(Number((event.target as HTMLSelectElement).value)); };
    return h("label", {}, `${say("scenario")} `, h("select", { id: "scenario", onchange: pick }, ...options));
  }

  // ---- time

  private frame(now: number): void {
    const passed = Math.min(100, now - this.last);
    this.last = now;
    if (this.graph === undefined) return;
    const skipped = this.player.tick(passed);
    if (skipped > 0) this.say(say("skipped", duration(skipped)));
    if (this.noteUntil && now > this.noteUntil) this.say("");
    if (!this.dirty && this.drawn === this.player.at) return;
    this.draw(now);
  }

  private draw(now: number): void {
    const { player, parts } = this;
    const again = this.dirty || !player.playing;
    [this.dirty, this.drawn] = [false, player.at];
    this.packets.draw(player, this.chosen, this.lit);
    this.bar.draw(player.time);
    const text = `${moment(player.time)} s`;
    parts.clock.textContent = text;
    parts.bar.setAttribute("aria-valuenow", moment(player.time));
    parts.bar.setAttribute("aria-valuetext", text);
    const last = this.scene.head.events.findLast((one) => one.time_ns <= player.time + 1);
    parts.event.textContent = last ? `▼ ${[last.event, last.node, last.text].filter(Boolean).join(" ")}` : "";
    parts.speed.textContent = say("speed", duration(player.speed * 1000));
    parts.play.textContent = player.playing ? "❚❚" : "▶";
    const name = player.playing ? say("pause") : say("play");
    parts.play.setAttribute("aria-label", name);
    parts.play.title = name;
    const { count: drawn } = this.packets;
    this.root.dataset.packet = this.packets.newest(parts.canvas);
    const more = drawn >= MOST_DRAWN ? say("in_flight_cut", `≥ ${count(drawn)}`, count(MOST_DRAWN)) : say("in_flight", count(drawn));
    parts.flight.textContent = more;
    if (!again && now - this.refreshed < REFRESH_MS) return;
    this.refreshed = now;
    if (MOVING.has(this.tab) || (this.tab === "details" && this.choice && "node" in this.choice)) this.refresh();
    for (const plot of plots) plot.redraw(false, false);
  }

  private toggle(): void {
    if (this.player.playing) this.player.playing = false;
    else this.player.play();
    this.dirty = true;
  }

  private step(kind: Kind): void {
    if (!this.player.step(kind)) this.say(say("no_more"));
    this.dirty = true;
  }

  seek(time: number): void {
    this.player.playing = false;
    this.player.seek(time);
    this.dirty = true;
  }

  // ---- what is chosen

  choose(choice: Choice): void {
    this.choice = choice;
    if (choice && "packet" in choice && !this.onScreen(choice.packet)) {
      this.player.playing = false;
      this.player.seekRow(choice.packet);
    }
    this.mark();
    this.show("details");
  }

  private onScreen(row: number): boolean {
    const { film, at } = this.player;
    return film.starts[row] <= at && at <= film.starts[row] + film.lasts[row];
  }

  private mark(): void {
    const { choice, scene } = this;
    this.chosen = new Set(choice && "packet" in choice ? scene.journey(choice.packet) : []);
    const nodes = choice && "node" in choice ? [scene.head.nodes[choice.node].name] : [];
    const links = choice && "link" in choice ? [choice.link] : [...this.chosen].map((row) => scene.link(row));
    this.graph?.mark("chosen", nodes, links);
    this.graph?.mark("lit", [], [...this.lit].map((row) => scene.link(row)));
    this.dirty = true;
  }

  async light(scene: number, rows: number[]): Promise<void> {
    if (scene !== this.number) await this.open(scene);
    this.lit = new Set(rows.flatMap((row) => this.scene.journey(row)));
    this.player.playing = false;
    this.player.seekRow(rows[0]);
    this.choice = { packet: rows[0] };
    this.mark();
  }

  private tapped(hit: Hit, at: Point): void {
    const row = this.packets.near(at);
    if (row !== undefined) this.choose({ packet: row });
    else if (hit !== undefined) this.choose(hit);
  }

  room(): number {
    return this.parts.side.clientWidth - 30;
  }

  show(tab: Tab): void {
    this.tab = tab;
    for (const one of TABS) {
      document.getElementById(`tab-${one}`)?.setAttribute("aria-selected", String(one === tab));
    }
    this.parts.side.setAttribute("aria-labelledby", `tab-${tab}`);
    this.parts.side.scrollTop = 0;
    this.refresh();
  }

  private refresh(): void {
    for (const plot of plots) plot.destroy();
    plots.clear();
    const focused = document.activeElement;
    const place = this.parts.side.contains(focused) ? [...this.parts.side.querySelectorAll("button")].indexOf(focused as HTMLButtonElement) : -1;
    this.parts.side.replaceChildren(this.panel());
    if (place >= 0) [...this.parts.side.querySelectorAll("button")].at(place)?.focus();
  }

  private panel(): HTMLElement {
    const { choice } = this;
    switch (this.tab) {
      case "moment": return momentPanel(this);
      case "ladder": return ladderPanel(this);
      case "claims": return claimsPanel(this);
      case "events": return eventsPanel(this);
      case "network": return networkPanel(this);
      case "about": return aboutPanel(this);
      case "details":
        if (choice === undefined) return h("p", { class: "quiet" }, say("click_hint"));
        if ("packet" in choice) return packetPanel(this, choice.packet);
        return "node" in choice ? nodePanel(this, choice.node) : linkPanel(this, choice.link);
    }
  }

  // ---- the page itself

  private say(text: string): void {
    this.parts.note.textContent = text;
    this.noteUntil = text ? performance.now() + NOTE_MS : 0;
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey || this.graph === undefined) return;
    const target = event.target as HTMLElement;
    if (target.tagName === "SELECT" || (event.key === " " && target.closest("button, summary"))) return;
    const acts: Record<string, () => void> = {
      " ": () => { this.toggle(); },
      ArrowRight: () => { this.step("packets"); },
      ArrowLeft: () => { if (!this.player.back()) this.say(say("no_more")); this.dirty = true; },
      e: () => { this.step("events"); },
      l: () => { this.step("losses"); },
      "+": () => { this.player.faster(); this.dirty = true; },
      "=": () => { this.player.faster(); this.dirty = true; },
      "-": () => { this.player.slower(); this.dirty = true; },
      Home: () => { this.seek(this.player.course.start); },
      Escape: () => { this.lit = new Set(); this.choose(undefined); this.show("moment"); },
    };
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key] as (() => void) | undefined;
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  private resized(): void {
    this.bar.invalidate();
    this.graph?.fit();
    this.dirty = true;
  }

  private theme(): void {
    const { dataset } = document.documentElement;
    const dark = dataset.theme ? dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    dataset.theme = dark ? "light" : "dark";
    this.recolour();
  }

  private recolour(): void {
    if (this.graph === undefined) return;
    this.graph.restyle(this.parts.graph);
    this.bar.invalidate();
    this.refresh();
    this.dirty = true;
  }

  private translate(): void {
    speak(spoken() === "en" ? "zh" : "en");
    const { choice, tab } = this;
    this.build();
    this.choice = choice;
    this.show(tab);
  }
}

/** What the colours mean, of the protocols that there are. */
function legend(scene: Scene): HTMLElement {
  const protocols = scene.names();
  const shown = protocols.filter((name) => colourOf(name) !== "other").slice(0, 8);
  const items = shown.map((name) => h("li", {}, h("span", { class: "dot", style: `background: var(--${colourOf(name)})` }), name));
  if (shown.length < protocols.length) items.push(h("li", {}, h("span", { class: "dot", style: "background: var(--other)" }), say("other")));
  items.push(h("li", {}, h("span", { class: "loss" }, "✕"), ` ${say("lost_mark")}`));
  if (scene.head.links.some((link) => !link.captured.includes(true))) items.push(h("li", {}, `┄ ${say("unseen")}`));
  return h("ul", { class: "legend" }, ...items);
}
