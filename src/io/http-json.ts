// JSON from web services through a port: time limits, back-off, errors a user can act on, no secret in a message; may depend on errors.
import { setTimeout as delay } from "node:timers/promises";
import { LightfootError } from "../errors/lightfoot-error.ts";

/** The outside world that a client needs; tests bring their own. */
export interface HttpPort {
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** Rejects when `signal` aborts. */
  wait(seconds: number, signal?: AbortSignal): Promise<void>;
  /** Seconds since 1970-01-01T00:00:00Z. */
  nowSeconds(): number;
}

export const systemHttp: HttpPort = {
  fetch: (url, init) => fetch(url, init),
  wait: (seconds, signal) => delay(seconds * 1000, undefined, { signal }),
  nowSeconds: () => Date.now() / 1000,
};

export interface JsonRequest {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The service's name, for errors: `Electricity Maps`. */
  readonly service: string;
  /** What to do when the service refuses the credentials. */
  readonly credentialsHint?: string;
  readonly signal?: AbortSignal;
}

const TIMEOUT_SECONDS = 30;
/** Between attempts, when the service answers that it is busy; when it cannot be reached at all, one more try must do. */
const BUSY_WAITS_SECONDS: readonly number[] = [1, 2, 4];
const UNREACHED_WAITS_SECONDS: readonly number[] = [1];
/** A service that asks for more patience than this is told of, not waited for. */
const LONGEST_WAIT_SECONDS = 60;
const MOST_CHARACTERS = 64 * 2 ** 20;
const TRY_AGAIN = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * Gets one JSON document.
 *
 * Up to four attempts: after 429 and 5xx it waits 1, 2, 4 seconds, or as long as `Retry-After` says; a service that cannot
 * be reached is tried twice.
 * Redirects are not followed, since they would carry credentials to another host; plain http is for this machine only.
 *
 * @throws LightfootError E_CREDENTIALS on 401 and 403, E_NETWORK for everything else that fails, E_INTERRUPTED on `signal`
 */
export async function getJson(request: JsonRequest, port: HttpPort = systemHttp): Promise<unknown> {
  const url = secureUrl(request);
  for (let attempt = 0; ; attempt++) {
    const outcome = await attemptOnce(url, request, port);
    if (outcome.kind === "answer") return parseAnswer(outcome.text, request, url);
    const planned = (outcome.wasReached ? BUSY_WAITS_SECONDS : UNREACHED_WAITS_SECONDS)[attempt];
    const wait = Math.max(outcome.retryAfterSeconds ?? 0, planned ?? 0);
    if (!outcome.isTransient || planned === undefined || wait > LONGEST_WAIT_SECONDS) throw outcome.error;
    try {
      await port.wait(wait, request.signal);
    } catch (cause) {
      throw interrupted(cause);
    }
  }
}

type Outcome =
  | { readonly kind: "answer"; readonly text: string }
  | {
      readonly kind: "failure";
      readonly error: LightfootError;
      readonly isTransient: boolean;
      /** False when no answer came at all. */
      readonly wasReached: boolean;
      readonly retryAfterSeconds?: number;
    };

async function attemptOnce(url: URL, request: JsonRequest, port: HttpPort): Promise<Outcome> {
  const timeout = AbortSignal.timeout(TIMEOUT_SECONDS * 1000);
  const signal = request.signal === undefined ? timeout : AbortSignal.any([request.signal, timeout]);
  try {
    const response = await port.fetch(url.href, {
      headers: { accept: "application/json", ...request.headers },
      redirect: "manual",
      signal,
    });
    if (Number(response.headers.get("content-length") ?? 0) > MOST_CHARACTERS) {
      return failed(networkError(request, url, "answered with more than 64 MiB"), false);
    }
    const text = await response.text();
    if (response.ok) return { kind: "answer", text };
    return refused(response, text, request, url, port);
  } catch (cause) {
    if (request.signal?.aborted === true) throw interrupted(cause);
    const reason = timeout.aborted
      ? `did not answer within ${TIMEOUT_SECONDS} s`
      : `cannot be reached: ${reasonOf(cause)}`;
    const hint = "Check the network. With --offline the cache alone answers.";
    const error = networkError(request, url, reason, cause, hint);
    return { kind: "failure", error, isTransient: true, wasReached: false };
  }
}

