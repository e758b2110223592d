// The clock of the page.

import { firstFrom } from "./data.ts";
import { Film, type Course } from "./film.ts";

/** Without other wishes a typical packet takes so long over its link, … */
const TYPICAL_MS = 900;
/** … or, where links have no delay, a short pause between two packets. */
const LEAST_GAP_NS = 10_000;
const SPEEDS_PER_DECADE = 3;

export type Kind = "packets" | "events" | "losses";

/** ns of the network per ms here that shows a typical packet well; a round number. */
export function usualSpeed(course: Course): number {
  const { sent, took } = course;
  const step = Math.max(1, Math.floor(sent.length / 2000));
  const ways: number[] = [];
  for (let row = 0; row < sent.length; row += step) if (took[row] > 2000) ways.push(took[row]);
  if (ways.length * 4 >= sent.length / step && ways.length > 0) return rounded(part(ways, 0.5) / TYPICAL_MS);
  const gaps: number[] = [];
  for (let row = 1; row < sent.length; row += step) {
    const gap = sent[row] - sent[row - 1];
    if (gap > LEAST_GAP_NS) gaps.push(gap);
  }
  return gaps.length > 0 ? rounded(part(gaps, 0.25) / TYPICAL_MS) : 1e6;
}

function part(values: number[], share: number): number {
  values.sort((one, two) => one - two);
  return values[Math.floor(values.length * share)];
}

/** The nearest of 1, 2, 5, 10, … */
export function rounded(speed: number): number {
  const power = Math.floor(Math.log10(speed));
  const part = speed / 10 ** power;
  const round = part < 1.5 ? 1 : part < 3.5 ? 2 : part < 7.5 ? 5 : 10;
  return round * 10 ** power;
}

export class Player {
  playing = false;
  speed: number;
  readonly course: Course;
  film: Film;
  private position = 0;
  private readonly lost: number[] = [];

  constructor(course: Course, lost: (row: number) => boolean, speed = usualSpeed(course)) {
    this.course = course;
    this.speed = speed;
    this.film = new Film(course, speed);
    for (let row = 0; row < course.sent.length; row++) if (lost(row)) this.lost.push(row);
  }

  /** The moment of the film, in ms. */
  get at(): number {
    return this.position;
  }

  /** The network's time, in ns. */
  get time(): number {
    return this.film.timeAt(this.position);
  }

  /** How many movements have begun. */
  get begun(): number {
    return firstFrom(this.film.starts, this.position + 1e-6);
  }

  /** Rows of lost packets. */
  get losses(): readonly number[] {
    return this.lost;
  }

  /** Lets time pass; returns the silence in ns that was skipped, or 0. */
  tick(ms: number): number {
    if (!this.playing) return 0;
    const before = this.position;
    this.position = Math.min(this.film.end, before + ms);
    if (this.position >= this.film.end) this.playing = false;
    const skip = this.film.skips.findLast((one) => one.at > before && one.at <= this.position);
    return skip?.silence ?? 0;
  }

  private moments(kind: Kind): ArrayLike<number> {
    if (kind === "packets") return this.film.starts;
    return kind === "events" ? this.film.events : this.lost.map((row) => this.film.starts[row]);
  }

  /** Stops at the next moment of a kind; false if there is none. */
  step(kind: Kind): boolean {
    const moments = this.moments(kind);
    const next = firstFrom(moments, this.position + 1e-3);
    this.playing = false;
    if (next >= moments.length) return false;
    this.position = moments[next];
    return true;
  }

  /** Stops at the packet before. */
  back(): boolean {
    const before = firstFrom(this.film.starts, this.position - 1e-3) - 1;
    this.playing = false;
    if (before < 0) return false;
    this.position = this.film.starts[before];
    return true;
  }

  seek(time: number): void {
    this.position = this.film.filmAt(Math.max(this.course.start, Math.min(this.course.end, time)));
  }

  /** Goes to the moment when a movement begins. */
  seekRow(row: number): void {
    this.position = this.film.starts[row];
  }

  play(): void {
    if (this.position >= this.film.end) this.position = 0;
    this.playing = true;
  }

  faster(): void {
    this.become(rounded(this.speed * 10 ** (1 / SPEEDS_PER_DECADE)));
  }

  slower(): void {
    this.become(rounded(this.speed / 10 ** (1 / SPEEDS_PER_DECADE)));
  }

  private become(speed: number): void {
    const row = this.begun - 1;
    const time = this.time;
    this.speed = Math.max(1e-3, Math.min(1e9, speed));
    this.film = new Film(this.course, this.speed);
    if (row >= 0 && this.film.timeAt(this.film.starts[row]) >= time) this.seekRow(row);
    else this.seek(time);
  }
}
