/** Steering a task whose agent runs: messages to it, interrupting, pausing and resuming. */

import { call, type CallOptions } from "./calls.js";
import type { Schemas } from "./document.js";
import type { Means } from "./means.js";

export class Steering {
  readonly #means: Means;

  constructor(means: Means) {
    this.#means = means;
  }

  /** Queue a message for the agent of a task; until the agent takes it, it may be changed, ordered and withdrawn. */
  send(taskId: string, text: string, options: CallOptions = {}): Promise<Schemas["MessageSaid"]> {
    const asked = call("post", "/tasks/{task_id}/messages", { names: { task_id: taskId }, body: { text } });
    return this.#means.wire.ask(asked, options);
  }

  /** Those that wait in their order, then the others, the newest first. */
  messages(taskId: string, options: CallOptions = {}): Promise<Schemas["MessageQueue"]> {
    return this.#means.wire.ask(call("get", "/tasks/{task_id}/messages", { names: { task_id: taskId } }), options);
  }

  /** Change a message that waits; ConflictError once the agent has it. */
  editMessage(taskId: string, messageId: string, text: string, options: CallOptions = {}): Promise<Schemas["MessageSaid"]> {
    const names = { task_id: taskId, message_id: messageId };
    return this.#means.wire.ask(call("patch", "/tasks/{task_id}/messages/{message_id}", { names, body: { text } }), options);
  }

  /** Withdraw a message that waits; ConflictError once the agent has it. */
  withdrawMessage(taskId: string, messageId: string, options: CallOptions = {}): Promise<Schemas["MessageSaid"]> {
    const names = { task_id: taskId, message_id: messageId };
    return this.#means.wire.ask(call("delete", "/tasks/{task_id}/messages/{message_id}", { names }), options);
  }

  /** Order the messages that wait: every one of them, in the order in which the agent is to take them. */
  orderMessages(taskId: string, messageIds: readonly string[], options: CallOptions = {}): Promise<Schemas["MessagesOrdered"]> {
    const body = { message_ids: [...messageIds] };
    return this.#means.wire.ask(call("put", "/tasks/{task_id}/messages/order", { names: { task_id: taskId }, body }), options);
  }

  /** End what the agent is doing; it lives, and rests until it is spoken to or resumed. */
  interrupt(taskId: string, options: CallOptions = {}): Promise<Schemas["Steered"]> {
    return this.#means.wire.ask(call("post", "/tasks/{task_id}/interrupt", { names: { task_id: taskId }, body: {} }), options);
  }

  /** Freeze the run where it stands; its deadline stands still meanwhile. */
  pause(taskId: string, options: CallOptions = {}): Promise<Schemas["Steered"]> {
    return this.#means.wire.ask(call("post", "/tasks/{task_id}/pause", { names: { task_id: taskId }, body: {} }), options);
  }

  /** End a pause, or a rest after an interrupt. */
  resume(taskId: string, options: CallOptions = {}): Promise<Schemas["Steered"]> {
    return this.#means.wire.ask(call("post", "/tasks/{task_id}/resume", { names: { task_id: taskId }, body: {} }), options);
  }
}
