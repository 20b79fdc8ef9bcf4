/** Webhooks: of a tenant's tasks, and of one's own jobs. */

import { call, type CallOptions } from "./calls.js";
import { cursored } from "./cursored.js";
import type { AnswerOf, BodyOf, QueryOf } from "./document.js";
import type { List } from "./lists.js";
import type { Means } from "./means.js";

const ONE = "/webhooks/{webhook_id}";
const DELIVERIES = "/webhooks/{webhook_id}/deliveries";
const OWN = "/api/pr-agent/webhooks";
const MINE = "/api/pr-agent/webhooks/{webhookId}";
const MINE_SENT = "/api/pr-agent/webhooks/{webhookId}/deliveries";

type Hooks = AnswerOf<"get", "/webhooks">;
type Deliveries = AnswerOf<"get", typeof DELIVERIES>;
export type Webhook = Hooks["webhooks"][number];
export type Delivery = Deliveries["deliveries"][number];
type JobDeliveries = AnswerOf<"get", typeof MINE_SENT>;
export type JobWebhook = AnswerOf<"get", typeof MINE>;
export type JobDelivery = JobDeliveries["deliveries"][number];

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

  /** One, with the whole of what was sent and answered. */
  async delivery(webhookId: string, deliveryId: string, options: CallOptions = {}): Promise<Delivery> {
    const names = { webhook_id: webhookId, delivery_id: deliveryId };
    return (await this.#means.wire.ask(call("get", `${DELIVERIES}/{delivery_id}`, { names }), options)).delivery;
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

  /** The answer shows the secret, and is the only one that does. It hears of nothing until its address answered the handshake. */
  create(body: BodyOf<"post", typeof OWN>, options: CallOptions = {}) {
    return this.#means.wire.ask(call("post", OWN, { body }), options);
  }

  async list(options: CallOptions = {}): Promise<JobWebhook[]> {
    return (await this.#means.wire.ask(call("get", OWN), options)).webhooks;
  }

  get(webhookId: string, options: CallOptions = {}): Promise<JobWebhook> {
    return this.#means.wire.ask(call("get", MINE, { names: { webhookId } }), options);
  }

  change(webhookId: string, body: BodyOf<"patch", typeof MINE>, options: CallOptions = {}): Promise<JobWebhook> {
    return this.#means.wire.ask(call("patch", MINE, { names: { webhookId }, body }), options);
  }

  async remove(webhookId: string, options: CallOptions = {}): Promise<void> {
    await this.#means.wire.ask(call("delete", MINE, { names: { webhookId } }), options);
  }

  /** A new secret beside the old one, which counts for a while yet. */
  rotate(webhookId: string, body: BodyOf<"post", `${typeof MINE}/rotate`> = {}, options: CallOptions = {}) {
    return this.#means.wire.ask(call("post", `${MINE}/rotate`, { names: { webhookId }, body }), options);
  }

  /** Ask its address for the handshake again. */
  verify(webhookId: string, options: CallOptions = {}): Promise<JobWebhook> {
    return this.#means.wire.ask(call("post", `${MINE}/verify`, { names: { webhookId } }), options);
  }

  /** What was sent, what was answered, and when; the last changed first. */
  deliveries(webhookId: string, filter: Omit<QueryOf<"get", typeof MINE_SENT>, "cursor"> = {}): List<JobDeliveries, JobDelivery> {
    const page = (query: QueryOf<"get", typeof MINE_SENT>) => call("get", MINE_SENT, { names: { webhookId }, query });
    return cursored(this.#means.wire, page, filter, (answer) => answer.deliveries);
  }

  /** One, with the whole of what was sent and answered. */
  delivery(webhookId: string, deliveryId: string, options: CallOptions = {}): Promise<JobDelivery> {
    return this.#means.wire.ask(call("get", `${MINE_SENT}/{deliveryId}`, { names: { webhookId, deliveryId } }), options);
  }

  redeliver(webhookId: string, deliveryId: string, options: CallOptions = {}): Promise<JobDelivery> {
    return this.#means.wire.ask(call("post", `${MINE_SENT}/{deliveryId}/redeliver`, { names: { webhookId, deliveryId } }), options);
  }

  /** A hundred at a time; `more` says whether there are others. */
  redeliverMany(webhookId: string, body: BodyOf<"post", `${typeof MINE}/redeliver`> = {}, options: CallOptions = {}) {
    return this.#means.wire.ask(call("post", `${MINE}/redeliver`, { names: { webhookId }, body }), options);
  }
}
