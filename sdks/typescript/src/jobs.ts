/** Jobs on repositories, as the pr_agent surface has them. */

import { call, type Call, type CallOptions, eventId, type Feed, streamed } from "./calls.js";
import type { BodyOf, QueryOf, Schemas } from "./document.js";
import { isGap, isLast, type JobEvent, read } from "./job-events.js";
import { List } from "./lists.js";
import type { EventStream } from "./stream.js";
import type { Means } from "./means.js";

export type Job = Schemas["JobFields"];
export type Accepted = Schemas["Accepted"];
export type ExecuteRequest = BodyOf<"post", "/api/pr-agent/execute">;
export type JobFilter = QueryOf<"get", "/api/pr-agent/jobs">;

/** Where a stream begins, and what ends it early. */
export interface StreamOptions {
  /** Only what follows the event of that id. */
  after?: string;
  signal?: AbortSignal;
}

export interface ReplayOptions extends StreamOptions {
  /** 0.1 to 100 times its own pace; 1 when left out. */
  speed?: number;
  /** Id of the event to begin with. */
  from?: string;
}

const ONE = "/api/pr-agent/{jobId}";

export class Jobs {
  readonly #means: Means;

  constructor(means: Means) {
    this.#means = means;
  }

  /** Ask for a job on the repository `owner/name`; the answer comes when it is on disk. */
  execute(request: ExecuteRequest, options: CallOptions = {}): Promise<Accepted> {
    const { githubToken, ...body } = request;
    const asked = call("post", "/api/pr-agent/execute", { body, github: "body", githubToken: githubToken ?? undefined });
    return this.#means.wire.ask(asked, options);
  }

  async get(jobId: string, options: CallOptions = {}): Promise<Job> {
    return (await this.#means.wire.ask(call("get", ONE, { names: { jobId } }), options)).job;
  }

  /** One's own jobs, the newest first. Without a credential the `fingerprint` must be named. */
  list(filter: JobFilter = {}, options: CallOptions = {}): List<Schemas["JobPage"], Job> {
    const page = (offset: number): Call<Schemas["JobPage"]> => call("get", "/api/pr-agent/jobs", { query: { limit: 100, ...filter, offset } });
    const read = (answer: Schemas["JobPage"]) => {
      const after = answer.offset + answer.jobs.length;
      const more = answer.jobs.length > 0 && after < answer.total;
      return { page: { items: answer.jobs, total: answer.total }, next: more ? page(after) : null };
    };
    return new List(this.#means.wire, page(filter.offset ?? 0), read, options);
  }

  /** Everything that happened, then everything that happens, to the result or the error. */
  stream(jobId: string, options: StreamOptions = {}): EventStream<JobEvent> {
    return this.#follow("/api/pr-agent/{jobId}/stream", jobId, options);
  }

  /** The same as `stream`, by the name that attaching to a job has. */
  watch(jobId: string, options: StreamOptions = {}): EventStream<JobEvent> {
    return this.#follow("/api/pr-agent/{jobId}/watch", jobId, options);
  }

  /** What happened, at 0.1 to 100 times its own pace, then what happens. */
  replay(jobId: string, options: ReplayOptions = {}): EventStream<JobEvent> {
    const { speed = 1, from, ...more } = options;
    return this.#follow("/api/pr-agent/{jobId}/replay", jobId, more, { speed, from });
  }

  /** Stop a job; the stream says when that is done. Cancelling twice changes nothing; one that ended otherwise is a ConflictError. */
  async cancel(jobId: string, reason = "", options: CallOptions = {}): Promise<Job> {
    const asked = call("post", "/api/pr-agent/{jobId}/cancel", { names: { jobId }, body: reason ? { reason } : {} });
    return (await this.#means.wire.ask(asked, options)).job;
  }

  /** What may still be asked for; asking uses nothing of it up. */
  rateLimitStatus(fingerprint?: string, options: CallOptions = {}): Promise<Schemas["RateLimits"]> {
    const query = fingerprint === undefined ? {} : { fingerprint };
    return this.#means.wire.ask(call("get", "/api/pr-agent/rate-limit-status", { query }), options);
  }

  #follow(
    template: "/api/pr-agent/{jobId}/stream" | "/api/pr-agent/{jobId}/watch" | "/api/pr-agent/{jobId}/replay",
    jobId: string,
    options: StreamOptions,
    query: object = {},
  ): EventStream<JobEvent> {
    const over = { call: call("get", ONE, { names: { jobId } }), read: (job: unknown) => isOver(job as Job) };
    const feed: Feed<JobEvent> = {
      ...streamed(template, { jobId }, query),
      parse: read,
      isLast,
      isGap,
      over,
      after: eventId(options.after),
    };
    return this.#means.follow(feed, options.signal);
  }
}

/** Whether nothing of a job is to come any more. */
export function isOver(job: Job): boolean {
  return job.status === "success" || job.status === "failed";
}
