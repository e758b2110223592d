// Scenes for tests, made as testbed/viewer makes them.

import { Scene, type Link, type RunEvent, type SceneHead } from "../src/data.ts";

export interface Row {
  link: number;
  end?: number;
  sent: number;
  took?: number;
  status?: number;
  stop?: number;
  packet?: number;
  talk?: number;
  bytes?: number;
  flags?: number;
  text?: number;
}

async function deflated(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return Buffer.from(await new Response(stream).arrayBuffer()).toString("base64");
}

/** A chain of nodes a – b – c …, with these movements. */
export async function made(nodes: string[], rows: Row[], events: RunEvent[] = []): Promise<Scene> {
  const blocks = new Map<string, string>();
  const put = async (name: string, values: number[]): Promise<SceneHead["opened"]> => {
    const bytes = new Uint8Array(8 * values.length);
    values.forEach((value, at) => {
      let rest = BigInt.asUintN(64, BigInt(value));
      for (let plane = 0; plane < 8; plane++, rest >>= 8n) bytes[plane * values.length + at] = Number(rest & 255n);
    });
    blocks.set(name, await deflated(bytes));
    return { name, count: values.length, width: 8, delta: false };
  };
  const json = async (name: string, data: unknown): Promise<string> => {
    blocks.set(name, await deflated(new TextEncoder().encode(JSON.stringify(data))));
    return name;
  };
  const of = (value: (row: Row) => number | undefined) => rows.map((row) => value(row) ?? 0);
  const columns = {
    sent: of((row) => row.sent),
    took: of((row) => row.took),
    way: of((row) => 2 * row.link + (row.end ?? 0)),
    state: of((row) => (row.status ?? 0) + 4 * (row.stop ?? 0)),
    out: rows.map((_, at) => at + 1),
    into: rows.map((_, at) => at + 1),
    bytes: of((row) => row.bytes ?? 100),
    flags: of((row) => row.flags),
    talk: of((row) => row.talk),
    packet: rows.map((row, at) => row.packet ?? at),
    text: of((row) => row.text),
    mark: of(() => 0),
  };
  const packed: SceneHead["columns"] = {};
  for (const [name, values] of Object.entries(columns)) packed[name] = await put(name, values);
  const links: Link[] = nodes.slice(1).map((name, at) => ({
    nodes: [nodes[at], name], interfaces: [`${nodes[at]}-right`, `${name}-left`], bend: 0, shapes: [], captured: [true, true], queues: [[], []],
  }));
  const head: SceneHead = {
    name: "made",
    nodes: nodes.map((name) => ({ name, kind: "host", x: 0, y: 0, addresses: [] })),
    links,
    end_ns: Math.max(0, ...rows.map((row) => row.sent + (row.took ?? 0))),
    events,
    columns: packed,
    talks: await json("talks", { names: ["TCP", "10.0.0.1", "10.0.0.2"], protocol: [0], one: [1], one_port: [1000], two: [2], two_port: [80] }),
    texts: await json("texts", ["", "DNS a question"]),
    opened: await put("opened", [1]),
    layers: [await json("layers0", [{ tree: [["Ethernet", "", 0, 14]], hex: "00ff" }])],
    more: await json("more", {}),
  };
  return Scene.open(head, (name) => blocks.get(name) ?? "");
}
