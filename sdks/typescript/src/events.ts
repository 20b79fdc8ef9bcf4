/** Events that programs tell one another, and everything that carries one trace id. */

import { call, type CallOptions } from "./calls.js";
import type { BodyOf, Schemas } from "./document.js";
import type { Means } from "./means.js";

export class Events {
  readonly #means: Means;

  constructor(means: Means) {
    this.#means = means;
  }

  /** Tell an event to the readers of its task and to every agent that listens. `source_agent` is a label and gives no right. */
  publish(body: BodyOf<"post", "/events/publish">, options: CallOptions = {}): Promise<Schemas["Published"]> {
    return this.#means.wire.ask(call("post", "/events/publish", { body }), options);
  }

  /** The tasks and the published events that carry a trace id, at most `limit` of each. */
  trace(traceId: string, limit?: number, options: CallOptions = {}): Promise<Schemas["Trace"]> {
    const query = limit === undefined ? {} : { limit };
    return this.#means.wire.ask(call("get", "/traces/{trace_id}", { names: { trace_id: traceId }, query }), options);
  }
}
