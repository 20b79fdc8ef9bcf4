import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";

import { AuthenticationError, Client, type JobEvent, UnreachableError } from "../dist/index.js";
import { json, line, served, streaming } from "./served.js";

const JOB = "0194589f-6d00-7000-8000-000000000001";
const agent = (n: number) => ({ type: "agent", eventType: "message", output: `${n} ${"ä".repeat(n % 50)}` });
const RESULT = { type: "result", success: true, result: { prUrl: "https://example.com/pull/1" } };
const STORY = [...Array.from({ length: 400 }, (_, n) => line(`e-${n + 1}`, agent(n + 1))), line("e-401", RESULT)];
const after = (id: unknown): number => Number(String(id ?? "e-0").slice(2));

async function read(events: AsyncIterable<JobEvent>): Promise<string[]> {
  const ids = [];
  for await (const event of events) ids.push(event.id);
  return ids;
}

/** What it gives when nothing waits between two tries: those waits are tested elsewhere. */
async function hurried<T>(run: () => Promise<T>): Promise<T> {
  const instantly = globalThis.setTimeout;
  // What Node itself waits for has more to say than when.
  globalThis.setTimeout = ((act: () => void, ms: number, ...more: []) => instantly(act, ms < 6_000 ? 0 : ms, ...more)) as typeof setTimeout;
  try {
    return await run();
  } finally {
    globalThis.setTimeout = instantly;
  }
}

/** What comes, and `act` once the second event was read and the third is waited for. */
async function* then(events: AsyncIterable<JobEvent>, act: () => void): AsyncIterable<JobEvent> {
  for await (const event of events) {
    if (event.id === "e-2") setTimeout(act, 20);
    yield event;
  }
}

test("over cuts at any byte there is no gap and no repeat, and it ends at the end", async () => {
  let cuts = 0;
  const gateway = await served(({ headers }, response) => {
    const seen = after(headers["last-event-id"]);
    // As a proxy that keeps what it read: some of what was seen comes again.
    const rest = `: open\n\n${STORY.slice(Math.max(0, seen - (cuts % 3))).join("")}`;
    const bytes = Buffer.from(rest);
    const cut = (gateway.asked.length * 7919) % 600;
    streaming(response);
    if (seen > 399 || cut >= bytes.length) return void response.end(bytes);
    cuts += 1;
    response.write(bytes.subarray(0, cut), () => setImmediate(() => response.destroy()));
  });
  try {
    const ids = await hurried(() => read(new Client({ baseUrl: gateway.url }).jobs.stream(JOB)));
    assert.deepEqual(ids, Array.from({ length: 401 }, (_, n) => `e-${n + 1}`));
    assert.ok(cuts > 30, `${cuts} cuts`);
  } finally {
    await gateway.close();
  }
});

test("a gateway that stops, is busy or is away is waited for", async () => {
  const gateway = await served(({ path, headers }, response, number) => {
    if (!path.endsWith("/stream")) return json(response, 200, { job: { status: "running" } });
    if (number === 1) return void streaming(response).end(STORY[0]);
    if (number === 2) return json(response, 503, {}, { "Retry-After": "0" });
    if (number === 3) return void response.destroy();
    return void streaming(response).end(STORY.slice(after(headers["last-event-id"]), 3).join("") + STORY[400]);
  });
  try {
    const stream = new Client({ baseUrl: gateway.url }).jobs.stream(JOB);
    assert.deepEqual(await read(stream), ["e-1", "e-2", "e-3", "e-401"]);
    assert.equal(stream.lastEventId, "e-401");
  } finally {
    await gateway.close();
  }
});

test("a stream on which nothing is said, not even that it lives, is taken up anew", async () => {
  const gateway = await served((_, response, number) => {
    streaming(response).write(": open\n\n");
    if (number > 1) response.end(STORY[400]);
  });
  try {
    assert.deepEqual(await read(new Client({ baseUrl: gateway.url, silence: 100 }).jobs.stream(JOB)), ["e-401"]);
    assert.ok(gateway.asked.length > 1);
  } finally {
    await gateway.close();
  }
});

test("every byte, a heartbeat's too, begins the silence anew", async () => {
  const SILENCE = 12_345;
  const armed = new Set<unknown>();
  let times = 0;
  const [set, clear] = [globalThis.setTimeout, globalThis.clearTimeout];
  globalThis.setTimeout = ((run: () => void, ms: number, ...more: []) => {
    const timer = set(run, ms, ...more);
    if (ms === SILENCE) armed.add(timer) && (times += 1);
    return timer;
  }) as typeof setTimeout;
  globalThis.clearTimeout = (timer) => {
    armed.delete(timer);
    clear(timer);
  };
  const gateway = await served((_, response) => {
    let beats = 0;
    const beat = (): void => {
      assert.ok(armed.size <= 1);
      if ((beats += 1) > 5) response.end(STORY[400]);
      else response.write(": keep-alive\n\n", () => set(beat, 20));
    };
    beat.call(streaming(response));
  });
  try {
    assert.deepEqual(await read(new Client({ baseUrl: gateway.url, silence: SILENCE }).jobs.stream(JOB)), ["e-401"]);
    assert.deepEqual([gateway.asked.length, armed.size], [1, 0]);
    assert.ok(times > 1, `${times} reads`);
  } finally {
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
    await gateway.close();
  }
});

