/** Approvals: what waits for people, and their decisions. */

import { call, type CallOptions } from "./calls.js";
import { cursored } from "./cursored.js";
import type { BodyOf, Schemas } from "./document.js";
import type { List } from "./lists.js";
import type { Means } from "./means.js";

export type Approval = Schemas["Approval"];
export type Decision = BodyOf<"post", "/approvals/{approval_id}/approve">;
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
  approve(approvalId: string, body: Decision = {}, options: CallOptions = {}): Promise<Schemas["Decided"]> {
    return this.#means.wire.ask(call("post", "/approvals/{approval_id}/approve", { names: { approval_id: approvalId }, body }), options);
  }

  /** Once only: NotFoundError for one that is unknown or decided already. */
  reject(approvalId: string, body: Refusal = {}, options: CallOptions = {}): Promise<Schemas["Decided"]> {
    return this.#means.wire.ask(call("post", "/approvals/{approval_id}/reject", { names: { approval_id: approvalId }, body }), options);
  }
}
