import assert from "node:assert/strict";
import { test } from "node:test";

import { configure, executeTask, getJob, listJobs, streamJob } from "../dist/pr-agent.js";
import { json, line, served, streaming } from "./served.js";

const JOB = "0194589f-6d00-7000-8000-000000000001";

test("the documented calls work, over a connection that breaks", async () => {
  const told = [
    { type: "status", message: "Creating sandbox...", phase: "sandbox" },
    { type: "agent", eventType: "tool_call", tool: "Read", display: "src/index.ts" },
    { type: "agent", eventType: "message", output: "done" },
    { type: "result", success: true, result: { prUrl: "https://example.com/pull/42" } },
  ].map((said, n) => line(`e-${n + 1}`, said));
  const gateway = await served(({ method, path, headers }, response) => {
    if (method === "POST") return json(response, 200, { jobId: JOB, streamUrl: `/api/pr-agent/${JOB}/stream` });
    if (path.startsWith("/api/pr-agent/jobs")) return json(response, 200, { jobs: [{ id: JOB }], total: 1, limit: 10, offset: 0, count: 1 });
    if (path.endsWith(JOB)) return json(response, 200, { id: JOB, job: { id: JOB } });
    if (headers["last-event-id"] === "e-2") return void streaming(response).end(told.slice(2).join(""));
    streaming(response).write(told.slice(0, 2).join(""), () => setTimeout(() => response.destroy(), 20));
  });
  try {
    configure({ baseUrl: gateway.url });
    const { streamUrl } = await executeTask({ repo: "myorg/myrepo", task: "add unit tests" });
    const heard: unknown[] = [];
    await new Promise<void>((resolve, reject) => {
      streamJob(streamUrl, {
        onStatus: (message, phase) => heard.push(`[${phase}] ${message}`),
        onAgent: (event) => heard.push(event),
        onResult: (result) => resolve(void heard.push(result.prUrl)),
        onError: reject,
      });
    });
    const call = { eventType: "tool_call", tool: "Read", display: "src/index.ts" };
    assert.deepEqual(heard, ["[sandbox] Creating sandbox...", call, { eventType: "message", content: "done" }, "https://example.com/pull/42"]);
    assert.deepEqual([(await getJob(JOB)).job.id, (await listJobs()).count], [JOB, 1]);
  } finally {
    await gateway.close();
  }
});

test("a job that fails and a gateway that refuses are sentences", async () => {
  const failed = { type: "error", error: "Failed to clone repository: access denied", code: "CLONE", recoverable: false };
  const gateway = await served(({ path }, response) => {
    if (path.includes("0001/")) return void streaming(response).end(line("e-1", failed));
    json(response, 404, { error: "there is no such job", code: "NOT_FOUND" });
  });
  try {
    configure({ baseUrl: gateway.url });
    const heard = (streamUrl: string) => new Promise((resolve) => streamJob(streamUrl, { onError: resolve }));
    assert.equal(await heard(`/api/pr-agent/${JOB}/stream`), "Failed to clone repository: access denied");
    assert.equal(await heard(`/api/pr-agent/${JOB.slice(0, -1)}2/stream`), "there is no such job");
    assert.throws(() => streamJob("https://elsewhere.example/steal", {}), /is not the streamUrl of a job/);
  } finally {
    await gateway.close();
  }
});
