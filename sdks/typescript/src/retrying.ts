/** Decides whether something that failed is asked again, and after how long. */

import { type Answer, Lost, secondsOf } from "./answering.js";

/** What may be asked twice: a POST of ours always has a key by which the gateway knows the repeat. */
const REPEATABLE = new Set(["GET", "HEAD", "PUT", "POST"]);
const AGAIN = new Set([429, 502, 503, 504]);
/** Refusals that say that nothing was done. */
const NOT_BEGUN = new Set([429, 503]);

/** How often and how long one call is tried, in milliseconds; a limit that ends later is told and not waited out. */
export interface Patience {
  readonly tries: number;
  readonly whole: number;
  readonly first: number;
  readonly longest: number;
}

export const PATIENCE: Patience = { tries: 6, whole: 30_000, first: 200, longest: 5_000 };

/** What was tried so far: how often, and how many milliseconds were waited between. */
export interface Tried {
  readonly method: string;
  readonly tries: number;
  readonly waited: number;
}

/** Milliseconds after that many failures; `luck` between 0 and 1 keeps many clients apart. Pure. */
export function backoff(patience: Patience, failures: number, luck: number): number {
  return Math.min(patience.first * 2 ** Math.min(failures - 1, 30), patience.longest) * (0.5 + luck / 2);
}

/** Milliseconds until it is asked again; null when what came is what there is. Pure. */
export function pause(patience: Patience, tried: Tried, came: Answer | Lost, luck: number): number | null {
  if (tried.tries >= patience.tries || !mayHelp(tried.method, came)) return null;
  const asked = came instanceof Lost ? null : secondsOf(came.headers);
  const least = backoff(patience, tried.tries, luck);
  const wait = asked === null ? least : Math.max(least, 1000 * (asked + Math.min(asked / 10, 1) * luck));
  return tried.waited + wait <= patience.whole ? wait : null;
}

/** Whether asking again can end otherwise, and cannot do a thing twice. Pure. */
export function mayHelp(method: string, came: Answer | Lost): boolean {
  if (came instanceof Lost) return !came.sent || REPEATABLE.has(method);
  // 409: the first of two with the same key is still being answered
  if (came.status === 409) return method === "POST" && came.headers.has("retry-after");
  return (REPEATABLE.has(method) ? AGAIN : NOT_BEGUN).has(came.status);
}
