import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";

import { Client, ConflictError, NotFoundError, RateLimitedError, TrunklineError, UnexpectedAnswerError, UnreachableError } from "../dist/index.js";
import { json, served } from "./served.js";

const ACCEPTED = { jobId: "0194589f-6d00-7000-8000-000000000001", streamUrl: "/api/pr-agent/0194589f-6d00-7000-8000-000000000001/stream" };
const KEY = /^[0-9a-f]{32}$/;

test("a POST is repeated under its one key, and another POST has another", async () => {
  const gateway = await served((_, response, number) => (number === 1 ? response.destroy() : json(response, number === 2 ? 503 : 200, ACCEPTED)));
  try {
    const client = new Client({ baseUrl: gateway.url });
    assert.deepEqual(await client.jobs.execute({ repo: "acme/shop", task: "do it" }), ACCEPTED);
    await client.jobs.execute({ repo: "acme/shop", task: "do it" });
    const keys = gateway.asked.map((one) => String(one.headers["idempotency-key"]));
    assert.equal(keys.length, 4);
    assert.match(keys[0] ?? "", KEY);
    assert.deepEqual([keys[1], keys[2]], [keys[0], keys[0]]);
    assert.notEqual(keys[3], keys[0]);
    assert.deepEqual(JSON.parse(gateway.asked[0]?.body ?? ""), { repo: "acme/shop", task: "do it" });
  } finally {
    await gateway.close();
  }
});

test("an answer that breaks off within its head is asked for again", async () => {
  const gateway = await served((_, response, number) => (number === 1 ? response.end("{") : json(response, 200, { task: { n: 1 } })));
  try {
    assert.deepEqual(await new Client({ baseUrl: gateway.url }).tasks.get("a"), { n: 1 });
  } finally {
    await gateway.close();
  }
});

test("a key of the caller's own is sent as it is", async () => {
  const gateway = await served((_, response) => json(response, 200, ACCEPTED));
  try {
    await new Client({ baseUrl: gateway.url }).jobs.execute({ repo: "acme/shop", task: "do it" }, { idempotencyKey: "order-7" });
    assert.equal(gateway.asked[0]?.headers["idempotency-key"], "order-7");
  } finally {
    await gateway.close();
  }
});

test("a refusal is an error with all that it says", async () => {
  const said = { error: "Rate limit exceeded", message: "Rate limit exceeded", code: "RATE_LIMITED", details: { tier: "anonymous" }, upgradeUrl: "https://example.com/pro" };
  const gateway = await served((_, response) => json(response, 429, said, { "Retry-After": "3600", "X-Request-ID": "req-9" }));
  try {
    const error = await new Client({ baseUrl: gateway.url }).jobs.execute({ repo: "acme/shop", task: "do it" }).catch((error: unknown) => error);
    assert.ok(error instanceof RateLimitedError && error instanceof TrunklineError);
    assert.deepEqual(
      [error.message, error.code, error.status, error.retryAfter, error.requestId, error.name],
      ["Rate limit exceeded", "RATE_LIMITED", 429, 3600, "req-9", "RateLimitedError"],
    );
    assert.deepEqual(error.details, { tier: "anonymous", upgradeUrl: "https://example.com/pro" });
    assert.equal(gateway.asked.length, 1);
  } finally {
    await gateway.close();
  }
});

test("the other surface's refusals are errors of the same family", async () => {
  const gateway = await served(({ path }, response) => json(response, path.startsWith("/tasks/") ? 404 : 409, { detail: "there is no such task" }));
  try {
    const client = new Client({ baseUrl: gateway.url });
    await assert.rejects(client.tasks.get("task_x"), (error) => error instanceof NotFoundError && error.code === "NOT_FOUND");
    await assert.rejects(client.tasks.list().page(), ConflictError);
  } finally {
    await gateway.close();
  }
});

test("nobody there, something else there, and a redirect are told apart, and no credential follows a redirect", async () => {
  const gateway = await served(({ path }, response) => {
    if (path === "/tasks/moved") response.writeHead(302, { Location: "/elsewhere" }).end();
    else response.writeHead(200, { "Content-Type": "text/html" }).end("<html>");
  });
  const client = new Client({ baseUrl: gateway.url, apiKey: "k".repeat(32), retryFor: 0 });
  await assert.rejects(client.tasks.get("a"), UnexpectedAnswerError);
  await assert.rejects(client.tasks.get("moved"), UnexpectedAnswerError);
  assert.deepEqual(gateway.asked.map((one) => one.path), ["/tasks/a", "/tasks/moved"]);
  await gateway.close();
  const gone = await served(() => undefined);
  await gone.close();
  const nobody = new Client({ baseUrl: gone.url, retryFor: 0 });
  await assert.rejects(nobody.tasks.get("a"), (error) => error instanceof UnreachableError && /nobody listens there/.test(error.message));
});

test("lists ask for their pages as they are needed", async () => {
  const gateway = await served(({ path }, response) => {
    const query = new URL(path, "http://x").searchParams;
    if (path.startsWith("/tasks")) return json(response, 200, query.has("cursor") ? { tasks: [{ n: 3 }], total: 3, next_cursor: null } : { tasks: [{ n: 1 }, { n: 2 }], total: 3, next_cursor: "c/1" });
    const offset = Number(query.get("offset"));
    return json(response, 200, { jobs: [{ id: offset }], total: 2, limit: 1, offset, count: 1 });
  });
  try {
    const client = new Client({ baseUrl: gateway.url });
    const found = [];
    for await (const task of client.tasks.list({ status: "pending" })) found.push(task);
    assert.deepEqual(found, [{ n: 1 }, { n: 2 }, { n: 3 }]);
    assert.equal(gateway.asked[1]?.path, "/tasks?limit=100&status=pending&cursor=c%2F1");
    const jobs = [];
    for await (const job of client.jobs.list({ limit: 1, fingerprint: "12345678" })) jobs.push(job.id);
    assert.deepEqual(jobs, [0, 1]);
    assert.equal((await client.jobs.list({ limit: 1 }).page()).total, 2);
  } finally {
    await gateway.close();
  }
});

