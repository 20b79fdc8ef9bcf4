/** Talks HTTP with one gateway: one call with its retries, or one connection of a stream. */

import { type Answer, Lost } from "./answering.js";
import { type Call, type CallOptions, type Feed, type Request, request } from "./calls.js";
import type { Credentials } from "./credentials.js";
import * as errors from "./errors.js";
import { Deadline, freshKey, rest } from "./platform.js";
import { type Patience, pause } from "./retrying.js";

/** Characters of an answer. */
const LARGEST = 64 << 20;
const NOT_SENT: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nobody listens there",
  ENOTFOUND: "that name is unknown",
  EAI_AGAIN: "that name cannot be looked up now",
  UND_ERR_CONNECT_TIMEOUT: "nobody takes the connection",
};

/** One gateway, and how it is reached; times in milliseconds. */
export interface Reach {
  readonly url: string;
  readonly fetch: typeof fetch;
  /** For one answer. */
  readonly answer: number;
  /** For which a stream may say nothing. */
  readonly silence: number;
}

/** One connection of a stream. */
export class Connection {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #deadline: Deadline;
  readonly #silence: number;

  constructor(body: ReadableStream<Uint8Array>, deadline: Deadline, silence: number) {
    this.#reader = body.getReader();
    this.#deadline = deadline;
    this.#silence = silence;
  }

  /** What came; nothing where it was closed in order. Only the time that is waited here counts as silence. */
  async read(): Promise<Uint8Array | null | Lost> {
    this.#deadline.within(this.#silence);
    try {
      const { value, done } = await this.#reader.read();
      return done ? null : value;
    } catch (error) {
      return lostBy(error, this.#deadline);
    } finally {
      this.#deadline.rest();
    }
  }

  close(): void {
    this.#deadline.end();
    this.#reader.cancel().catch(() => undefined); // it is broken already
  }
}

/** The way to one gateway, as one caller. */
export class Wire {
  readonly #who: Credentials;

  constructor(
    readonly reach: Reach,
    readonly patience: Patience,
    who: Credentials,
  ) {
    this.#who = who;
  }

  /** The answer, over as many tries as help. Throws TrunklineError, and the signal's reason. */
  async ask<T>(call: Call<T>, options: CallOptions = {}): Promise<T> {
    const asked = request(call, this.#who, options.idempotencyKey ?? (await freshKey()));
    for (let tries = 1, waited = 0; ; tries += 1) {
      const came = await this.#once(asked, options.signal);
      options.signal?.throwIfAborted();
      const wait = pause(this.patience, { method: asked.method, tries, waited }, came, Math.random());
      if (wait === null) return this.#read(came, this.where(asked.path)) as T;
      await rest(wait, options.signal);
      options.signal?.throwIfAborted();
      waited += wait;
    }
  }

  /** A connection that goes on behind the event `seen`, or why there is none. */
  async open<T>(feed: Feed<T>, seen: string, signal: AbortSignal): Promise<Connection | Answer | Lost> {
    const headers = { Accept: "text/event-stream", ...this.#who.headers(feed.surface), ...(seen ? { "Last-Event-ID": seen } : {}) };
    const deadline = new Deadline(signal);
    deadline.within(this.reach.answer);
    try {
      const response = await this.#send({ method: "GET", path: feed.path, headers, body: undefined }, deadline.signal);
      if (response.status === 200 && response.body && isStream(response)) return new Connection(response.body, deadline, this.reach.silence);
      const answer = await answered(response);
      deadline.end();
      return answer;
    } catch (error) {
      deadline.end();
      return lostBy(error, deadline);
    }
  }

  where(path: string): string {
    return this.reach.url + path;
  }

  async #once(asked: Request, signal?: AbortSignal): Promise<Answer | Lost> {
    const deadline = new Deadline(signal);
    deadline.within(this.reach.answer);
    try {
      return await answered(await this.#send(asked, deadline.signal));
    } catch (error) {
      return lostBy(error, deadline);
    } finally {
      deadline.end();
    }
  }

  /** No redirect is followed: a credential goes to nobody whom the gateway names. */
  #send(asked: Request, signal: AbortSignal): Promise<Response> {
    const { method, headers, body } = asked;
    const how = { method, headers, signal, redirect: "manual", cache: "no-store", credentials: "omit" } as const;
    return this.reach.fetch(this.where(asked.path), body === undefined ? how : { ...how, body });
  }

  #read(came: Answer | Lost, where: string): unknown {
    if (came instanceof Lost) throw errors.lost(came, this.reach.url);
    if (came.status < 200 || came.status >= 300) throw errors.refused(came, where);
    try {
      return JSON.parse(came.body) as unknown;
    } catch {
      throw errors.unreadable(came, where);
    }
  }
}

function isStream(response: Response): boolean {
  return (response.headers.get("content-type") ?? "").split(";")[0]?.trim() === "text/event-stream";
}

/** All of it. Throws RangeError for one that has no end. */
async function answered(response: Response): Promise<Answer | Lost> {
  // A browser takes half of a head for a whole one where the connection broke within it.
  if (response.status === 200 && !response.headers.has("content-type")) return new Lost("the answer broke off", true);
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let body = "";
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    body += decoder.decode(part.value, { stream: true });
    if (body.length > LARGEST) throw new RangeError("the answer has no end");
  }
  return { status: response.status, headers: response.headers, body: body + decoder.decode() };
}

/** In words of ours: those of a platform may hold what was sent, and a browser says nothing at all. */
function lostBy(error: unknown, deadline: Deadline): Lost {
  if (deadline.passed) return new Lost("it took too long", true);
  const code = codeOf(error);
  const known = NOT_SENT[code];
  if (known) return new Lost(known, false);
  if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_SSL|ERR_TLS/.test(code)) return new Lost("its TLS certificate is not trusted", false);
  return new Lost("the connection broke", true);
}

function codeOf(error: unknown): string {
  const cause = (error as { cause?: { code?: unknown } } | null)?.cause;
  return typeof cause?.code === "string" ? cause.code : "";
}
