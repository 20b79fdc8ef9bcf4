/** What the gateway's own API document says of a route, for the compiler: no path, field or answer of a call is typed by hand. */

import type { components, paths } from "./generated/openapi.js";

export type Schemas = components["schemas"];
export type Method = "get" | "post" | "put" | "patch" | "delete";

/** The paths that may be asked so. */
export type Template<M extends Method> = {
  [P in keyof paths]: paths[P] extends Record<M, object> ? P : never;
}[keyof paths];

type Operation<M extends Method, P extends keyof paths> = paths[P] extends Record<M, infer O> ? O : never;
type Json<R> = R extends { content: { "application/json": infer A } } ? A : never;

export type AnswerOf<M extends Method, P extends keyof paths> =
  Operation<M, P> extends { responses: infer R } ? Json<R[keyof R & (200 | 201 | 202)]> : never;

export type BodyOf<M extends Method, P extends keyof paths> =
  Operation<M, P> extends { requestBody?: infer B } ? Json<NonNullable<B>> : never;

export type QueryOf<M extends Method, P extends keyof paths> =
  Operation<M, P> extends { parameters: { query?: infer Q } } ? NonNullable<Q> : never;

export type NamesOf<M extends Method, P extends keyof paths> =
  Operation<M, P> extends { parameters: { path: infer N } } ? N : Record<string, never>;
