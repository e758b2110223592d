// When things are on the screen: network time, stretched where much happens at once, cut where nothing does.

import { firstFrom, LOST, type Scene } from "./data.ts";
import { Flights } from "./flights.ts";

/** A packet is on the screen at least for so long. */
export const SHOWN_MS = 450;
/** Silence that would last longer than this on the screen is skipped, but for a pause. */
const LONGEST_SILENCE_MS = 1500;
const PAUSE_MS = 600;
/** What follows from one another in a group of up to so many movements is shown one after another. */
const MOST_IN_TURN = 80;

/** What film needs of a scene: movements in the order in which they follow from one another. */
export interface Course {
  sent: ArrayLike<number>;
  took: ArrayLike<number>;
  /** Numbers of the nodes at both ends. */
  from: ArrayLike<number>;
  to: ArrayLike<number>;
  lost: (row: number) => boolean;
  nodes: number;
  events: readonly number[];
  start: number;
  end: number;
}

export function courseOf(scene: Scene): Course {
  const places = new Map(scene.head.nodes.map((node, number) => [node.name, number]));
  const ends = scene.head.links.map((link) => link.nodes.map((name) => places.get(name)!));
  const from = Uint32Array.from({ length: scene.count }, (_, row) => ends[scene.link(row)][scene.end(row)]);
  const to = Uint32Array.from({ length: scene.count }, (_, row) => ends[scene.link(row)][1 - scene.end(row)]);
  const events = scene.head.events.map((event) => event.time_ns).sort((one, two) => one - two);
  let last = scene.head.end_ns;
  for (let row = 0; row < scene.count; row++) last = Math.max(last, scene.arrived(row));
  return {
    sent: scene.sent, took: scene.took, from, to, events, nodes: places.size,
    lost: (row) => scene.status(row) === LOST,
    start: Math.min(0, ...scene.sent.subarray(0, 1), ...events.slice(0, 1)),
    end: Math.max(last, ...events.slice(-1)),
  };
}

export interface Skip {
  /** When the film jumps, in ms. */
  at: number;
  /** The silence that is left out, in ns. */
  silence: number;
}

/** The film of a scene at a certain speed. */
export class Film {
  /** Of each movement, in ms of the film. */
  readonly starts: Float64Array;
  readonly lasts: Float64Array;
  readonly events: number[] = [];
  readonly skips: Skip[] = [];
  readonly flights: Flights;
  readonly end: number;
  private readonly points: Float64Array;
  private readonly times: Float64Array;
  private size = 0;

  /** @param speed ns of the network per ms of the film */
  constructor(course: Course, speed: number) {
    const { sent, took, events } = course;
    const rows = sent.length;
    this.starts = new Float64Array(rows);
    this.lasts = new Float64Array(rows);
    this.points = new Float64Array(rows + events.length + 2);
    this.times = new Float64Array(this.points.length);
    const groups = groupsOf(course, SHOWN_MS * speed);
    const here = new Float64Array(course.nodes).fill(-Infinity); // until when something arrives at each node
    let [film, time, busy, until, event] = [0, course.start, course.start, 0, 0];
    this.point(0, course.start);
    const advance = (next: number): void => {
      const silence = next - Math.max(busy, time);
      if (silence > LONGEST_SILENCE_MS * speed) {
        film = Math.max(film + Math.max(0, busy - time) / speed, until);
        this.point(film + PAUSE_MS / 2, Math.max(busy, time) + (PAUSE_MS / 2) * speed);
        this.skips.push({ at: film + PAUSE_MS / 2, silence: silence - PAUSE_MS * speed });
        this.point(film + PAUSE_MS / 2, next - (PAUSE_MS / 2) * speed);
        film += PAUSE_MS;
      } else film += (next - time) / speed;
      time = next;
    };
    for (let row = 0; row <= rows; row++) {
      while (event < events.length && (row === rows || events[event] <= sent[row])) {
        advance(Math.max(time, events[event++]));
        this.events.push(film);
        this.point(film, time);
      }
      if (row === rows) break;
      const inTurn = groups.sizes[row] <= MOST_IN_TURN;
      advance(sent[row]);
      if (inTurn && groups.firsts[row]) film = Math.max(film, until);
      if (inTurn && here[course.from[row]] > film) film = here[course.from[row]];
      this.starts[row] = film;
      this.lasts[row] = Math.max(took[row] / speed, SHOWN_MS);
      const arrives = film + this.lasts[row];
      if (inTurn && !course.lost(row)) here[course.to[row]] = Math.max(here[course.to[row]], arrives);
      until = Math.max(until, arrives);
      busy = Math.max(busy, sent[row] + took[row]);
      this.point(film, time);
    }
    film = Math.max(film, until);
    time = Math.max(time, busy);
    this.point(film, time);
    if (course.end > time) advance(course.end);
    this.end = film;
    this.points = this.points.slice(0, this.size);
    this.times = this.times.slice(0, this.size);
    this.flights = new Flights(this.starts, this.lasts);
  }

  private point(film: number, time: number): void {
    if (this.size === this.points.length) {
      // two more for each silence
      const grown = [this.points, this.times].map((old) => {
        const longer = new Float64Array(old.length * 2);
        longer.set(old);
        return longer;
      });
      Object.assign(this, { points: grown[0], times: grown[1] });
    }
    this.points[this.size] = film;
    this.times[this.size++] = time;
  }

  /** The network's time at a moment of the film. */
  timeAt(film: number): number {
    return between(this.points, this.times, film);
  }

  /** The first moment of the film that shows a time of the network. */
  filmAt(time: number): number {
    return between(this.times, this.points, time);
  }
}

/** The value of the broken line through some points; of several at one place the first. */
function between(places: Float64Array, values: Float64Array, at: number): number {
  const next = firstFrom(places, at);
  if (next >= places.length) return values[values.length - 1];
  if (next === 0 || places[next] === at) return values[next];
  const share = (at - places[next - 1]) / (places[next] - places[next - 1]);
  return values[next - 1] + share * (values[next] - values[next - 1]);
}

/** Of each movement: how many there are in its group, which a pause separates from others, and whether it is the first. */
function groupsOf(course: Course, pause: number): { sizes: Uint32Array; firsts: Uint8Array } {
  const { sent, took } = course;
  const sizes = new Uint32Array(sent.length);
  const firsts = new Uint8Array(sent.length);
  let [first, busy] = [0, -Infinity];
  for (let row = 0; row <= sent.length; row++) {
    if (row === sent.length || (row > first && sent[row] - busy > pause)) {
      sizes.fill(row - first, first, row);
      first = row;
    }
    if (row === first && row < sent.length) firsts[row] = 1;
    if (row < sent.length) busy = Math.max(busy, sent[row] + took[row]);
  }
  return { sizes, firsts };
}
