/** Who a client is: its credentials, shown to the gateway and to nobody else. */

import { variable } from "./platform.js";

const ONE_WORD = /^[!-~]{1,8192}$/;
const OF_GITHUB = /^(?:gh[a-z]_|github_pat_)/;

/** Which of the gateway's APIs is asked. */
export type Surface = "pr_agent" | "orchestrator";

/** What may be given; one of our own two keeps those of the environment out. */
export interface Given {
  /** A token of Trunkline's, else TRUNKLINE_TOKEN. */
  token?: string;
  /** An API key of Trunkline's, else TRUNKLINE_API_KEY. */
  apiKey?: string;
  /** The caller's own for GitHub, else TRUNKLINE_GITHUB_TOKEN: for private repositories, and who asks for jobs where nothing of Trunkline's is there. */
  githubToken?: string;
}

/** A class, so that nothing of it is shown where a client is printed. */
export class Credentials {
  readonly #token: string;
  readonly #apiKey: string;
  readonly #github: string;

  /** Throws TypeError for what is no credential, and never says what it was. */
  constructor(given: Given = {}) {
    const none = given.token === undefined && given.apiKey === undefined;
    const token = word(none ? variable("TRUNKLINE_TOKEN") : given.token, "token");
    const apiKey = word(none ? variable("TRUNKLINE_API_KEY") : given.apiKey, "apiKey");
    this.#github = word(given.githubToken ?? variable("TRUNKLINE_GITHUB_TOKEN"), "githubToken");
    if (OF_GITHUB.test(token) || OF_GITHUB.test(apiKey)) {
      throw new TypeError("that is a token of GitHub: give it as githubToken, or in TRUNKLINE_GITHUB_TOKEN");
    }
    const isToken = token.split(".").length === 3; // as everywhere else, a key may be given in the token's place
    this.#token = isToken ? token : "";
    this.#apiKey = isToken ? "" : token || apiKey;
  }

  /** Whether Trunkline itself knows the caller. */
  get known(): boolean {
    return Boolean(this.#token || this.#apiKey);
  }

  get github(): string {
    return this.#github;
  }

  /** What says who asks. GitHub's token does where jobs are asked for and nothing of Trunkline's is there. */
  headers(surface: Surface, github = this.#github): Record<string, string> {
    if (this.#token) return { Authorization: `Bearer ${this.#token}` };
    if (this.#apiKey) return { "X-API-Key": this.#apiKey };
    return github && surface === "pr_agent" ? { Authorization: `Bearer ${github}` } : {};
  }
}

/** A credential without the space around it; no text for none. Throws TypeError. */
export function word(text: string | undefined, name: string): string {
  const found = (text ?? "").trim();
  if (found && !ONE_WORD.test(found)) throw new TypeError(`${name} is no credential: one word of visible ASCII characters`);
  return found;
}
