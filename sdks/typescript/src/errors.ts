/** What can go wrong between a program and a gateway, as a small family of errors. */

import { type Answer, type Lost, secondsOf } from "./answering.js";

/** What a refusal says beside its sentence. */
interface Said {
  readonly code: string;
  readonly status?: number | null;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly retryAfter?: number | null;
  readonly requestId?: string | null;
}

/** Anything that a call of the SDK throws. */
export class TrunklineError extends Error {
  /** Stable, in capitals. */
  readonly code: string;
  /** That of HTTP; null where no answer came. */
  readonly status: number | null;
  readonly details: Readonly<Record<string, unknown>>;
  /** Seconds after which trying again may help. */
  readonly retryAfter: number | null;
  /** What finds it in the gateway's log. */
  readonly requestId: string | null;

  constructor(message: string, said: Said) {
    super(message);
    this.name = new.target.name;
    this.code = said.code;
    this.status = said.status ?? null;
    this.details = said.details ?? {};
    this.retryAfter = said.retryAfter ?? null;
    this.requestId = said.requestId ?? null;
  }
}

/** 400, 413, 415, 422: the gateway does not take what was sent. */
export class InvalidRequestError extends TrunklineError {}
/** 401: no credential, or one that does not count. */
export class AuthenticationError extends TrunklineError {}
/** 403: the credential does not allow this. */
export class PermissionDeniedError extends TrunklineError {}
/** 404: nothing by that name that the caller may see. */
export class NotFoundError extends TrunklineError {}
/** 409: it is in a state that does not allow this. */
export class ConflictError extends TrunklineError {}
/** 429: a limit is used up; `retryAfter` says for how long. */
export class RateLimitedError extends TrunklineError {}
/** 5xx: something is away or broken on the gateway's side. */
export class ServerError extends TrunklineError {}
/** No answer came: nobody listens, the name is unknown, TLS failed, or it took too long. */
export class UnreachableError extends TrunklineError {}
/** Whoever answered does not speak as a gateway of Trunkline does. */
export class UnexpectedAnswerError extends TrunklineError {}

type Kind = new (message: string, said: Said) => TrunklineError;
const FAMILY: Readonly<Record<number, readonly [Kind, string]>> = {
  401: [AuthenticationError, "AUTH_REQUIRED"],
  403: [PermissionDeniedError, "DENIED"],
  404: [NotFoundError, "NOT_FOUND"],
  409: [ConflictError, "CONFLICT"],
  429: [RateLimitedError, "RATE_LIMITED"],
};

/** The error that an answer of 300 and more stands for; `where` names what was asked, for a stranger's answer. Pure. */
export function refused(answer: Answer, where: string): TrunklineError {
  const [kind, code] = kindOf(answer.status);
  const spoken = objectOf(answer.body);
  const sentence = spoken["detail"] ?? spoken["error"];
  const said = {
    code: typeof spoken["code"] === "string" ? spoken["code"] : code,
    status: answer.status,
    details: detailsOf(spoken),
    retryAfter: secondsOf(answer.headers),
    requestId: answer.headers.get("x-request-id"),
  };
  if (!sentence || answer.status < 400) return new kind(`${where} answers ${answer.status}: is that a gateway of Trunkline?`, said);
  return new kind(typeof sentence === "string" ? sentence : JSON.stringify(sentence), said);
}

/** The error that no answer stands for. Pure. */
export function lost(broken: Lost, where: string): UnreachableError {
  return new UnreachableError(`No answer from ${where}: ${broken.why}.`, { code: "UNREACHABLE" });
}

/** The error that an answer in no shape of ours stands for; it says nothing of what is in it. Pure. */
export function unreadable(answer: { status: number; headers: Headers }, where: string): UnexpectedAnswerError {
  const said = { code: "UNEXPECTED_ANSWER", status: answer.status, requestId: answer.headers.get("x-request-id") };
  return new UnexpectedAnswerError(`${where} answers ${answer.status} with something that cannot be read: is that a gateway of Trunkline?`, said);
}

/** The object that a text holds as JSON; an empty one where it holds none. Pure. */
export function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && found !== null && !Array.isArray(found) ? (found as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function kindOf(status: number): readonly [Kind, string] {
  if (status >= 500) return [ServerError, [502, 503, 504].includes(status) ? "UNAVAILABLE" : "INTERNAL_ERROR"];
  if (status < 400) return [UnexpectedAnswerError, "UNEXPECTED_ANSWER"];
  return FAMILY[status] ?? [InvalidRequestError, "INVALID_REQUEST"];
}

/** With what the document puts beside them. */
function detailsOf(spoken: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { details, upgradeUrl } = spoken;
  const known = typeof details === "object" && details !== null && !Array.isArray(details) ? details : {};
  return upgradeUrl ? { ...known, upgradeUrl } : known as Record<string, unknown>;
}
