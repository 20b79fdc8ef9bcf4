// The npm packages as they are: gets a token, subscribes, and prints every message until all that it hears is done.
// What they talk to is in the environment (INNGEST_DEV, INNGEST_BASE_URL, INNGEST_SIGNING_KEY); HISTORY holds a token of ours.
import { Inngest } from "inngest";
import { channel, getSubscriptionToken, subscribe, topic } from "@inngest/realtime";

const app = new Inngest({ id: "trunkline-test" });
const tasks = channel("tasks").addTopic(topic("update").type()).addTopic(topic("status").type());
const topics = ["update", "status"];

async function hear(name, token) {
  const stream = await subscribe(token);
  console.log(JSON.stringify({ ready: name }));
  for await (const said of stream) {
    console.log(JSON.stringify({ name, ...said }));
    if (said.topic === "status" && said.data.status === "MERGED") return;
  }
  console.log(JSON.stringify({ name, closed: true }));
}

const ways = {
  minted: await getSubscriptionToken(app, { channel: tasks(), topics }),
  lazy: { app, channel: "tasks", topics },
};
if (process.env.HISTORY) ways.history = { app, channel: "tasks", topics, key: process.env.HISTORY };
await Promise.all(Object.entries(ways).map(([name, token]) => hear(name, token)));
process.exit(0);
