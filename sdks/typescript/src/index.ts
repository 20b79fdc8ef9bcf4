/** Everything that a program may use. */

export type { Approval, Decided, Decision, Refusal } from "./approvals.js";
export type { CallOptions } from "./calls.js";
export { Client, type ClientOptions } from "./client.js";
export type { Schemas } from "./document.js";
export {
  AuthenticationError,
  ConflictError,
  InvalidRequestError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitedError,
  ServerError,
  TrunklineError,
  UnexpectedAnswerError,
  UnreachableError,
} from "./errors.js";
export type { Delivery, JobDelivery, JobWebhook, Webhook } from "./hooks.js";
export type { AgentEvent, ErrorEvent, JobEvent, JobResult, ResultEvent, StatusEvent } from "./job-events.js";
export { type Accepted, type ExecuteRequest, isOver, type Job, type JobFilter, type ReplayOptions, type StreamOptions } from "./jobs.js";
export type { List, Page } from "./lists.js";
export type { EventStream } from "./stream.js";
export type { ContinueRequest, ForkRequest, Task, TaskEvent, TaskFilter, TaskOptions, TaskRequest } from "./tasks.js";
export { verify, WebhookError, type WebhookEvent } from "./webhooks.js";
