import assert from "node:assert/strict";
import { test } from "node:test";
import { LOST } from "../src/data.ts";
import { courseOf, Film, SHOWN_MS } from "../src/film.ts";
import { Flights } from "../src/flights.ts";
import { Player, rounded, usualSpeed } from "../src/player.ts";
import { made } from "./made.ts";

const MS = 1e6;

test("flights are those that began and have not ended, the latest first", () => {
  const sent = Array.from({ length: 1000 }, (_, at) => at * 10);
  const took = sent.map((_, at) => (at === 3 ? 5000 : 25));
  const flights = new Flights(sent, took);
  const slowly = (time: number) => sent.map((_, at) => at).filter((at) => sent[at] <= time && sent[at] + took[at] >= time).reverse();
  for (const time of [-1, 0, 30, 31, 4000, 5029, 5031, 9990, 20000]) assert.deepEqual(flights.at(time, 500), slowly(time), String(time));
  assert.equal(flights.at(4000, 2).length, 2);
});

test("what follows from one another at one moment is shown one after another", async () => {
  const scene = await made(["a", "b", "c"], [
    { link: 0, sent: 5 }, { link: 1, sent: 5 }, { link: 1, end: 1, sent: 5 }, { link: 0, end: 1, sent: 5 },
  ]);
  const { starts } = new Film(courseOf(scene), 1);
  for (let row = 1; row < 4; row++) assert.equal(starts[row], starts[row - 1] + SHOWN_MS);
});

test("what goes out at once is shown at once", async () => {
  const scene = await made(["a", "b", "c"], [{ link: 0, end: 1, sent: 5 }, { link: 1, sent: 5 }]);
  const { starts } = new Film(courseOf(scene), 1);
  assert.equal(starts[0], starts[1]);
});

test("a film that is not slowed down shows the network's time", async () => {
  const rows = Array.from({ length: 200 }, (_, at) => ({ link: 0, sent: at * MS, took: 5 * MS }));
  const film = new Film(courseOf(await made(["a", "b"], rows)), MS / 100); // 1 ms of the network takes 100 ms
  assert.equal(film.starts[150] - film.starts[50], 100 * 100);
  for (const time of [0, 3.3 * MS, 100 * MS, 204 * MS]) assert.ok(Math.abs(film.timeAt(film.filmAt(time)) - time) < 1);
});

test("silence is skipped, and the film says how much of it", async () => {
  const scene = await made(["a", "b"], [{ link: 0, sent: 0, took: MS }, { link: 0, sent: 30_000 * MS, took: MS }]);
  const player = new Player(courseOf(scene), () => false, MS / 1000);
  player.play();
  let skipped = 0;
  let ticks = 0;
  for (; player.playing && ticks < 10_000; ticks++) skipped += player.tick(16);
  assert.ok(ticks * 16 < 6000, `${ticks * 16} ms`);
  assert.ok(Math.abs(skipped - 30_000 * MS) < 5 * MS, String(skipped));
  assert.equal(player.time, 30_001 * MS);
});

test("an event in the silence is not skipped", async () => {
  const rows = [{ link: 0, sent: 0, took: MS }, { link: 0, sent: 30_000 * MS, took: MS }];
  const scene = await made(["a", "b"], rows, [{ time_ns: 10_000 * MS, event: "step", text: "" }]);
  const player = new Player(courseOf(scene), () => false, MS / 1000);
  assert.ok(player.step("events"));
  assert.equal(player.time, 10_000 * MS);
  assert.equal(player.film.skips.length, 2);
  assert.ok(!player.step("events"));
});

test("steps go to the next packet, back, and to the next loss", async () => {
  const scene = await made(["a", "b"], [
    { link: 0, sent: 10 * MS, took: MS }, { link: 0, sent: 20 * MS, took: MS, status: LOST }, { link: 0, sent: 30 * MS, took: MS },
  ]);
  const player = new Player(courseOf(scene), (row) => scene.isLost(row));
  const times: number[] = [];
  while (player.step("packets")) times.push(player.time / MS);
  assert.deepEqual(times, [10, 20, 30]);
  assert.ok(player.back());
  assert.equal(player.time, 20 * MS);
  player.seek(0);
  assert.ok(player.step("losses"));
  assert.equal(player.time, 20 * MS);
  assert.equal(player.begun, 2);
});

test("another speed keeps the moment", async () => {
  const rows = Array.from({ length: 50 }, (_, at) => ({ link: 0, sent: at * 10 * MS, took: 4 * MS }));
  const player = new Player(courseOf(await made(["a", "b"], rows)), () => false);
  player.seek(123 * MS);
  for (const act of ["faster", "faster", "slower", "slower", "slower"] as const) {
    player[act]();
    assert.ok(Math.abs(player.time - 123 * MS) < 4 * MS, `${act}: ${player.time}`);
  }
});

test("speeds are round numbers, and the usual one shows a way in about a second", async () => {
  assert.deepEqual([0.9, 2.1, 4.6, 9.9, 1234].map(rounded), [1, 2, 5, 10, 1000]);
  const scene = await made(["a", "b"], [{ link: 0, sent: 0, took: 10 * MS }]);
  const ms = (10 * MS) / usualSpeed(courseOf(scene));
  assert.ok(ms > 500 && ms < 2000, String(ms));
});

test("without any packet there is a clock all the same", async () => {
  const player = new Player(courseOf(await made(["a", "b"], [])), () => false);
  player.play();
  player.tick(16);
  assert.equal(player.time, 0);
  assert.ok(!player.step("packets"));
});
