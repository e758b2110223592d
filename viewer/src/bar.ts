// The time bar: how much happens when, and marks of what to look at.

import type { Scene } from "./data.ts";
import type { Course } from "./film.ts";

export interface Marks {
  events: readonly number[];
  losses: ArrayLike<number>;
  /** Moments of claims' evidence. */
  evidence: number[];
}

const HEIGHT = { events: 7, losses: 19, top: 26 };

/** How many packets were sent in each of some equal parts of the time. */
export function histogram(sent: ArrayLike<number>, from: number, to: number, parts: number): Uint32Array {
  const found = new Uint32Array(parts);
  const scale = parts / Math.max(1, to - from);
  for (let row = 0; row < sent.length; row++) {
    const at = Math.floor((sent[row] - from) * scale);
    found[Math.max(0, Math.min(parts - 1, at))]++;
  }
  return found;
}

export class Bar {
  private readonly canvas: HTMLCanvasElement;
  private readonly scene: Scene;
  private readonly course: Course;
  private readonly marks: Marks;
  private bins: Uint32Array = new Uint32Array(0);
  /** What does not change while time passes. */
  private still: HTMLCanvasElement | undefined;

  constructor(canvas: HTMLCanvasElement, scene: Scene, course: Course, marks: Marks, seek: (time: number) => void) {
    this.canvas = canvas;
    this.scene = scene;
    this.course = course;
    this.marks = marks;
    const to = (event: PointerEvent) => {
      const box = canvas.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      seek(course.start + share * (course.end - course.start));
    };
    canvas.onpointerdown = (event) => {
      canvas.setPointerCapture(event.pointerId);
      to(event);
    };
    canvas.onpointermove = (event) => {
      if (event.buttons & 1) to(event);
    };
  }

  /** Draws all again, as after a change of size or colours. */
  invalidate(): void {
    this.still = undefined;
  }

  private x(time: number, width: number): number {
    const { start, end } = this.course;
    return ((time - start) / Math.max(1, end - start)) * width;
  }

  draw(time: number): void {
    const { canvas } = this;
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (width === 0) return;
    if (this.still?.width !== Math.round(width * scale)) this.still = this.background(width, height, scale);
    canvas.width = this.still.width;
    canvas.height = this.still.height;
    const context = canvas.getContext("2d")!;
    context.drawImage(this.still, 0, 0);
    context.scale(scale, scale);
    context.fillStyle = getComputedStyle(canvas).getPropertyValue("--accent");
    const x = this.x(time, width);
    context.fillRect(x - 1, 0, 2, height);
    context.beginPath();
    context.arc(x, height - 5, 5, 0, 2 * Math.PI);
    context.fill();
  }

  private background(width: number, height: number, scale: number): HTMLCanvasElement {
    const still = document.createElement("canvas");
    still.width = Math.round(width * scale);
    still.height = Math.round(height * scale);
    const context = still.getContext("2d")!;
    context.scale(scale, scale);
    const style = getComputedStyle(this.canvas);
    const colour = (name: string) => style.getPropertyValue(`--${name}`);
    this.bins = histogram(this.scene.sent, this.course.start, this.course.end, Math.max(1, Math.floor(width)));
    const most = Math.log1p(this.bins.reduce((one, two) => Math.max(one, two), 1));
    context.fillStyle = colour("bars");
    this.bins.forEach((packets, x) => {
      const tall = (Math.log1p(packets) / most) * (height - HEIGHT.top);
      context.fillRect(x, height - tall, 1, tall);
    });
    context.fillStyle = colour("event");
    for (const time of this.marks.events) triangle(context, this.x(time, width), HEIGHT.events);
    context.fillStyle = colour("lit");
    for (const time of this.marks.evidence) diamond(context, this.x(time, width), HEIGHT.losses - 1);
    context.fillStyle = colour("loss");
    let last = -Infinity;
    for (let at = 0; at < this.marks.losses.length; at++) {
      const x = this.x(this.marks.losses[at], width);
      if (x - last < 1) continue; // floods have many
      context.fillRect(x - 1, HEIGHT.losses + 4, 2, 8);
      last = x;
    }
    return still;
  }
}

function triangle(context: CanvasRenderingContext2D, x: number, y: number): void {
  context.beginPath();
  context.moveTo(x - 5, y - 6);
  context.lineTo(x + 5, y - 6);
  context.lineTo(x, y + 4);
  context.fill();
}

function diamond(context: CanvasRenderingContext2D, x: number, y: number): void {
  context.beginPath();
  context.moveTo(x, y - 5);
  context.lineTo(x + 4, y);
  context.lineTo(x, y + 5);
  context.lineTo(x - 4, y);
  context.fill();
}
