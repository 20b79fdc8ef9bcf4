/** Verifies what a webhook was sent, by the rules of Standard Webhooks, and reads it. */

import { objectOf } from "./errors.js";
import { cryptography } from "./platform.js";

const PREFIX = "whsec_";
/** Seconds by which the sender's clock and ours may differ, and for which a delivery that somebody caught can be told again. */
const TOLERANCE = 300;
const MOST_SIGNATURES = 16;

type Bytes = Uint8Array<ArrayBuffer>;
/** As Node has them, as fetch has them, or any other. */
export type HeadersOf = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

/** This was not sent by whoever knows the secret, or not now: answer 400 and do nothing. */
export class WebhookError extends Error {
  override readonly name = "WebhookError";
}

/** A delivery. */
export interface WebhookEvent {
  /** The same for every try of it: whoever saw it already answers 200 and does nothing. */
  readonly id: string;
  readonly type: string;
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** A body for the answer, as application/json, with status 200: it says the challenge back where there is one. */
  readonly answer: string;
}

export interface VerifyOptions {
  /** Seconds; 300 when left out. */
  tolerance?: number;
  /** Milliseconds since 1970; now when left out. */
  now?: number;
}

/**
 * The event that a body says, when it was signed with one of the secrets within the tolerance.
 *
 * `body` exactly as it came, before anybody read it as JSON; while a secret is changed, both. Throws WebhookError, which never says what was
 * expected, and TypeError for what is no secret.
 */
export async function verify(
  body: string | Uint8Array,
  headers: HeadersOf,
  secrets: string | readonly string[],
  options: VerifyOptions = {},
): Promise<WebhookEvent> {
  const raw = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const [id, stamp, signatures] = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => header(headers, name));
  if (!id || !stamp || !signatures) throw new WebhookError("the headers webhook-id, webhook-timestamp and webhook-signature must all be there");
  checkTime(stamp, (options.now ?? Date.now()) / 1000, options.tolerance ?? TOLERANCE);
  const told = joined(new TextEncoder().encode(`${id}.${stamp}.`), raw);
  const { subtle } = await cryptography();
  const tried = keysOf(secrets).flatMap((key) => signed(signatures).map((signature) => matches(subtle, key, signature, told)));
  // Every pair is compared, so that the time it takes tells nothing.
  if (!(await Promise.all(tried)).includes(true)) throw new WebhookError("the signature is of none of the secrets, or the body is not exactly what came");
  return read(id, raw);
}

async function matches(subtle: SubtleCrypto, secret: Bytes, signature: Bytes, told: Bytes): Promise<boolean> {
  const key = await subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  return subtle.verify("HMAC", key, signature, told);
}

function header(headers: HeadersOf, name: string): string {
  if (headers instanceof Headers) return headers.get(name) ?? "";
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  return (typeof found === "string" ? found : found?.[0]) ?? "";
}

function keysOf(secrets: string | readonly string[]): Bytes[] {
  const keys = (typeof secrets === "string" ? [secrets] : secrets ?? []).map(keyOf);
  if (!keys.length || keys.some((key) => !key.length)) throw new TypeError("a secret is needed, and none may be empty");
  return keys;
}

/** `whsec_` and Base64, or a plain text. */
function keyOf(secret: string): Bytes {
  if (!secret.startsWith(PREFIX)) return new TextEncoder().encode(secret);
  const key = fromBase64(secret.slice(PREFIX.length));
  if (key === null) throw new TypeError("what follows whsec_ must be Base64");
  return key;
}

/** Those of the version that is understood; there may be several, between spaces. */
function signed(signatures: string): Bytes[] {
  const known = signatures.split(/\s+/).slice(0, MOST_SIGNATURES).filter((one) => one.startsWith("v1,"));
  return known.map((one) => fromBase64(one.slice(3))).filter((one): one is Bytes => one !== null);
}

function fromBase64(text: string): Bytes | null {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
}

function joined(head: Uint8Array, tail: Uint8Array): Bytes {
  const whole = new Uint8Array(head.length + tail.length);
  whole.set(head);
  whole.set(tail, head.length);
  return whole;
}

function checkTime(stamp: string, now: number, tolerance: number): void {
  if (!/^\d{1,15}$/.test(stamp)) throw new WebhookError("webhook-timestamp must be seconds since 1970");
  if (Math.abs(now - Number(stamp)) > tolerance) throw new WebhookError("the delivery is too old, or from the future: is the clock right?");
}

function read(id: string, raw: Uint8Array): WebhookEvent {
  const { type, timestamp, data } = objectOf(new TextDecoder().decode(raw));
  if (typeof type !== "string" || typeof timestamp !== "string" || data === undefined) throw new WebhookError("the body is no event of a webhook");
  const known = (typeof data === "object" && data !== null && !Array.isArray(data) ? data : {}) as Record<string, unknown>;
  const challenge = type === "webhook.verify" ? known["challenge"] : undefined;
  const answer = JSON.stringify(typeof challenge === "string" ? { challenge } : { received: true });
  return { id, type, timestamp, data: known, answer };
}
