/** The calls that the document of the pr_agent surface shows for JavaScript, over a client of ours. */

import { Client, type ClientOptions } from "./client.js";
import { TrunklineError } from "./errors.js";
import type { JobEvent, JobResult } from "./job-events.js";
import type { Accepted, ExecuteRequest, Job, JobFilter } from "./jobs.js";

/** What the agent did; `content` is its text. */
export interface AgentCallback {
  readonly eventType: string;
  readonly tool?: string;
  readonly display?: string;
  readonly content?: string;
}

/** `onError` is told a sentence, whether the job failed or the gateway did; after it, as after `onResult`, nothing is told any more. */
export interface StreamCallbacks {
  onStatus?: (message: string, phase?: string, sandboxId?: string) => void;
  onAgent?: (event: AgentCallback) => void;
  onResult?: (result: JobResult) => void;
  onError?: (error: string) => void;
}

let used: Client | null = null;

/** Which gateway, and as whom; without it the environment says so, when the first call is made. */
export function configure(options: ClientOptions): void {
  used = new Client(options);
}

/** Throws TrunklineError. */
export function executeTask(request: ExecuteRequest): Promise<Accepted> {
  return client().jobs.execute(request);
}

/** Throws TrunklineError. */
export async function getJob(jobId: string): Promise<{ job: Job }> {
  return { job: await client().jobs.get(jobId) };
}

/** One's own jobs; without a credential `fingerprint` says whose. Throws TrunklineError. */
export async function listJobs(options: JobFilter = {}): Promise<{ jobs: readonly Job[]; count: number }> {
  const { items } = await client().jobs.list({ limit: 10, ...options }).page();
  return { jobs: items, count: items.length };
}

/** Tells what happens, to the result or the error; a connection that breaks is taken up where it broke, and nothing is told of that. */
export function streamJob(streamUrl: string, callbacks: StreamCallbacks): { close: () => void } {
  const stream = client().jobs.stream(jobOf(streamUrl));
  void follow(stream, callbacks);
  return { close: () => stream.close() };
}

async function follow(events: AsyncIterable<JobEvent>, callbacks: StreamCallbacks): Promise<void> {
  try {
    for await (const event of events) tell(event, callbacks);
  } catch (error) {
    if (!(error instanceof TrunklineError)) throw error; // a callback's own: as loud as it would be anywhere
    callbacks.onError?.(error.message);
  }
}

function tell(event: JobEvent, callbacks: StreamCallbacks): void {
  switch (event.type) {
    case "status":
      return callbacks.onStatus?.(event.message, event.phase);
    case "agent": {
      const { eventType, tool, display, output } = event;
      const known = { ...(tool !== undefined && { tool }), ...(display !== undefined && { display }) };
      return callbacks.onAgent?.({ eventType, ...known, ...(output !== undefined && { content: output }) });
    }
    case "result":
      return callbacks.onResult?.(event.result);
    case "error":
      return callbacks.onError?.(event.error);
  }
}

/** The job that a `streamUrl` leads to: only its id counts, so a credential goes to nobody whom an address names. Throws TypeError. */
function jobOf(streamUrl: string): string {
  const found = /\/api\/pr-agent\/([0-9A-Fa-f-]{32,36})\/(?:stream|watch)$/.exec(streamUrl.split(/[?#]/)[0] ?? "");
  if (!found?.[1]) throw new TypeError(`${JSON.stringify(streamUrl)} is not the streamUrl of a job`);
  return found[1];
}

function client(): Client {
  return (used ??= new Client());
}
