// Numbers as people read them.

const UNITS: [number, string][] = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];

/** A length of time in ns, with three digits: 16.7 ms. */
export function duration(ns: number): string {
  if (ns === 0) return "0 s";
  const seconds = ns / 1e9;
  const [unit, name] = UNITS.find(([one]) => Math.abs(seconds) >= one) ?? UNITS[3];
  return `${Number((seconds / unit).toPrecision(3))} ${name}`;
}

/** A moment in ns since the start, as seconds with as many digits as a step needs. */
export function moment(ns: number, stepNs = 1000): string {
  const digits = Math.max(0, Math.min(9, Math.ceil(9 - Math.log10(Math.max(1, stepNs)))));
  return (ns / 1e9).toFixed(digits);
}

export function count(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}
