// Which packets are on their way at a moment, of the network or of the film.

import { firstFrom } from "./data.ts";

const BLOCK = 256;

export class Flights {
  private readonly sent: ArrayLike<number>;
  private readonly took: ArrayLike<number>;
  /** The last arrival in each block of rows. */
  private readonly until: Float64Array;
  private readonly longest: number;

  constructor(sent: ArrayLike<number>, took: ArrayLike<number>) {
    this.sent = sent;
    this.took = took;
    this.until = new Float64Array(Math.ceil(sent.length / BLOCK)).fill(-Infinity);
    let longest = 0;
    for (let row = 0; row < sent.length; row++) {
      const block = Math.floor(row / BLOCK);
      this.until[block] = Math.max(this.until[block], sent[row] + took[row]);
      longest = Math.max(longest, took[row]);
    }
    this.longest = longest;
  }

  /**
   * Rows on their way at a moment, the latest first.
   *
   * @param most how many rows there may be
   */
  at(time: number, most: number): number[] {
    const found: number[] = [];
    let row = firstFrom(this.sent, time + 1e-6) - 1;
    const earliest = time - this.longest;
    while (row >= 0 && this.sent[row] >= earliest && found.length < most) {
      const block = Math.floor(row / BLOCK);
      if (this.until[block] < time) {
        row = block * BLOCK - 1;
        continue;
      }
      if (this.sent[row] + this.took[row] >= time) found.push(row);
      row--;
    }
    return found;
  }
}