test("one's own webhooks are kept, and what was sent to them is read page by page and sent again", async () => {
  const gateway = await served(({ path }, response) => {
    const query = new URL(path, "http://x").searchParams;
    if (query.has("status")) return json(response, 200, { deliveries: [{ id: query.get("cursor") ?? "dlv_1" }], total: null, count: 1, limit: 1, nextCursor: query.has("cursor") ? null : "77" });
    json(response, 200, { id: "wh_1", count: 2, more: false });
  });
  try {
    const hooks = new Client({ baseUrl: gateway.url }).jobWebhooks;
    const sent = [];
    for await (const one of hooks.deliveries("wh_1", { status: "dead", limit: 1 })) sent.push(one.id);
    assert.deepEqual(sent, ["dlv_1", "77"]);
    await hooks.get("wh_1");
    await hooks.change("wh_1", { enabled: false });
    await hooks.rotate("wh_1");
    await hooks.verify("wh_1");
    await hooks.delivery("wh_1", "dlv_1");
    await hooks.redeliver("wh_1", "dlv_1");
    assert.equal((await hooks.redeliverMany("wh_1", { since: "2026-01-01T00:00:00Z" })).count, 2);
    await hooks.remove("wh_1");
    const at = "/api/pr-agent/webhooks/wh_1";
    assert.deepEqual(
      gateway.asked.map((one) => `${one.method} ${one.path}`),
      [
        `GET ${at}/deliveries?status=dead&limit=1`,
        `GET ${at}/deliveries?status=dead&limit=1&cursor=77`,
        ...[`GET ${at}`, `PATCH ${at}`, `POST ${at}/rotate`, `POST ${at}/verify`, `GET ${at}/deliveries/dlv_1`],
        ...[`POST ${at}/deliveries/dlv_1/redeliver`, `POST ${at}/redeliver`, `DELETE ${at}`],
      ],
    );
  } finally {
    await gateway.close();
  }
});

test("a decision says how it stands also when it was the last word", async () => {
  const gateway = await served((_, response, number) => json(response, 200, { success: true, approval_id: "a", message: "m", ...(number === 3 ? { status: "pending", votes: 1, quorum: 2 } : {}) }));
  try {
    const { approvals } = new Client({ baseUrl: gateway.url });
    const stand = [(await approvals.approve("a")).status, (await approvals.reject("a")).status, (await approvals.approve("a")).status];
    assert.deepEqual(stand, ["approved", "rejected", "pending"]);
  } finally {
    await gateway.close();
  }
});

test("credentials go where they belong, and are shown nowhere", async () => {
  const gateway = await served((_, response) => json(response, 200, { ...ACCEPTED, task: {} }));
  try {
    const [ghp, jwt] = ["ghp_0123456789", "aaa.bbb.ccc"];
    const guest = new Client({ baseUrl: gateway.url, githubToken: ghp });
    await guest.jobs.execute({ repo: "acme/shop", task: "do it" });
    await guest.tasks.get("a");
    const user = new Client({ baseUrl: gateway.url, token: jwt, githubToken: ghp });
    await user.jobs.execute({ repo: "acme/shop", task: "do it" });
    await user.tasks.create({ type: "bugfix", payload: {} });
    const [asGuest, stranger, job, task] = gateway.asked;
    assert.equal(asGuest?.headers.authorization, `Bearer ${ghp}`);
    assert.ok(!asGuest?.body.includes(ghp));
    assert.equal(stranger?.headers.authorization, undefined);
    assert.equal(job?.headers.authorization, `Bearer ${jwt}`);
    assert.equal((JSON.parse(job?.body ?? "") as { githubToken: string }).githubToken, ghp);
    assert.equal(task?.headers["x-github-token"], ghp);
    assert.ok(![ghp, jwt].some((secret) => (inspect(user, { depth: 9, showHidden: true }) + JSON.stringify(user)).includes(secret)));
    assert.throws(() => new Client({ token: ghp }), /give it as githubToken/);
    assert.throws(() => new Client({ token: "two words" }), (error) => error instanceof TypeError && !error.message.includes("two words"));
  } finally {
    await gateway.close();
  }
});

test("what names no gateway, no task and no event is refused before anything is sent", () => {
  for (const baseUrl of ["nonsense", "ftp://x", "http://user:pw@x", "http://x/?a=1"]) assert.throws(() => new Client({ baseUrl }), TypeError);
  const client = new Client({ baseUrl: "http://127.0.0.1:9/base/" });
  assert.equal(client.baseUrl, "http://127.0.0.1:9/base");
  assert.throws(() => client.jobs.stream(".."), /names nothing/);
  assert.throws(() => client.jobs.stream("a", { after: "two\nlines" }), /id of an event/);
});

test("a signal ends a call with its own reason, also while it waits", async () => {
  const gateway = await served((_, response) => json(response, 503, {}, { "Retry-After": "20" }));
  try {
    const reason = new Error("enough");
    const ending = new AbortController();
    const asked = new Client({ baseUrl: gateway.url }).tasks.get("a", { signal: ending.signal });
    setTimeout(() => ending.abort(reason), 50);
    await assert.rejects(asked, (error) => error === reason);
  } finally {
    await gateway.close();
  }
});
