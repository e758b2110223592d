// What the parts of the page know of each other.

import type { About, Scene } from "./data.ts";
import type { Player } from "./player.ts";

export type Tab = "moment" | "details" | "ladder" | "claims" | "events" | "network" | "about";

export type Choice = { packet: number } | { node: number } | { link: number } | undefined;

export interface Viewer {
  readonly about: About;
  readonly scene: Scene;
  readonly player: Player;
  readonly choice: Choice;
  readonly licences: string;
  /** Opens something, and shows it. */
  choose(choice: Choice): void;
  /** Moves the bar; the clock stops. */
  seek(time: number): void;
  /** Width of the panel, in px. */
  room(): number;
  /** Shows a tab. */
  show(tab: Tab): void;
  /** Lights up the packets of a claim's evidence and goes to the first of them. */
  light(scene: number, rows: number[]): Promise<void>;
}
