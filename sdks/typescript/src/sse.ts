/** Reads server-sent events: text as it comes in, whole events out, however it is cut. */

/** Characters of one event. */
const LARGEST = 16 << 20;

/** One event as it stood on the wire. `id` is empty where it has none of its own. */
export interface ServerEvent {
  readonly id: string;
  readonly name: string;
  readonly text: string;
}

/** An event that no gateway of ours sends. */
export class TooLargeEvent extends Error {}

/** What was fed and is no whole event yet. Lines may end in LF, CRLF or CR. */
export class EventReader {
  readonly #decoder = new TextDecoder(); // it leaves a byte order mark out
  #rest = "";
  #begun = false;
  #returned = false;
  #held = 0;
  #id = "";
  #name = "";
  #texts: string[] = [];

  /** Whether something came, and no event is half here: an end where this is not so is a break that somebody on the way took for an end. */
  get settled(): boolean {
    return this.#begun && !(this.#rest || this.#id || this.#name || this.#texts.length);
  }

  /** The events that end in it. Throws TooLargeEvent. */
  feed(chunk: Uint8Array): ServerEvent[] {
    this.#begun = true;
    const lines = (this.#rest + this.#unified(this.#decoder.decode(chunk, { stream: true }))).split("\n");
    this.#rest = lines.pop() ?? "";
    const found = lines.map((line) => this.#line(line)).filter((event) => event !== null);
    if (this.#held + this.#rest.length > LARGEST) throw new TooLargeEvent(`an event has more than ${LARGEST} characters`);
    return found as ServerEvent[];
  }

  /** With LF at the end of every line. An LF that follows a CR of the chunk before belongs to that. */
  #unified(text: string): string {
    if (!text) return text;
    const news = this.#returned && text.startsWith("\n") ? text.slice(1) : text;
    this.#returned = text.endsWith("\r");
    return news.includes("\r") ? news.replace(/\r\n?/g, "\n") : news;
  }

  #line(line: string): ServerEvent | null {
    if (!line) return this.#ended();
    this.#held += line.length;
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#texts.push(value);
    else if (name === "event") this.#name = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    return null;
  }

  #ended(): ServerEvent | null {
    const event = this.#texts.length ? { id: this.#id, name: this.#name, text: this.#texts.join("\n") } : null;
    this.#id = this.#name = "";
    this.#texts = [];
    this.#held = 0;
    return event;
  }
}
