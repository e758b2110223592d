// How much goes over a link when.

import type { Scene } from "./data.ts";

const BINS = 240;

export interface Rates {
  /** Middles of the bins, in s. */
  time_s: number[];
  /** Of each direction, in Mbit/s: as sent by the first end, and by the second. */
  mbps: [number[], number[]];
  packets: [number, number];
  gone: [number, number];
}

/** What went over a link, in equal parts of the time. */
export function rates(scene: Scene, link: number, start: number, end: number, bins = BINS): Rates {
  const width = Math.max(1, end - start) / bins;
  const bits = [new Float64Array(bins), new Float64Array(bins)];
  const packets: [number, number] = [0, 0];
  const gone: [number, number] = [0, 0];
  for (let row = 0; row < scene.count; row++) {
    if (scene.link(row) !== link) continue;
    const from = scene.end(row);
    packets[from]++;
    if (scene.isLost(row)) gone[from]++;
    const bin = Math.max(0, Math.min(bins - 1, Math.floor((scene.sent[row] - start) / width)));
    bits[from][bin] += scene.columns.bytes[row] * 8;
  }
  const mbps = bits.map((all) => Array.from(all, (one) => one / (width / 1e9) / 1e6)) as [number[], number[]];
  return { time_s: Array.from({ length: bins }, (_, at) => (start + (at + 0.5) * width) / 1e9), mbps, packets, gone };
}
