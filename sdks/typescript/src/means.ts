/** What every group of calls works with. */

import type { Feed } from "./calls.js";
import { EventStream } from "./stream.js";
import type { Wire } from "./wire.js";

/** `giveUp`: milliseconds for which a stream may come to nothing. */
export class Means {
  constructor(
    readonly wire: Wire,
    readonly giveUp: number,
  ) {}

  follow<T>(feed: Feed<T>, signal?: AbortSignal): EventStream<T> {
    return new EventStream(this.wire, feed, this.giveUp, signal);
  }
}
