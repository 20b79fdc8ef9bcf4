/** What comes back when something is asked over HTTP: an answer, or none. */

/** What a server said. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** No answer, or half of one. `sent`: the request may have arrived. */
export class Lost {
  constructor(
    readonly why: string,
    readonly sent: boolean,
  ) {}
}

/** What Retry-After says in seconds, as such or as a time by the server's own clock; null where it says nothing. Pure. */
export function secondsOf(headers: Headers): number | null {
  const text = (headers.get("retry-after") ?? "").trim();
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const seconds = (Date.parse(text) - Date.parse(headers.get("date") ?? "")) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}
