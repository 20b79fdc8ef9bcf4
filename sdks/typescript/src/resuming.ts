/** Keeps a stream whole over breaks: what was seen already, when to connect again, and when it is given up. */

import { type Answer, secondsOf } from "./answering.js";
import { backoff, type Patience } from "./retrying.js";

/** Milliseconds: a connection that held so long was a good one, though nothing happened on it. */
const LIVED = 5_000;
/** Milliseconds within which a connection that did some good is made again: readers of one gateway come back one after the other. */
const SOON = 100;
const CURSOR = /^([a-z0-9]{1,16})-(\d{1,19})(?:\.(\d{1,4}))?$/;

/** The last event seen. After a gap, which has no id, everything is told anew. */
export class Place {
  constructor(public seen = "") {}

  /** Whether an event of that id is news, and from now on it is not. */
  passes(id: string): boolean {
    if (!id) return true;
    if (this.seen && before(id, this.seen)) return false;
    this.seen = id;
    return true;
  }

  /** A gap: the log tells all that it holds, from its beginning. */
  lost(): void {
    this.seen = "";
  }
}

/** Whether `id` is `seen`, or an earlier one of the same log. Pure. */
function before(id: string, seen: string): boolean {
  if (id === seen) return true;
  const one = CURSOR.exec(id);
  const other = CURSOR.exec(seen);
  if (!one || !other || one[1] !== other[1]) return false;
  const [seq, last] = [BigInt(one[2] ?? 0), BigInt(other[2] ?? 0)];
  return seq === last ? Number(one[3] ?? 0) < Number(other[3] ?? 0) : seq < last;
}

/** How connecting goes. `giveUp`: milliseconds for which nothing may come of all tries together. */
export class Trying {
  #failures = 0;
  #since: number | null = null;

  constructor(
    readonly patience: Patience,
    readonly giveUp: number,
  ) {}

  /** A connection is over: did it do any good? */
  lived(began: number, now: number, events: number): void {
    if (events || now - began > LIVED) {
      this.#failures = 0;
      this.#since = null;
    }
  }

  /** Milliseconds until the next try; null when it is given up. */
  pause(now: number, came: Answer | null, luck: number): number | null {
    this.#since ??= now;
    this.#failures += 1;
    const least = this.#failures === 1 ? SOON * luck : backoff(this.patience, this.#failures - 1, luck);
    const asked = came && secondsOf(came.headers);
    const wait = asked ? Math.max(least, 1000 * asked * (1 + luck / 10)) : least;
    return now + wait - this.#since <= this.giveUp ? wait : null;
  }
}

/** Whether a stream that was refused so may be given later. Pure. */
export function comesBack(status: number): boolean {
  return status === 429 || status >= 500;
}
