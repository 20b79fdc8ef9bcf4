// An agent in Node, with nothing but the client of NATS: what it says and hears is in docs/reference/agents-on-nats.md.
//
//   npm ci && TRUNKLINE_NATS_AGENTS_URL=nats://127.0.0.1:4222 TRUNKLINE_TOKEN=… node agent.mjs
//
// It takes incidents, asks whether to go on, and tells what it did. SIGTERM lets it finish.

import { randomUUID } from "node:crypto";
import { connect } from "@nats-io/transport-node";

const token = process.env.TRUNKLINE_TOKEN;
const { sub: name, tenant = "public" } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
const AT_ONCE = 4;
const session = randomUUID();
const holding = new Map(); // the tasks in our hands, by lease
let draining = false;

const bus = await connect({
  servers: (process.env.TRUNKLINE_NATS_AGENTS_URL ?? "nats://127.0.0.1:4222").split(","),
  token,
  name: `agent ${tenant}/${name}`,
  inboxPrefix: `_INBOX.${tenant}.${name}`, // no other is ours to hear
  maxReconnectAttempts: -1,
});

class Refusal extends Error {
  constructor({ code, message }) {
    super(`${message} [${code}]`);
    this.code = code;
  }
}

// One question. Whatever has an id, or is a report, may be asked again without harm, and is, while nobody answers.
async function ask(verb, body, { tries = 5, timeout = 10_000 } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { accepted, refused } = (await bus.request(`agent.${tenant}.${name}.${verb}`, JSON.stringify(body), { timeout })).json();
      if (refused) throw new Refusal(refused);
      return accepted.body;
    } catch (error) {
      if (error instanceof Refusal || bus.isClosed() || attempt === tries) throw error;
      await new Promise((rest) => setTimeout(rest, 100 * 2 ** attempt * (0.5 + Math.random() / 2)));
    }
  }
}

// A task in our hands. `stopped` ends what waits; `held` stands in every word about it.
class Work {
  constructor(task) {
    this.task = task;
    this.held = { task_id: task.task_id, lease: task.lease };
    this.stopping = new AbortController();
    this.lost = false;
  }

  heed({ word, cause, reason, stop }) {
    if (word === "lost") this.lost = true;
    if (word !== "going") this.stopping.abort(stop?.reason ?? reason ?? cause ?? word);
  }

  report(reported, rest = {}) {
    return ask("report", { ...this.held, reported, ...rest });
  }

  say(...items) {
    return ask("say", { ...this.held, id: randomUUID(), items });
  }

  // Asked under one id, by all attempts together; true when somebody says yes.
  async approve(id, title, about) {
    await ask("approve", { ...this.held, id, title, about });
    for (;;) {
      this.stopping.signal.throwIfAborted();
      const answer = await ask("answer", { ...this.held, id, wait_s: 2 });
      if (answer.status !== "pending") return answer.status === "approved";
    }
  }
}

async function incident(work) {
  const { summary } = work.task.payload;
  if (typeof summary !== "string") return ["failed", { code: "BAD_PAYLOAD", error: "an incident has a summary, a text", mendable: false }];
  await work.say({ kind: "progress", fraction: 0.5, text: "looking" }, { kind: "text", text: `heard of: ${summary}` });
  const wake = await work.approve("wake", "Wake somebody up?", { summary });
  return ["succeeded", { result: { summary, woken: wake, by: "node" } }];
}

async function carry(work) {
  try {
    await work.report("started");
    await work.report(...(await incident(work)));
  } catch (error) {
    if (work.lost || error.code === "LEASE_LOST") return console.error("somebody else's now", work.held.task_id);
    const [how, rest] = work.stopping.signal.aborted ? ["stopped", {}] : ["failed", { error: String(error.message).slice(0, 4000) }];
    await work.report(how, rest).catch((lost) => console.error("not told", lost.message));
  } finally {
    holding.delete(work.task.lease);
  }
}

// A sign of life, three times as often as a lease needs it. Where none is answered for so long, the work may be somebody else's by now.
let leaseS = 15;
let heardAt = Date.now();
async function beat() {
  const leases = [...holding.values()].map((work) => work.held);
  const askedAt = Date.now();
  try {
    const beaten = leases.length ? await ask("beat", { session, leases }, { tries: 1, timeout: (leaseS * 1000) / 3 }) : { leases };
    heardAt = askedAt;
    for (const pulse of beaten.leases) holding.get(pulse.lease)?.heed(pulse);
  } catch (error) {
    console.error("no answer to the beat:", error.message);
    if (Date.now() - heardAt > leaseS * 1000) for (const work of holding.values()) work.heed({ word: "lost" });
  }
  setTimeout(beat, (leaseS * 1000) / 3);
}

// What the next beat would say too, only sooner.
bus.subscribe(`told.${tenant}.${name}.stop`, {
  callback: (error, message) => error || holding.get(message.json().lease)?.heed({ word: "stop", ...message.json() }),
});

process.on("SIGTERM", () => {
  draining = true;
  ask("claim", { pools: ["ops_agent"], room: 0, wait_s: 0, session, holding: [] }, { tries: 1 }).catch(() => {}); // ends the one that waits
});

beat();
console.log(`agent ${tenant}/${name} takes incidents`);
while (!draining) {
  if (holding.size >= AT_ONCE) {
    await new Promise((rest) => setTimeout(rest, 20));
    continue;
  }
  const known = [...holding.values()].map((work) => work.held);
  const wish = { pools: ["ops_agent"], types: ["incident"], room: AT_ONCE - holding.size, wait_s: 20, session, holding: known };
  try {
    const claimed = await ask("claim", wish, { tries: 1, timeout: 30_000 });
    leaseS = claimed.lease_s;
    for (const task of claimed.tasks) {
      const work = new Work(task);
      if (draining) {
        await work.report("released");
      } else {
        holding.set(task.lease, work);
        carry(work);
      }
    }
  } catch (error) {
    if (bus.isClosed()) throw error;
    console.error("no answer to the claim:", error.message);
    await new Promise((rest) => setTimeout(rest, 1000));
  }
}
while (holding.size) await new Promise((rest) => setTimeout(rest, 20));
await bus.close();
process.exit(0);
