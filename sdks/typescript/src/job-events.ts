/** The events of a job, as the lines of its stream hold them. */

import { objectOf } from "./errors.js";
import type { ServerEvent } from "./sse.js";

interface Happened {
  /** Where a stream goes on from; empty where it cannot. */
  readonly id: string;
  readonly timestamp: string;
  readonly jobId: string;
}

/** Where a job stands. The phase `gap` has no id: the log lost what was asked for, and all that it holds follows. */
export interface StatusEvent extends Happened {
  readonly type: "status";
  readonly status: "pending" | "running";
  /** sandbox, clone, agent, push, pr, or a newer one. */
  readonly phase?: string;
  readonly message: string;
}

/** What the agent says or does. */
export interface AgentEvent extends Happened {
  readonly type: "agent";
  readonly eventType: "message" | "thinking" | "tool_call" | "tool_result";
  readonly tool?: string;
  readonly display?: string;
  readonly output?: string;
  readonly isError?: boolean;
}

/** What came out of a job that succeeded; what is not known is null or missing, never invented. */
export interface JobResult {
  readonly success: boolean;
  readonly fixBranch: string | null;
  readonly prNumber: number | null;
  readonly prUrl: string | null;
  readonly commitSha: string | null;
  readonly filesChanged: number | null;
  readonly additions?: number | null;
  readonly deletions?: number | null;
  readonly sandboxId?: string | null;
  readonly sandboxDurationSeconds: number | null;
  readonly estimatedCostUsd: number | null;
  readonly llmModel?: string | null;
  readonly llmInputTokens?: number | null;
  readonly llmOutputTokens?: number | null;
}

/** The job succeeded; nothing follows. */
export interface ResultEvent extends Happened {
  readonly type: "result";
  readonly success: boolean;
  readonly result: JobResult;
}

/** The job failed, or was cancelled; nothing follows. */
export interface ErrorEvent extends Happened {
  readonly type: "error";
  readonly error: string;
  readonly code: string;
  readonly recoverable: boolean;
}

/** A newer gateway may say more kinds: those are handed out as they came, so pass over a `type` that you do not know. */
export type JobEvent = StatusEvent | AgentEvent | ResultEvent | ErrorEvent;

/** One event; null for what is none of a job. Pure. */
export function read(came: ServerEvent): JobEvent | null {
  const said = objectOf(came.text);
  return typeof said["type"] === "string" ? ({ ...said, id: came.id } as unknown as JobEvent) : null;
}

export function isLast(event: JobEvent): boolean {
  return event.type === "result" || event.type === "error";
}

export function isGap(event: JobEvent): boolean {
  return event.type === "status" && event.phase === "gap" && !event.id;
}
