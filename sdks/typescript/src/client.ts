/** The client of one gateway. */

import { Approvals } from "./approvals.js";
import { Credentials, type Given } from "./credentials.js";
import { Events } from "./events.js";
import { JobWebhooks, Webhooks } from "./hooks.js";
import { Jobs } from "./jobs.js";
import { Means } from "./means.js";
import { pageOrigin, variable } from "./platform.js";
import { PATIENCE } from "./retrying.js";
import { Steering } from "./steering.js";
import { Tasks } from "./tasks.js";
import { Wire } from "./wire.js";

/** How the gateway is reached, and who asks. Times in milliseconds. */
export interface ClientOptions extends Given {
  /** Else TRUNKLINE_URL, else where the page came from, else this machine's. */
  baseUrl?: string;
  /** The platform's own when left out. */
  fetch?: typeof fetch;
  /** For one answer; 30,000 when left out. */
  timeout?: number;
  /** All waits between the tries of one call together; 30,000 when left out, 0 for no second try. */
  retryFor?: number;
  /** Without a byte for so long a stream is taken up anew; a gateway says something every 15,000. 45,000 when left out. */
  silence?: number;
  /** For so long a stream is taken up again and again without anything to show for it; 300,000 when left out. */
  streamRetryFor?: number;
}

/** A gateway. Throws TypeError for what is no address or no credential. It may be used for any number of calls and streams at once. */
export class Client {
  readonly baseUrl: string;
  readonly jobs: Jobs;
  readonly jobWebhooks: JobWebhooks;
  readonly tasks: Tasks;
  readonly steering: Steering;
  readonly approvals: Approvals;
  readonly events: Events;
  readonly webhooks: Webhooks;

  constructor(options: ClientOptions = {}) {
    this.baseUrl = address(options.baseUrl || variable("TRUNKLINE_URL") || pageOrigin() || "http://127.0.0.1:8787");
    const reach = {
      url: this.baseUrl,
      fetch: options.fetch ?? globalThis.fetch.bind(globalThis),
      answer: options.timeout ?? 30_000,
      silence: options.silence ?? 45_000,
    };
    const wire = new Wire(reach, { ...PATIENCE, whole: options.retryFor ?? PATIENCE.whole }, new Credentials(options));
    const means = new Means(wire, options.streamRetryFor ?? 300_000);
    this.jobs = new Jobs(means);
    this.jobWebhooks = new JobWebhooks(means);
    this.tasks = new Tasks(means);
    this.steering = new Steering(means);
    this.approvals = new Approvals(means);
    this.events = new Events(means);
    this.webhooks = new Webhooks(means);
  }
}

/** Throws TypeError for what is no address, and for one with a password in it, which would end up in logs. Pure. */
export function address(given: string): string {
  let found: URL;
  try {
    found = new URL(given.trim());
  } catch {
    throw new TypeError(`baseUrl must look like https://host:port: ${JSON.stringify(given)}`);
  }
  if (found.username || found.password) throw new TypeError("baseUrl must not hold a user or password: give a credential as token or apiKey");
  if (!/^https?:$/.test(found.protocol) || found.search || found.hash) {
    throw new TypeError(`baseUrl must look like https://host:port, without ? and #: ${JSON.stringify(given)}`);
  }
  return found.origin + found.pathname.replace(/\/+$/, "");
}