const failed = (error: LightfootError, isTransient: boolean, retryAfterSeconds?: number): Outcome => ({
  kind: "failure",
  error,
  isTransient,
  wasReached: true,
  retryAfterSeconds,
});

function refused(response: Response, body: string, request: JsonRequest, url: URL, port: HttpPort): Outcome {
  const { status } = response;
  const said = withoutSecrets(explanation(body), request);
  const answer = `answered ${status}${said === "" ? "" : `: ${said}`}`;
  if (status === 401 || status === 403) {
    const what = status === 401 ? "does not accept the credentials" : "does not allow this with these credentials";
    const error = new LightfootError("E_CREDENTIALS", `${request.service} ${what} (${answer})`, {
      hint: request.credentialsHint ?? "Check the credentials and what the plan behind them covers.",
    });
    return failed(error, false);
  }
  const retryAfter = parseRetryAfter(response.headers.get("retry-after"), port.nowSeconds());
  const patience =
    retryAfter !== undefined && retryAfter > LONGEST_WAIT_SECONDS ? `; it asks to wait ${Math.ceil(retryAfter)} s` : "";
  return failed(networkError(request, url, `${answer}${patience}`), TRY_AGAIN.has(status), retryAfter);
}

function networkError(request: JsonRequest, url: URL, what: string, cause?: unknown, hint?: string): LightfootError {
  return new LightfootError("E_NETWORK", `${request.service} ${what} (${url.host}${url.pathname})`, { cause, hint });
}

const interrupted = (cause: unknown): LightfootError =>
  new LightfootError("E_INTERRUPTED", "stopped on request", { cause });

function secureUrl(request: JsonRequest): URL {
  const url = URL.canParse(request.url) ? new URL(request.url) : undefined;
  const isLocal = url !== undefined && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname);
  if (url?.protocol === "https:" || (url?.protocol === "http:" && isLocal)) return url;
  throw new LightfootError("E_USAGE", `'${request.url}' is no address for ${request.service}, expected https://…`, {
    hint: "Credentials go over https only; plain http is for this machine (localhost).",
  });
}

function parseAnswer(text: string, request: JsonRequest, url: URL): unknown {
  if (text.length > MOST_CHARACTERS) throw networkError(request, url, "answered with more than 64 MiB");
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw networkError(request, url, `answered with something that is no JSON: '${text.trim().slice(0, 60)}'`, cause);
  }
}

/** What a service says about its refusal, on one line; services put it under different keys. */
function explanation(body: string): string {
  let said: unknown = body;
  try {
    const document = JSON.parse(body) as Record<string, unknown> | null;
    said = document?.message ?? document?.error ?? document?.detail ?? "";
  } catch {
    if (/^\s*</.test(body)) return ""; // a page for people
  }
  return (typeof said === "string" ? said : JSON.stringify(said))
    .replaceAll(/[\s\p{C}]+/gu, " ")
    .trim()
    .slice(0, 120);
}

/** Some services repeat in their refusal what they were sent. */
function withoutSecrets(text: string, { headers = {} }: JsonRequest): string {
  const secrets = Object.values(headers)
    .flatMap((value) => value.split(" "))
    .filter((part) => part.length > 3);
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, "…"), text);
}

/** `Retry-After` holds seconds or a date. */
function parseRetryAfter(header: string | null, nowSeconds: number): number | undefined {
  if (header === null) return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(seconds, 0);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(date / 1000 - nowSeconds, 0);
}

function reasonOf(cause: unknown): string {
  // fetch hides what happened in `cause`: ENOTFOUND, ECONNREFUSED, a certificate.
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const code = (inner as NodeJS.ErrnoException).code;
  return code ?? (inner instanceof Error ? inner.message : String(inner));
}
