/** What can be asked of a gateway, as values: nothing here talks to anybody. */

import { type Credentials, type Surface, word } from "./credentials.js";
import type { AnswerOf, BodyOf, Method, NamesOf, QueryOf, Template } from "./document.js";
import type { paths } from "./generated/openapi.js";
import type { ServerEvent } from "./sse.js";

const EVENT_ID = /^[!-~]{0,100}$/;

/** What every call takes beside what it is about. */
export interface CallOptions {
  /** Ends the call; it throws what the signal gives as its reason. */
  signal?: AbortSignal;
  /** Of one request, however often it is made; a POST without one gets its own. */
  idempotencyKey?: string;
}

/** Where the caller's own GitHub token goes with a request. */
export type TokenPlace = "nowhere" | "header" | "body";

/** One request; `T` is what its answer is read as. */
export interface Call<T> {
  readonly method: string;
  readonly path: string;
  readonly surface: Surface;
  readonly body: object | undefined;
  readonly github: TokenPlace;
  /** For this call instead of the client's own. */
  readonly githubToken: string;
  /** Never there: it is what makes a call of one answer another type than a call of another. */
  readonly answer?: T;
}

/** One stream: how its events are read, which is the last, and what tells that there will be none any more. */
export interface Feed<T> {
  readonly path: string;
  readonly surface: Surface;
  readonly parse: (came: ServerEvent) => T | null;
  readonly isLast: (event: T) => boolean;
  readonly isGap: (event: T) => boolean;
  /** Asked when it closes without a last event; without it the close is the end. */
  readonly over: { readonly call: Call<unknown>; readonly read: (answer: unknown) => boolean } | null;
  readonly after: string;
}

/** A call as it goes over the wire. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** What a call tells. */
export interface Told<M extends Method, P extends keyof paths> {
  names?: NamesOf<M, P>;
  query?: QueryOf<M, P>;
  body?: BodyOf<M, P>;
  github?: TokenPlace;
  githubToken?: string | undefined;
}

/** A call of a route that the API document has. Throws TypeError for a name that is empty or would be another path. */
export function call<M extends Method, P extends Template<M>>(method: M, template: P, told: Told<M, P> = {}): Call<AnswerOf<M, P>> {
  return {
    method: method.toUpperCase(),
    path: filled(template, told.names ?? {}) + search(told.query ?? {}),
    surface: surfaceOf(template),
    body: told.body as object | undefined,
    github: told.github ?? "nowhere",
    githubToken: word(told.githubToken, "githubToken"),
  };
}

/** Where a stream lies; as for a call. */
export function streamed<P extends Template<"get">>(
  template: P,
  names: NamesOf<"get", P>,
  query: object = {},
): { path: string; surface: Surface } {
  return { path: filled(template, names ?? {}) + search(query), surface: surfaceOf(template) };
}

/** As `who`; `key` makes every repeat of a POST one with the first. Throws TypeError for what JSON cannot say. Pure. */
export function request<T>(call: Call<T>, who: Credentials, key: string): Request {
  const github = call.githubToken || who.github;
  const headers: Record<string, string> = { Accept: "application/json", ...who.headers(call.surface) };
  let body = call.body;
  if (call.method === "POST") headers["Idempotency-Key"] = key;
  if (github && call.github === "header") headers["X-GitHub-Token"] = github;
  if (github && call.github === "body" && (who.known || call.githubToken)) {
    body = { ...body, githubToken: github };
    Object.assign(headers, who.headers(call.surface, github));
  }
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return { method: call.method, path: call.path, headers, body: body === undefined ? undefined : JSON.stringify(body) };
}

/** The id as it was given. Throws TypeError for what is none. */
export function eventId(text = ""): string {
  if (!EVENT_ID.test(text)) throw new TypeError("after must be the id of an event");
  return text;
}

function surfaceOf(template: string): Surface {
  return template.startsWith("/api/pr-agent/") ? "pr_agent" : "orchestrator";
}

function filled(template: string, names: object): string {
  const known = names as Readonly<Record<string, string | undefined>>;
  return template.replace(/\{(\w+)\}/g, (_, name: string) => part(known[name]));
}

function part(id: string | undefined): string {
  if (!id || id === "." || id === "..") throw new TypeError(`${JSON.stringify(id)} names nothing`);
  return encodeURIComponent(id);
}

/** Lists between commas, times as ISO; what was not given is left out. */
function search(query: object): string {
  const known = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const words = new URLSearchParams(known.map(([name, value]) => [name, value instanceof Date ? value.toISOString() : String(value)]));
  return known.length ? `?${words}` : "";
}
