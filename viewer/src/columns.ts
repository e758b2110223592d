// Columns of numbers, as testbed/viewer/columns.py packs them.

export interface Column {
  name: string;
  count: number;
  width: number;
  delta: boolean;
}

export type Numbers = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** Name of a block → its text in base64. */
export type Blocks = (name: string) => string;

const LOW = 2 ** 32;

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** A block's bytes, inflated (RFC 1950). */
export async function inflated(blocks: Blocks, name: string): Promise<Uint8Array> {
  const whole = new Blob([fromBase64(blocks(name))]).stream();
  const stream = whole.pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export async function json(blocks: Blocks, name: string): Promise<unknown> {
  return JSON.parse(new TextDecoder().decode(await inflated(blocks, name)));
}

export async function numbers(blocks: Blocks, column: Column): Promise<Numbers> {
  return unshuffled(await inflated(blocks, column.name), column);
}

/** Numbers from their bytes: all lowest bytes first, then all second ones, and so on. */
export function unshuffled(bytes: Uint8Array, column: Column): Numbers {
  const { count, width, delta } = column;
  return width === 8 ? wide(bytes, count, delta) : narrow(bytes, count, width, delta);
}

function narrow(bytes: Uint8Array, count: number, width: number, delta: boolean): Numbers {
  const found = width === 1 ? new Uint8Array(count) : width === 2 ? new Uint16Array(count) : new Uint32Array(count);
  let before = 0;
  for (let at = 0; at < count; at++) {
    let value = 0;
    for (let plane = 0; plane < width; plane++) value |= bytes[plane * count + at] << (8 * plane);
    before = delta ? (before + value) | 0 : value;
    found[at] = before; // a typed array keeps the lowest bytes
  }
  return found;
}

/** Numbers of 64 bits; exact up to 2⁵³, which is 104 days in ns. */
function wide(bytes: Uint8Array, count: number, delta: boolean): Float64Array {
  const found = new Float64Array(count);
  let before = 0;
  for (let at = 0; at < count; at++) {
    let low = 0;
    let high = 0;
    for (let plane = 0; plane < 4; plane++) {
      low |= bytes[plane * count + at] << (8 * plane);
      high |= bytes[(plane + 4) * count + at] << (8 * plane);
    }
    const value = high * LOW + (low >>> 0);
    before = delta ? before + value : value;
    found[at] = before;
  }
  return found;
}
