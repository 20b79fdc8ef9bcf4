import assert from "node:assert/strict";
import { test } from "node:test";

import { EventReader } from "../dist/sse.js";

const STORY = "\ufeff: open\n\nid: a-1\ndata: {\"x\":\"grüße 😀\"}\n\n: keep-alive\r\n\r\nevent: named\rid: a-2\rdata: one\rdata: two\r\rid: a-3\n\ndata\n\n";
const EVENTS = [
  { id: "a-1", name: "", text: '{"x":"grüße 😀"}' },
  { id: "a-2", name: "named", text: "one\ntwo" },
  { id: "", name: "", text: "" },
];

test("events come out whole, wherever the bytes are cut", () => {
  const bytes = new TextEncoder().encode(STORY);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const reader = new EventReader();
    assert.deepEqual([...reader.feed(bytes.slice(0, cut)), ...reader.feed(bytes.slice(cut))], EVENTS, `cut at ${cut}`);
  }
});

test("events come out whole, byte by byte", () => {
  const reader = new EventReader();
  assert.deepEqual([...new TextEncoder().encode(STORY)].flatMap((byte) => reader.feed(Uint8Array.of(byte))), EVENTS);
});

test("an event without an end is refused before it fills the memory", () => {
  const reader = new EventReader();
  const chunk = new TextEncoder().encode("x".repeat(1 << 20));
  assert.throws(() => {
    for (let n = 0; n < 20; n += 1) reader.feed(chunk);
  }, /an event has more than/);
});
