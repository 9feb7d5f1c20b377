// A Prometheus pull endpoint over a ledger: every run that goes on, whichever process writes it; may depend on this room, errors and ledger.
import { createServer, type Server, type ServerResponse } from "node:http";
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import { formatPrometheus, PROMETHEUS_CONTENT_TYPE } from "../../../ledger/export/prometheus.ts";
import { lastAtSeconds, type RunTelemetry } from "../../../ledger/export/telemetry.ts";
import type { ActionContext } from "../../action.ts";
import type { Address } from "./address.ts";

/** A run is shown until this long after its last sign of life: longer than any usual scrape interval. */
const SHOWN_SECONDS = 300;

/** Runs with a sign of life within the last minutes. */
export const liveRuns = (runs: readonly RunTelemetry[], nowSeconds: number): RunTelemetry[] =>
  runs.filter((run) => nowSeconds - lastAtSeconds(run) < SHOWN_SECONDS);

/**
 * Answers `GET /metrics` until the user stops it.
 *
 * @param read all runs, read anew for each scrape; scrapes that come while one is read get the same answer
 * @throws LightfootError E_USAGE when the address is taken or not this machine's
 */
export async function serveMetrics(
  context: ActionContext,
  address: Address,
  read: () => Promise<readonly RunTelemetry[]>,
): Promise<void> {
  let reading: Promise<string> | undefined;
  const scrape = (): Promise<string> => {
    reading ??= read()
      .then((runs) => formatPrometheus(liveRuns(runs, Date.now() / 1000)))
      .finally(() => (reading = undefined));
    return reading;
  };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://lightfoot");
    if (pathname !== "/metrics") answer(response, 404, "Metrics are at /metrics.\n");
    else if (request.method !== "GET" && request.method !== "HEAD") answer(response, 405, "GET only.\n");
    else {
      scrape().then(
        (text) => answer(response, 200, text, PROMETHEUS_CONTENT_TYPE),
        (error: unknown) => answer(response, 500, `${error instanceof Error ? error.message : String(error)}\n`),
      );
    }
  });
  await listen(server, address);
  const { port } = server.address() as { port: number };
  context.note(
    `Metrics at http://${address.host.includes(":") ? `[${address.host}]` : address.host}:${port}/metrics; Ctrl-C ends.`,
  );
  await new Promise<void>((resolve) => {
    context.signal.addEventListener("abort", () => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  });
}

function answer(response: ServerResponse, status: number, text: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(text);
}

function listen(server: Server, { host, port }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      reject(
        new LightfootError("E_USAGE", `cannot listen on ${host}:${port}: ${cause.message}`, {
          hint: cause.code === "EADDRINUSE" ? "Another program has this port: choose another." : undefined,
          cause,
        }),
      );
    });
    server.listen(port, host, resolve);
  });
}
