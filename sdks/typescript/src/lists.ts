/** Lists whose pages are asked for as they are needed. */

import type { Call, CallOptions } from "./calls.js";
import type { Wire } from "./wire.js";

/** Part of a list. `total` counts all that match, where that is known. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly total: number | null;
}

/** Iterated, every item of every page; `page()` is the first. Throws TrunklineError. */
export class List<A, T> implements AsyncIterable<T> {
  constructor(
    readonly wire: Wire,
    readonly first: Call<A>,
    /** What an answer holds, and what asks for the rest. */
    readonly read: (answer: A) => { page: Page<T>; next: Call<A> | null },
    readonly options: CallOptions = {},
  ) {}

  async page(): Promise<Page<T>> {
    return this.read(await this.wire.ask(this.first, this.options)).page;
  }

  async *pages(): AsyncGenerator<Page<T>, void, undefined> {
    for (let call: Call<A> | null = this.first; call; ) {
      const { page, next } = this.read(await this.wire.ask(call, this.options));
      yield page;
      call = next;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const page of this.pages()) yield* page.items;
  }
}
