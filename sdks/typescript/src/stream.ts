/** Follows a stream over its breaks: every event once and in order, to the last. */

import { type Answer, Lost } from "./answering.js";
import type { Feed } from "./calls.js";
import * as errors from "./errors.js";
import { rest } from "./platform.js";
import { comesBack, Place, Trying } from "./resuming.js";
import { EventReader, type ServerEvent, TooLargeEvent } from "./sse.js";
import { Connection, type Wire } from "./wire.js";

/**
 * Every event once and in order, to the last; a connection that breaks is taken up where it broke.
 *
 * It is iterated once, with `for await`; leaving the loop closes the connection. Iterating throws TrunklineError when the gateway refuses, or
 * stays away too long.
 */
export class EventStream<T> implements AsyncIterableIterator<T> {
  readonly #wire: Wire;
  readonly #feed: Feed<T>;
  readonly #place: Place;
  readonly #trying: Trying;
  readonly #events: AsyncGenerator<T, void, undefined>;
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal | undefined;
  #connection: Connection | null = null;
  #lastEventId: string;
  #knownOver = false;
  #ended = false;
  #rest = 0;
  #came = 0;

  constructor(wire: Wire, feed: Feed<T>, giveUp: number, signal?: AbortSignal) {
    this.#wire = wire;
    this.#feed = feed;
    this.#place = new Place(feed.after);
    this.#trying = new Trying(wire.patience, giveUp);
    this.#lastEventId = feed.after;
    this.#signal = signal;
    this.#events = this.#follow();
  }

  /** That of the event that was handed out last: another stream may go on from it. */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Throws TrunklineError, and the reason of the signal that was given. */
  next(): Promise<IteratorResult<T, void>> {
    return this.#events.next();
  }

  async return(): Promise<IteratorResult<T, void>> {
    this.close();
    return this.#events.return();
  }

  /** Whoever waits for the next event is told that there is none. */
  close(): void {
    this.#ended = true;
    this.#ending.abort();
    this.#drop();
  }

  async *#follow(): AsyncGenerator<T, void, undefined> {
    const stop = (): void => this.close();
    this.#signal?.addEventListener("abort", stop, { once: true });
    try {
      while (!this.#ended && !this.#signal?.aborted) yield* this.#handedOut(await this.#connected());
      this.#signal?.throwIfAborted();
    } finally {
      this.#signal?.removeEventListener("abort", stop);
      this.close();
    }
  }

  /** The events of one connection, until it is over. */
  async *#handedOut(connection: Connection | null): AsyncGenerator<T, void, undefined> {
    const began = Date.now();
    const reader = new EventReader();
    this.#came = 0;
    while (connection && !this.#ended) {
      const chunk = await connection.read();
      if (this.#ended) return;
      if (chunk === null) return this.#broken(reader.settled ? null : new Lost("the stream broke off", true), began);
      if (chunk instanceof Lost) return this.#broken(chunk, began);
      for (const came of this.#fed(reader, chunk)) {
        yield* this.#news(came);
        if (this.#ended) return;
      }
    }
  }

  /** What an event is to the reader; nothing where it was seen already. */
  *#news(came: ServerEvent): Generator<T, void, undefined> {
    this.#came += 1;
    if (!this.#place.passes(came.id)) return;
    const event = this.#feed.parse(came);
    if (event === null) return;
    if (this.#feed.isGap(event)) this.#place.lost();
    const last = this.#feed.isLast(event);
    if (last) this.#drop();
    this.#lastEventId = came.id || this.#lastEventId;
    yield event;
    this.#ended ||= last;
  }

  #fed(reader: EventReader, chunk: Uint8Array): ServerEvent[] {
    try {
      return reader.feed(chunk);
    } catch (error) {
      if (!(error instanceof TooLargeEvent)) throw error;
      throw errors.unreadable({ status: 200, headers: new Headers() }, this.#where);
    }
  }

  /** Nothing where the next try is to be made later. */
  async #connected(): Promise<Connection | null> {
    await rest(this.#rest, this.#ending.signal);
    if (this.#ended) return null;
    const began = Date.now();
    const came = await this.#wire.open(this.#feed, this.#place.seen, this.#ending.signal);
    if (came instanceof Connection) return (this.#connection = came);
    if (this.#ended) return null;
    if (!(came instanceof Lost) && !comesBack(came.status)) throw errors.refused(came, this.#where);
    this.#again(came, began, 0);
    return null;
  }

  async #broken(came: Lost | null, began: number): Promise<void> {
    this.#drop();
    if (came === null && (await this.#isTheEnd())) this.#ended = true;
    else this.#again(came, began, this.#came);
  }

  /** Closed in order, and without a last event: a gateway that stops does so, and one that has nothing more to tell. */
  async #isTheEnd(): Promise<boolean> {
    const { over } = this.#feed;
    if (over === null || (this.#knownOver && !this.#came)) return true;
    if (this.#came) return false;
    try {
      this.#knownOver = over.read(await this.#wire.ask(over.call, { signal: this.#ending.signal }));
    } catch (error) {
      if (this.#ended) return true;
      const passes = [errors.UnreachableError, errors.RateLimitedError, errors.ServerError].some((kind) => error instanceof kind);
      if (!passes) throw error;
    }
    return false;
  }

  /** Throws TrunklineError when it has gone on for too long. */
  #again(came: Answer | Lost | null, began: number, events: number): void {
    const now = Date.now();
    this.#trying.lived(began, now, events);
    const wait = this.#trying.pause(now, came instanceof Lost ? null : came, Math.random());
    if (wait === null) throw this.#givenUp(came);
    this.#rest = this.#knownOver && came === null ? 0 : wait;
  }

  #givenUp(came: Answer | Lost | null): errors.TrunklineError {
    if (came !== null && !(came instanceof Lost)) return errors.refused(came, this.#where);
    return errors.lost(came ?? new Lost("it closes the stream again and again before it is over", true), this.#where);
  }

  get #where(): string {
    return this.#wire.where(this.#feed.path);
  }

  #drop(): void {
    this.#connection?.close();
    this.#connection = null;
  }
}
