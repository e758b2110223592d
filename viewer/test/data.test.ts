import assert from "node:assert/strict";
import { test } from "node:test";
import { histogram } from "../src/bar.ts";
import { indexOf, isSentBy, LOST } from "../src/data.ts";
import { count, duration, moment } from "../src/format.ts";
import { onWay } from "../src/geometry.ts";
import { arrange } from "../src/ladder.ts";
import { label, progress } from "../src/packets.ts";
import { say, speak } from "../src/phrases.ts";
import { rates } from "../src/rates.ts";
import { hopsText, reportsAt, routeKey, tableAt, tcpState } from "../src/states.ts";
import { made } from "./made.ts";

test("a movement knows its ends, its packet and its conversation", async () => {
  const scene = await made(["a", "b", "c"], [
    { link: 0, sent: 1, packet: 7 }, { link: 1, sent: 2, packet: 7 }, { link: 1, end: 1, sent: 3, packet: 8, text: 1 },
  ]);
  assert.deepEqual([scene.from(0), scene.to(0), scene.from(2), scene.to(2)], ["a", "b", "c", "b"]);
  assert.deepEqual(scene.journey(1), [0, 1]);
  assert.deepEqual(scene.conversation(0), [0, 1, 2]);
  assert.deepEqual(scene.ends(0), ["10.0.0.1:1000", "10.0.0.2:80"]);
  assert.equal(scene.text(0), "TCP 10.0.0.1:1000 → 10.0.0.2:80 100 B");
  assert.equal(scene.name(2), "DNS");
  assert.deepEqual(scene.names().sort(), ["DNS", "TCP"]);
  assert.deepEqual(scene.places(2)[0], { capture: "c-left", frame: 3, sent: true });
  assert.equal(await scene.layers(0), undefined);
  assert.equal((await scene.layers(1))?.hex, "00ff");
});

test("a congestion window is that of a sender with its address", () => {
  const window = { ends: ["10.0.0.1", "1000", "10.0.0.2", "80"], time_s: [], cwnd: [], ssthresh: [] };
  assert.equal(isSentBy(window, "10.0.0.1:1000", "10.0.0.2:80"), true);
  assert.equal(isSentBy(window, "10.0.0.3:1000", "10.0.0.2:80"), false);
  assert.equal(isSentBy(window, "10.0.0.2:80", "10.0.0.1:1000"), false);
});

test("packets are named by their flags", async () => {
  const scene = await made(["a", "b"], [
    { link: 0, sent: 0, flags: 2 }, { link: 0, sent: 1, flags: 18 }, { link: 0, sent: 2, flags: 16, bytes: 66 },
    { link: 0, sent: 3, flags: 24, bytes: 900 }, { link: 0, sent: 4, text: 1 },
  ]);
  assert.deepEqual([0, 1, 2, 3, 4].map((row) => label(scene, row)), ["SYN", "SYN", "ACK", "TCP", "DNS"]);
});

test("a lost packet stays on its way", () => {
  assert.deepEqual(progress(100, 10, 109, true), { share: 0.5, gone: true });
  assert.deepEqual(progress(100, 10, 103, true), { share: 0.3, gone: false });
  assert.deepEqual(progress(100, 10, 400, false), { share: 1, gone: false });
});

test("rates of a link are bits per second, each direction apart", async () => {
  const rows = Array.from({ length: 100 }, (_, at) => ({ link: 0, end: at % 2, sent: at * 1e7, bytes: 1250, status: at === 3 ? LOST : 0 }));
  const found = rates(await made(["a", "b"], rows), 0, 0, 1e9, 10);
  assert.deepEqual(found.packets, [50, 50]);
  assert.deepEqual(found.gone, [0, 1]);
  const bits = found.mbps.map((all) => all.reduce((one, two) => one + two) * 0.1 * 1e6);
  assert.deepEqual(bits.map(Math.round), [500_000, 500_000]);
});

