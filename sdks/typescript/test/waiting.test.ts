import assert from "node:assert/strict";
import { test } from "node:test";

import { Lost, secondsOf } from "../dist/answering.js";
import { Place, Trying } from "../dist/resuming.js";
import { PATIENCE, pause } from "../dist/retrying.js";

const answer = (status: number, headers: Record<string, string> = {}) => ({ status, headers: new Headers(headers), body: "" });
const first = { method: "GET", tries: 1, waited: 0 };

test("Retry-After is waited for, as seconds and as a time by the server's own clock", () => {
  assert.equal(pause(PATIENCE, first, answer(429, { "retry-after": "7" }), 0), 7000);
  const times = { "retry-after": "Sun, 22 Nov 2026 00:00:09 GMT", date: "Sun, 22 Nov 2026 00:00:00 GMT" };
  assert.equal(secondsOf(new Headers(times)), 9);
  assert.equal(pause(PATIENCE, first, answer(503, times), 0), 9000);
});

test("a limit that ends later than anybody waits is told", () => {
  assert.equal(pause(PATIENCE, first, answer(429, { "retry-after": "3600" }), 0), null);
});

test("waits grow, are never the same for many, and end", () => {
  const waits = [1, 2, 3, 4, 5].map((tries) => pause(PATIENCE, { method: "GET", tries, waited: 0 }, answer(503), 1));
  assert.deepEqual(waits, [200, 400, 800, 1600, 3200]);
  assert.equal(pause(PATIENCE, first, answer(503), 0), 100);
  assert.equal(pause(PATIENCE, { method: "GET", tries: 6, waited: 0 }, answer(503), 1), null);
});

test("nothing is done twice: what has no key is asked again only when it was not begun", () => {
  const patch = { method: "PATCH", tries: 1, waited: 0 };
  assert.equal(pause(PATIENCE, patch, new Lost("the connection broke", true), 0), null);
  assert.equal(pause(PATIENCE, patch, answer(502), 0), null);
  assert.notEqual(pause(PATIENCE, patch, new Lost("nobody listens there", false), 0), null);
  assert.notEqual(pause(PATIENCE, patch, answer(503), 0), null);
  for (const status of [400, 401, 403, 404, 409, 422, 500]) assert.equal(pause(PATIENCE, first, answer(status), 0), null);
});

test("an event that was seen is no news, nor is an earlier one of the same log", () => {
  const place = new Place("abc-10");
  const told = ["abc-9", "abc-10", "abc-10.1", "abc-10.1", "abc-9.3", "abc-11", "", "def-1", "def-1"].map((id) => place.passes(id));
  assert.deepEqual(told, [false, false, true, false, false, true, true, true, false]);
  place.lost();
  assert.equal(place.passes("def-1"), true);
});

test("a stream is given up only when nothing came for long", () => {
  const trying = new Trying(PATIENCE, 10_000);
  assert.equal(trying.pause(0, null, 1), 100);
  assert.equal(trying.pause(9_000, null, 1), 200);
  assert.equal(trying.pause(9_900, null, 1), null);
  trying.lived(9_900, 9_901, 1);
  assert.equal(trying.pause(60_000, answer(429, { "retry-after": "3" }), 0), 3000);
});
