// Asks for a job through one address and follows it to its end; prints what it read.
import { Client } from 'trunkline';

const [baseUrl, repo, task, verb] = process.argv.slice(2);
const client = new Client({ baseUrl });
const { jobId } = await client.jobs.execute({ repo, task });
const events = [];
for await (const event of client.jobs[verb](jobId)) events.push(event);
console.log(JSON.stringify({ jobId, events, job: await client.jobs.get(jobId) }));