test("a job whose end was seen already ends the stream, and is asked about once", async () => {
  const gateway = await served(({ path }, response) => {
    if (path.endsWith("/stream")) return void streaming(response).end(": open\n\n");
    json(response, 200, { id: JOB, status: "success", job: { status: "success" } });
  });
  try {
    assert.deepEqual(await read(new Client({ baseUrl: gateway.url }).jobs.stream(JOB, { after: "e-401" })), []);
    assert.deepEqual(gateway.asked.map((one) => one.path.slice(-6)), ["stream", "000001", "stream"]);
    assert.equal(gateway.asked[0]?.headers["last-event-id"], "e-401");
  } finally {
    await gateway.close();
  }
});

test("a break that a proxy takes for an end is no end, also when the job is over", async () => {
  const torn = [": open\n\nid: e-2\ndata: {", "", ": open\n\nid: e-2\n", ": open\n\nid: e-2\ndata: {}\n", ": op"];
  let streams = 0;
  const gateway = await served(({ path, headers }, response) => {
    if (!path.endsWith("/stream")) return json(response, 200, { status: "success", job: { status: "success" } });
    assert.equal(headers["last-event-id"], "e-1");
    streaming(response).end(torn[(streams += 1) - 1] ?? STORY.slice(1, 3).join("") + STORY[400]);
  });
  try {
    const ids = await hurried(() => read(new Client({ baseUrl: gateway.url }).jobs.stream(JOB, { after: "e-1" })));
    assert.deepEqual(ids, ["e-2", "e-3", "e-401"]);
    assert.equal(streams, torn.length + 1);
  } finally {
    await gateway.close();
  }
});

test("a gap is told, and what the log holds follows from its beginning", async () => {
  const gap = { type: "status", status: "running", phase: "gap", message: "lost" };
  const gateway = await served((_, response) => void streaming(response).end(line("", gap) + line("f-1", agent(1)) + line("f-2", RESULT)));
  try {
    assert.deepEqual(await read(new Client({ baseUrl: gateway.url }).jobs.stream(JOB, { after: "f-9" })), ["", "f-1", "f-2"]);
  } finally {
    await gateway.close();
  }
});

test("what will not pass is thrown: a refusal, and a gateway that stays away", async () => {
  const gateway = await served((_, response) => json(response, 401, { detail: "no" }));
  const client = new Client({ baseUrl: gateway.url, streamRetryFor: 300 });
  await assert.rejects(read(client.jobs.stream(JOB)), AuthenticationError);
  await gateway.close();
  await assert.rejects(read(client.jobs.stream(JOB)), UnreachableError);
});

test("leaving the loop, closing, and a signal end the connection", async () => {
  const open = new Set<ServerResponse>();
  const gateway = await served((_, response) => {
    open.add(response.once("close", () => open.delete(response)));
    streaming(response).write(STORY[0] + STORY[1]!);
  });
  const gone = async (): Promise<void> => {
    for (const until = Date.now() + 10_000; open.size; ) {
      assert.ok(Date.now() < until, "the connection is still open");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  try {
    const client = new Client({ baseUrl: gateway.url });
    for await (const event of client.jobs.stream(JOB)) if (event.id) break;
    await gone();
    const closed = client.jobs.stream(JOB);
    assert.deepEqual(await read(then(closed, () => closed.close())), ["e-1", "e-2"]);
    await gone();
    const [ending, reason] = [new AbortController(), new Error("enough")];
    const signalled = then(client.jobs.stream(JOB, { signal: ending.signal }), () => ending.abort(reason));
    await assert.rejects(read(signalled), (error) => error === reason);
    await gone();
  } finally {
    await gateway.close();
  }
});

test("tasks end with their own last event, not with one that somebody published", async () => {
  const told = [
    { event_type: "task.completed", id: "e-1", published_by: "somebody" },
    { event_type: "task.completed", id: "e-2", published_by: null },
    { event_type: "task.noted", id: "e-3" },
  ];
  const gateway = await served((_, response) => void streaming(response).write(told.map((said) => line(said.id, said)).join("")));
  try {
    const ids = [];
    for await (const event of new Client({ baseUrl: gateway.url }).tasks.events("task_1", { speed: 100, from: "e-0" })) ids.push(event.id);
    assert.deepEqual(ids, ["e-1", "e-2"]);
    assert.equal(gateway.asked[0]?.path, "/tasks/task_1/events?speed=100&from=e-0");
  } finally {
    await gateway.close();
  }
});
