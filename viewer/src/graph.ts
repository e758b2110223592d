// The network: Cytoscape draws nodes and links, and a canvas of ours the packets on them.

import cytoscape from "cytoscape";
import type { GraphNode, Link, SceneHead } from "./data.ts";
import { onWay, type Point } from "./geometry.ts";

export type Hit = { node: number } | { link: number } | undefined;

const SHAPES: Record<string, string> = { host: "round-rectangle", router: "ellipse", switch: "rectangle" };

export class Graph {
  private readonly cy: cytoscape.Core;
  private readonly nodes: GraphNode[];
  private readonly links: Link[];
  private readonly places: Map<string, Point>;

  constructor(place: HTMLElement, scene: SceneHead, changed: () => void, tapped: (hit: Hit, at: Point) => void) {
    this.nodes = scene.nodes;
    this.links = scene.links;
    this.places = new Map(scene.nodes.map((node) => [node.name, { x: node.x, y: node.y }]));
    const ids = new Map(scene.nodes.map((node, number) => [node.name, `n${number}`]));
    this.cy = cytoscape({
      container: place,
      elements: [...scene.nodes.map(nodeElement), ...scene.links.map((link, number) => linkElement(link, number, ids))],
      layout: { name: "preset" },
      style: style(place),
      minZoom: 0.05,
      maxZoom: 4,
      boxSelectionEnabled: false,
      autoungrabify: true,
    });
    this.fit();
    this.cy.on("render pan zoom resize", changed);
    this.cy.on("tap", (event) => {
      const target = event.target as cytoscape.SingularElementArgument;
      const hit = target === (this.cy as unknown) ? undefined : this.hit(target.id());
      tapped(hit, event.renderedPosition);
    });
  }

  private hit(id: string): Hit {
    const number = Number(id.slice(1));
    return id.startsWith("n") ? { node: number } : { link: number };
  }

  /** Shows all of the network; small ones are not blown up. */
  fit(): void {
    this.cy.resize();
    this.cy.fit(undefined, 28);
    if (this.cy.zoom() > 1.6) {
      this.cy.zoom(1.6);
      this.cy.center();
    }
  }

  restyle(place: HTMLElement): void {
    this.cy.style(style(place));
  }

  zoom(): number {
    return this.cy.zoom();
  }

  /** Where a packet is on the screen, in px. */
  at(link: number, end: number, share: number): Point {
    const { nodes, bend } = this.links[link];
    const from = this.places.get(nodes[0])!;
    const to = this.places.get(nodes[1])!;
    const { x, y } = onWay(from, to, bend, end === 0 ? share : 1 - share);
    const zoom = this.cy.zoom();
    const pan = this.cy.pan();
    return { x: x * zoom + pan.x, y: y * zoom + pan.y };
  }

  /** Marks nodes and links; all others lose their marks. */
  mark(name: "chosen" | "lit", nodes: Iterable<string>, links: Iterable<number>): void {
    const wanted = new Set(nodes);
    this.cy.batch(() => {
      this.cy.elements(`.${name}`).removeClass(name);
      this.nodes.forEach((node, number) => {
        if (wanted.has(node.name)) this.cy.getElementById(`n${number}`).addClass(name);
      });
      for (const link of links) this.cy.getElementById(`l${link}`).addClass(name);
    });
  }

  /** The middle of a node or of a link, on the screen. */
  middle(hit: NonNullable<Hit>): Point {
    if ("link" in hit) return this.at(hit.link, 0, 0.5);
    return this.cy.getElementById(`n${hit.node}`).renderedPosition();
  }

  destroy(): void {
    this.cy.destroy();
  }
}

function nodeElement(node: GraphNode, number: number): cytoscape.ElementDefinition {
  const address = node.kind === "switch" ? undefined : node.addresses.find((row) => row.ipv4 && row.interface !== "lo")?.ipv4;
  const several = node.addresses.filter((row) => row.ipv4 && row.interface !== "lo").length > 1;
  const label = address && !several ? `${node.name}\n${address}` : node.name;
  return {
    data: { id: `n${number}`, label, width: Math.max(44, ...label.split("\n").map((line) => 7 * line.length + 14)) },
    position: { x: node.x, y: node.y },
    classes: node.kind,
  };
}

function linkElement(link: Link, number: number, ids: Map<string, string>): cytoscape.ElementDefinition {
  const [source, target] = link.nodes.map((name) => ids.get(name)!);
  return {
    data: { id: `l${number}`, source, target, label: link.shapes.join("\n"), bend: 2 * link.bend },
    classes: `${link.bend === 0 ? "straight" : "bent"} ${link.captured.includes(true) ? "seen" : "unseen"}`,
  };
}

/** The look, from the page's colours. */
function style(place: HTMLElement): cytoscape.StylesheetJson {
  const colours = getComputedStyle(place);
  const colour = (name: string) => colours.getPropertyValue(`--${name}`).trim();
  const kinds = Object.entries(SHAPES).map(([kind, shape]) => ({
    selector: `.${kind}`,
    style: { shape, "background-color": colour(kind) },
  }));
  return [
    {
      selector: "node",
      style: {
        label: "data(label)", width: "data(width)", height: 36, "text-valign": "center", "text-halign": "center",
        "text-wrap": "wrap", "font-size": 12, "font-family": "system-ui, sans-serif", color: colour("text"),
        "border-width": 1.5, "border-color": colour("line-strong"), "min-zoomed-font-size": 6,
      },
    },
    ...kinds,
    {
      selector: "edge",
      style: {
        width: 2, "line-color": colour("line"), "curve-style": "straight", label: "data(label)", "font-size": 9, "text-max-width": "105px",
        color: colour("quiet"), "text-wrap": "wrap", "text-background-color": colour("stage"),
        "text-background-opacity": 0.85, "text-background-padding": "2px", "text-margin-y": -9, "text-rotation": "autorotate",
        "min-zoomed-font-size": 7, "overlay-padding": 6,
      },
    },
    {
      selector: ".bent",
      style: {
        "curve-style": "unbundled-bezier", "control-point-distances": "data(bend)", "control-point-weights": 0.5,
        "edge-distances": "node-position",
      },
    },
    { selector: ".unseen", style: { "line-style": "dashed" } },
    { selector: "node.chosen", style: { "border-color": colour("accent"), "border-width": 4 } },
    { selector: "edge.lit", style: { "line-color": colour("lit"), width: 4 } },
    { selector: "edge.chosen", style: { "line-color": colour("accent"), width: 4 } },
  ] as unknown as cytoscape.StylesheetJson;
}
