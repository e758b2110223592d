// Where things are on paper.

export interface Point {
  x: number;
  y: number;
}

/** A point on the way from one node to another, which may be bent (a quadratic Bézier curve). */
export function onWay(from: Point, to: Point, bend: number, share: number): Point {
  const length = Math.max(1, Math.hypot(to.x - from.x, to.y - from.y));
  const turn = {
    x: (from.x + to.x) / 2 - ((to.y - from.y) / length) * 2 * bend,
    y: (from.y + to.y) / 2 + ((to.x - from.x) / length) * 2 * bend,
  };
  const [one, two, three] = [(1 - share) ** 2, 2 * share * (1 - share), share ** 2];
  return { x: one * from.x + two * turn.x + three * to.x, y: one * from.y + two * turn.y + three * to.y };
}
