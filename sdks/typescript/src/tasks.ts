/** Tasks, as the orchestrator surface has them: asking for one, reading, listing, following, cancelling and going on from it. */

import { call, type CallOptions, eventId, streamed } from "./calls.js";
import { cursored } from "./cursored.js";
import type { AnswerOf, BodyOf, QueryOf, Schemas } from "./document.js";
import { objectOf } from "./errors.js";
import type { ReplayOptions } from "./jobs.js";
import type { List } from "./lists.js";
import type { Means } from "./means.js";
import type { ServerEvent } from "./sse.js";
import type { EventStream } from "./stream.js";

export type Task = Schemas["Task"];
export type TaskEvent = Schemas["Happened"];
export type TaskRequest = BodyOf<"post", "/tasks">;
export type TaskFilter = Omit<QueryOf<"get", "/tasks">, "cursor">;
export type ContinueRequest = BodyOf<"post", "/tasks/{task_id}/continue">;
export type ForkRequest = BodyOf<"post", "/tasks/{task_id}/fork">;

/** `githubToken`: the caller's own, for a private repository. */
export interface TaskOptions extends CallOptions {
  githubToken?: string;
}

const ENDS: readonly string[] = ["task.completed", "task.failed", "task.cancelled"];
const ENDED: readonly string[] = ["completed", "failed", "cancelled"];

export class Tasks {
  readonly #means: Means;

  constructor(means: Means) {
    this.#means = means;
  }

  /** Ask for a task; one that must be approved first says so. The answer comes when it is on disk. */
  create(body: TaskRequest, options: TaskOptions = {}): Promise<AnswerOf<"post", "/tasks">> {
    return this.#means.wire.ask(call("post", "/tasks", { body, github: "header", githubToken: options.githubToken }), options);
  }

  async get(taskId: string, options: CallOptions = {}): Promise<Task> {
    return (await this.#means.wire.ask(call("get", "/tasks/{task_id}", { names: { task_id: taskId } }), options)).task;
  }

  /** The tasks that fit, the newest first unless `sort` says otherwise. */
  list(filter: TaskFilter = {}, options: CallOptions = {}): List<Schemas["TaskList"], Task> {
    const page = (query: TaskFilter) => call("get", "/tasks", { query: { limit: 100, ...query } });
    return cursored(this.#means.wire, page, filter, (answer) => answer.tasks, options);
  }

  /** Cancel a task and its parts. A run of ours is stopped first: then it is still in_progress, and its events say when it is over. */
  async cancel(taskId: string, reason = "", options: CallOptions = {}): Promise<Task> {
    const asked = call("post", "/tasks/{task_id}/cancel", { names: { task_id: taskId }, body: reason ? { reason } : {} });
    return (await this.#means.wire.ask(asked, options)).task;
  }

  /** For the agent that carries it out. Saying the same again changes nothing. */
  async report(taskId: string, body: BodyOf<"patch", "/tasks/{task_id}/status">, options: CallOptions = {}): Promise<void> {
    await this.#means.wire.ask(call("patch", "/tasks/{task_id}/status", { names: { task_id: taskId }, body }), options);
  }

  /** A new task that goes on where this one ended: one more commit on the same branch. */
  continue(taskId: string, body: ContinueRequest, options: TaskOptions = {}): Promise<AnswerOf<"post", "/tasks/{task_id}/continue">> {
    const { githubToken } = options;
    const told = { names: { task_id: taskId }, body, github: "header", githubToken } as const;
    return this.#means.wire.ask(call("post", "/tasks/{task_id}/continue", told), options);
  }

  /** A new task with a branch of its own, from this one as it was at an event; without one, as it ended. */
  fork(taskId: string, body: ForkRequest, options: TaskOptions = {}): Promise<AnswerOf<"post", "/tasks/{task_id}/fork">> {
    const { githubToken } = options;
    const told = { names: { task_id: taskId }, body, github: "header", githubToken } as const;
    return this.#means.wire.ask(call("post", "/tasks/{task_id}/fork", told), options);
  }

  /** Everything that happened, then everything that happens, to the event that ends the task; with `speed` at that times its own pace. */
  events(taskId: string, options: ReplayOptions = {}): EventStream<TaskEvent> {
    const names = { task_id: taskId };
    const over = { call: call("get", "/tasks/{task_id}", { names }), read: (answer: unknown) => isOver((answer as { task: Task }).task) };
    const place = streamed("/tasks/{task_id}/events", names, { speed: options.speed, from: options.from });
    const feed = { ...place, parse: read, isLast, isGap, over, after: eventId(options.after) };
    return this.#means.follow<TaskEvent>(feed, options.signal);
  }

  /** What is there behind the event `after`; it waits for nothing. */
  eventPage(taskId: string, after = "", limit = 100, options: CallOptions = {}): Promise<Schemas["EventPage"]> {
    const asked = call("get", "/tasks/{task_id}/events", { names: { task_id: taskId }, query: { after, limit } });
    return this.#means.wire.ask(asked, options);
  }

  /** What the models of the tenant were asked and what that cost, by day (UTC) and model. */
  usage(query: QueryOf<"get", "/usage"> = {}, options: CallOptions = {}): Promise<Schemas["UsageList"]> {
    return this.#means.wire.ask(call("get", "/usage", { query }), options);
  }
}

function read(came: ServerEvent): TaskEvent | null {
  const said = objectOf(came.text);
  return typeof said["event_type"] === "string" ? (said as unknown as TaskEvent) : null;
}

/** That somebody published an event by that name ends nothing. */
function isLast(event: TaskEvent): boolean {
  return ENDS.includes(event.event_type) && !event.published_by;
}

function isGap(event: TaskEvent): boolean {
  return event.event_type === "gap" && !event.id;
}

function isOver(task: Task): boolean {
  return ENDED.includes(task.status);
}
