/** Lists, page by page by a cursor. */

import type { Call, CallOptions } from "./calls.js";
import { List } from "./lists.js";
import type { Wire } from "./wire.js";

interface Cursored {
  readonly total?: number | null;
  readonly next_cursor?: string | null;
  readonly nextCursor?: string | null;
}

/** `page` asks for one, `items` reads it. */
export function cursored<Q extends object, A extends Cursored, T>(
  wire: Wire,
  page: (query: Q & { cursor?: string }) => Call<A>,
  query: Q,
  items: (answer: A) => readonly T[],
  options: CallOptions = {},
): List<A, T> {
  const read = (answer: A) => {
    const cursor = answer.next_cursor ?? answer.nextCursor;
    return { page: { items: items(answer), total: answer.total ?? null }, next: cursor ? page({ ...query, cursor }) : null };
  };
  return new List(wire, page(query), read, options);
}
