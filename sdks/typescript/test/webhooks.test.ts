import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { test } from "node:test";

import { verify, WebhookError } from "../dist/webhooks.js";

const NOW = 1_800_000_000;
const KEY = randomBytes(32);
const SECRET = `whsec_${KEY.toString("base64")}`;
const BODY = JSON.stringify({ type: "job.completed", timestamp: "2027-01-15T08:00:00.000Z", data: { jobId: "j", who: "Zoë" } });

function headers(body: string, key: string | Buffer = KEY, stamp = NOW): Record<string, string> {
  const signature = createHmac("sha256", key).update(`dlv_1.${stamp}.${body}`).digest("base64");
  return { "Webhook-Id": "dlv_1", "Webhook-Timestamp": String(stamp), "Webhook-Signature": `v2,x v1,AAAA v1,${signature}` };
}

const now = { now: NOW * 1000 };

test("a delivery is read when it was signed with one of the secrets", async () => {
  const event = await verify(BODY, headers(BODY), ["whsec_AAAA", SECRET], now);
  assert.deepEqual({ ...event }, { id: "dlv_1", type: "job.completed", timestamp: "2027-01-15T08:00:00.000Z", data: { jobId: "j", who: "Zoë" }, answer: '{"received":true}' });
  assert.equal((await verify(Buffer.from(BODY), new Headers(headers(BODY)), SECRET, now)).id, "dlv_1");
  assert.equal((await verify(BODY, headers(BODY, "your-webhook-secret"), "your-webhook-secret", now)).type, "job.completed");
});

test("the handshake says its challenge back", async () => {
  const body = JSON.stringify({ type: "webhook.verify", timestamp: "2027-01-15T08:00:00Z", data: { challenge: "c-1" } });
  assert.equal((await verify(body, headers(body), SECRET, now)).answer, '{"challenge":"c-1"}');
});

test("another body, another time, another secret and a lost header are refused", async () => {
  const refused = (asked: Promise<unknown>) => assert.rejects(asked, WebhookError);
  await refused(verify(`${BODY} `, headers(BODY), SECRET, now));
  await refused(verify(BODY, headers(BODY, randomBytes(32)), SECRET, now));
  await refused(verify(BODY, headers(BODY), SECRET, { now: (NOW + 301) * 1000 }));
  await refused(verify(BODY, headers(BODY), SECRET, { now: (NOW - 301) * 1000 }));
  await refused(verify(BODY, { ...headers(BODY), "Webhook-Timestamp": "soon" }, SECRET, now));
  await refused(verify(BODY, { "webhook-id": "dlv_1" }, SECRET, now));
  await refused(verify("[]", headers("[]"), SECRET, now));
  await assert.rejects(verify(BODY, headers(BODY), "", now), TypeError);
});
