/** Approvals: what waits for people, and their decisions. */

import { call, type CallOptions } from "./calls.js";
import { cursored } from "./cursored.js";
import type { BodyOf, Schemas } from "./document.js";
import type { List } from "./lists.js";
import type { Means } from "./means.js";

export type Approval = Schemas["Approval"];
export type Decision = BodyOf<"post", "/approvals/{approval_id}/approve">;
/** How the approval stands after a word. Where several must agree, `votes` of `quorum` have said yes; both are missing behind the last word. */
export type Decided = Schemas["Decided"] & { status: NonNullable<Schemas["Decided"]["status"]> };
export type Refusal = BodyOf<"post", "/approvals/{approval_id}/reject">;

export class Approvals {
  readonly #means: Means;

  constructor(means: Means) {
    this.#means = means;
  }

  /** What waits for a decision, the oldest first. */
  pending(options: CallOptions = {}): List<Schemas["ApprovalList"], Approval> {
    const page = (query: { cursor?: string }) => call("get", "/approvals/pending", { query });
    return cursored(this.#means.wire, page, {}, (answer) => answer.approvals, options);
  }

  /** What was decided, the last decided first. */
  history(options: CallOptions = {}): List<Schemas["ApprovalHistory"], Approval> {
    const page = (query: { cursor?: string }) => call("get", "/approvals/history", { query: { limit: 100, ...query } });
    return cursored(this.#means.wire, page, {}, (answer) => answer.history, options);
  }

  async get(approvalId: string, options: CallOptions = {}): Promise<Approval> {
    const asked = call("get", "/approvals/{approval_id}", { names: { approval_id: approvalId } });
    return (await this.#means.wire.ask(asked, options)).approval;
  }

  /** Once only: NotFoundError for one that is unknown or decided already. `digest`: that of what was shown to whoever says yes. */
  async approve(approvalId: string, body: Decision = {}, options: CallOptions = {}): Promise<Decided> {
    const asked = call("post", "/approvals/{approval_id}/approve", { names: { approval_id: approvalId }, body });
    return decided("approved", await this.#means.wire.ask(asked, options));
  }

  /** Once only: NotFoundError for one that is unknown or decided already. */
  async reject(approvalId: string, body: Refusal = {}, options: CallOptions = {}): Promise<Decided> {
    const asked = call("post", "/approvals/{approval_id}/reject", { names: { approval_id: approvalId }, body });
    return decided("rejected", await this.#means.wire.ask(asked, options));
  }
}

/** An answer names no status where the decision is what was asked for. */
function decided(verdict: Decided["status"], answer: Schemas["Decided"]): Decided {
  return { ...answer, status: answer.status ?? verdict };
}