test("a histogram counts every packet once", () => {
  const found = histogram([0, 1, 5, 9, 10], 0, 10, 5);
  assert.deepEqual([...found], [2, 0, 1, 0, 2]);
});

test("a bent way goes through its bend, and begins and ends at the nodes", () => {
  const [from, to] = [{ x: 0, y: 0 }, { x: 10, y: 0 }];
  assert.deepEqual(onWay(from, to, 4, 0), from);
  assert.deepEqual(onWay(from, to, 4, 0.5), { x: 5, y: 4 });
  assert.deepEqual(onWay(from, to, 0, 1), to);
});

test("tables are those of the moment, and say what changed last", () => {
  const change = (time_ns: number, action: string, destination: string, via: string) => ({
    time_ns, node: "r1", action, destination, family: 4, metric: 1, hops: [{ via, out: "r1-eth0" }],
  });
  const changes = [change(0, "have", "10.0.0.0/8", "1.1.1.1"), change(5, "new", "20.0.0.0/8", "2.2.2.2"), change(9, "del", "10.0.0.0/8", "1.1.1.1")];
  const at = (time: number) => tableAt(changes, "r1", time, routeKey).map(({ row, newest }) => [row.destination, hopsText(row.hops), newest]);
  assert.deepEqual(at(1), [["10.0.0.0/8", "via 1.1.1.1 r1-eth0", false]]);
  assert.deepEqual(at(5), [["10.0.0.0/8", "via 1.1.1.1 r1-eth0", false], ["20.0.0.0/8", "via 2.2.2.2 r1-eth0", true]]);
  assert.deepEqual(at(9), [["20.0.0.0/8", "via 2.2.2.2 r1-eth0", false]]);
  assert.deepEqual(tableAt(changes, "r2", 9, routeKey), []);
  assert.equal(tcpState(10), "LISTEN");
});

test("of a daemon's reports the last one counts", () => {
  const state = (label: string, time_ns: number, text: string) => ({ node: "r1", daemon: "ripd", label, time_ns, text });
  const more = { states: [state("before", 1, "old"), state("after", 9, "new")] };
  assert.deepEqual(reportsAt(more, "r1", 5).map((one) => one.text), ["old"]);
  assert.deepEqual(reportsAt(more, "r1", 10).map((one) => one.text), ["new"]);
});

test("the ladder's lines are in the order of the way, its rows in that of time", async () => {
  const ms = 1e6;
  const scene = await made(["a", "b", "c"], [
    { link: 0, sent: 0, took: ms }, { link: 1, sent: ms, took: ms }, { link: 1, end: 1, sent: 5 * ms, took: ms },
  ]);
  const { nodes, steps, times } = arrange(scene, [0, 1, 2]);
  assert.deepEqual(nodes, ["a", "b", "c"]);
  assert.deepEqual(times, [0, ms, 2 * ms, 5 * ms, 6 * ms]);
  assert.deepEqual(steps.map(({ from, to, start, end }) => [from, to, start, end]), [[0, 1, 0, 1], [1, 2, 1, 2], [2, 1, 3, 4]]);
});

test("numbers are written as people read them", () => {
  assert.deepEqual([1.67e7, 2e9, 5000, 12, 0].map(duration), ["16.7 ms", "2 s", "5 µs", "12 ns", "0 s"]);
  assert.equal(moment(1_234_567_891), "1.234568");
  assert.equal(count(1234567), "1\u202f234\u202f567");
  assert.equal(indexOf(Uint32Array.of(1, 5, 9), 5), 1);
  assert.equal(indexOf(Uint32Array.of(1, 5, 9), 6), -1);
});

test("phrases are there in both languages, with the same gaps", () => {
  assert.equal(say("in_flight", 3), "3 on the way");
  speak("zh");
  assert.equal(say("in_flight", 3), "3 个在途");
  speak("en");
});
