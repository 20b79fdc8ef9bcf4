/** Webhooks: of a tenant's tasks, and of one's own jobs. */

import { call, type CallOptions } from "./calls.js";
import { cursored } from "./cursored.js";
import type { AnswerOf, BodyOf, QueryOf } from "./document.js";
import type { List } from "./lists.js";
import type { Means } from "./means.js";

const ONE = "/webhooks/{webhook_id}";
const DELIVERIES = "/webhooks/{webhook_id}/deliveries";

type Hooks = AnswerOf<"get", "/webhooks">;
type Deliveries = AnswerOf<"get", typeof DELIVERIES>;
export type Webhook = Hooks["webhooks"][number];
export type Delivery = Deliveries["deliveries"][number];

/** Those that hear of every task of the tenant. */
export class Webhooks {
  readonly #means: Means;

  constructor(means: Means) {
    this.#means = means;
  }

  /** The answer shows the secret, and is the only one that does. It hears of nothing until its address answered the handshake. */
  create(body: BodyOf<"post", "/webhooks">, options: CallOptions = {}): Promise<AnswerOf<"post", "/webhooks">> {
    return this.#means.wire.ask(call("post", "/webhooks", { body }), options);
  }

  list(options: CallOptions = {}): List<Hooks, Webhook> {
    const page = (query: { cursor?: string }) => call("get", "/webhooks", { query });
    return cursored(this.#means.wire, page, {}, (answer) => answer.webhooks, options);
  }

  async get(webhookId: string, options: CallOptions = {}): Promise<Webhook> {
    return (await this.#means.wire.ask(call("get", ONE, { names: { webhook_id: webhookId } }), options)).webhook;
  }

  async change(webhookId: string, body: BodyOf<"patch", typeof ONE>, options: CallOptions = {}): Promise<Webhook> {
    return (await this.#means.wire.ask(call("patch", ONE, { names: { webhook_id: webhookId }, body }), options)).webhook;
  }

  async remove(webhookId: string, options: CallOptions = {}): Promise<void> {
    await this.#means.wire.ask(call("delete", ONE, { names: { webhook_id: webhookId } }), options);
  }

  /** A new secret beside the old one, which counts for a while yet. */
  rotate(webhookId: string, body: BodyOf<"post", `${typeof ONE}/rotate`> = {}, options: CallOptions = {}) {
    return this.#means.wire.ask(call("post", `${ONE}/rotate`, { names: { webhook_id: webhookId }, body }), options);
  }

  /** Ask its address for the handshake again. */
  async verify(webhookId: string, options: CallOptions = {}): Promise<Webhook> {
    return (await this.#means.wire.ask(call("post", `${ONE}/verify`, { names: { webhook_id: webhookId }, body: {} }), options)).webhook;
  }

  /** What was sent, what was answered, and when; the last changed first. */
  deliveries(webhookId: string, filter: Omit<QueryOf<"get", typeof DELIVERIES>, "cursor"> = {}): List<Deliveries, Delivery> {
    const page = (query: QueryOf<"get", typeof DELIVERIES>) => call("get", DELIVERIES, { names: { webhook_id: webhookId }, query });
    return cursored(this.#means.wire, page, filter, (answer) => answer.deliveries);
  }

  redeliver(webhookId: string, deliveryId: string, options: CallOptions = {}) {
    const names = { webhook_id: webhookId, delivery_id: deliveryId };
    return this.#means.wire.ask(call("post", `${DELIVERIES}/{delivery_id}/redeliver`, { names, body: {} }), options);
  }

  redeliverMany(webhookId: string, body: BodyOf<"post", `${typeof ONE}/redeliver`> = {}, options: CallOptions = {}) {
    return this.#means.wire.ask(call("post", `${ONE}/redeliver`, { names: { webhook_id: webhookId }, body }), options);
  }
}

/** Those that hear of one's own jobs. */
export class JobWebhooks {
  readonly #means: Means;

  constructor(means: Means) {
    this.#means = means;
  }

  /** The answer shows the secret, and is the only one that does. */
  create(body: BodyOf<"post", "/api/pr-agent/webhooks">, options: CallOptions = {}) {
    return this.#means.wire.ask(call("post", "/api/pr-agent/webhooks", { body }), options);
  }

  async list(options: CallOptions = {}): Promise<AnswerOf<"get", "/api/pr-agent/webhooks">["webhooks"]> {
    return (await this.#means.wire.ask(call("get", "/api/pr-agent/webhooks"), options)).webhooks;
  }

  get(webhookId: string, options: CallOptions = {}) {
    return this.#means.wire.ask(call("get", "/api/pr-agent/webhooks/{webhookId}", { names: { webhookId } }), options);
  }

  async remove(webhookId: string, options: CallOptions = {}): Promise<void> {
    await this.#means.wire.ask(call("delete", "/api/pr-agent/webhooks/{webhookId}", { names: { webhookId } }), options);
  }
}
