// Follows jobs of any surface in every way there is, all at once, to their ends; prints what each way read.
import { Client } from 'trunkline';

const [baseUrl, token, ...ids] = process.argv.slice(2);
const client = new Client({ baseUrl, token });
const ways = ids.flatMap((id) => [
  [id, 'jobs', client.jobs.stream(id)],
  [id, 'jobs', client.jobs.watch(id)],
  [id, 'jobs', client.jobs.replay(id, { speed: 100 })],
  [id, 'tasks', client.tasks.events(`task_${id}`)],
  [id, 'tasks', client.tasks.events(`task_${id}`, { speed: 100 })],
]);
const told = ways.map(async ([id, surface, stream]) => {
  const events = [];
  for await (const event of stream) events.push(event);
  return { id, surface, events };
});
console.log(JSON.stringify(await Promise.all(told)));
