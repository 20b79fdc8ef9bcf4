/** What differs between Node and a browser. */

interface Surroundings {
  readonly process?: { readonly env?: Readonly<Record<string, string | undefined>> };
  readonly location?: { readonly origin?: string };
  readonly crypto?: Crypto;
}

const around = globalThis as unknown as Surroundings;
/** Not written where it is asked for, or a bundler for browsers would look for it. */
const NODE_CRYPTO = "node:crypto";

/** A variable of the environment; no text in a browser. */
export function variable(name: string): string {
  return around.process?.env?.[name] ?? "";
}

/** Where the page came from; no text outside of a browser. */
export function pageOrigin(): string {
  const origin = around.location?.origin ?? "";
  return /^https?:/.test(origin) ? origin : "";
}

/** Web Crypto; Node 18 does not have it among its globals. */
export async function cryptography(): Promise<Crypto> {
  if (around.crypto) return around.crypto;
  const found = (await import(NODE_CRYPTO)) as { webcrypto: Crypto };
  return found.webcrypto;
}

/** 32 hex digits that nobody had before. A page that came over plain http has no randomUUID. */
export async function freshKey(): Promise<string> {
  const bytes = (await cryptography()).getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Wait; over at once, and in order, when the signal is. */
export function rest(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener("abort", done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
  });
}

/** A signal that comes after a while in which nothing moved, or when the outer one does. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #passOn = (): void => this.#controller.abort();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #passed = false;

  constructor(outer?: AbortSignal) {
    this.#outer = outer;
    if (outer?.aborted) this.#controller.abort();
    outer?.addEventListener("abort", this.#passOn, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether it was the time that ended it. */
  get passed(): boolean {
    return this.#passed;
  }

  /** From now on. */
  within(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#passed = true;
      this.#controller.abort();
    }, milliseconds);
  }

  /** Nothing is waited for now. */
  rest(): void {
    clearTimeout(this.#timer);
  }

  /** End what it stands for, and hold nothing any more. */
  end(): void {
    this.rest();
    this.#outer?.removeEventListener("abort", this.#passOn);
    this.#controller.abort();
  }
}
