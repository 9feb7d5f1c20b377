// The JSON client against a real server on this machine: back-off, refusals, silence, redirects, and no secret in any message.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { folderCache } from "./cache-folder.ts";
import { getJson, systemHttp, type HttpPort } from "./http-json.ts";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let answers: Answer[] = [];
let seen: IncomingMessage[] = [];
const server = createServer((request, response) => {
  seen.push(request);
  const answer = answers.shift() ?? ((_, reply) => reply.writeHead(500).end("nothing planned"));
  answer(request, response);
});
let base = "";
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());
afterEach(() => {
  answers = [];
  seen = [];
});

const status =
  (code: number, body = "", headers: Record<string, string> = {}): Answer =>
  (_, response) =>
    response.writeHead(code, headers).end(body);

/** The real network on this machine, with waiting only noted down. */
function port(): HttpPort & { waits: number[] } {
  const waits: number[] = [];
  return {
    ...systemHttp,
    waits,
    wait: (seconds) => {
      waits.push(seconds);
      return Promise.resolve();
    },
    nowSeconds: () => 1_800_000_000,
  };
}

const ask = (http: HttpPort, extra: object = {}) =>
  getJson({ url: `${base}/v3/x?zone=DE`, service: "The service", headers: { "auth-token": "s3cret" }, ...extra }, http);

describe("getJson", () => {
  it("sends the headers and gives the document", async () => {
    answers = [status(200, '{"a":[1]}')];
    expect(await ask(port())).toEqual({ a: [1] });
    expect(seen[0].headers).toMatchObject({ "auth-token": "s3cret", accept: "application/json" });
  });

  it("backs off on 429 and 5xx, longer when told so, and gives up after four attempts", async () => {
    answers = [status(429), status(503, "", { "retry-after": "7" }), status(200, "{}")];
    const patient = port();
    expect(await ask(patient)).toEqual({});
    expect(patient.waits).toEqual([1, 7]);

    answers = Array.from({ length: 4 }, () => status(502));
    const exhausted = port();
    await expect(ask(exhausted)).rejects.toMatchObject({
      code: "E_NETWORK",
      message: expect.stringContaining("502") as string,
    });
    expect(exhausted.waits).toEqual([1, 2, 4]);
    expect(seen).toHaveLength(7);
  });

  it("reads a Retry-After that is a date, and does not sit out an hour", async () => {
    const date = new Date(1_800_000_003_000).toUTCString();
    answers = [status(429, "", { "retry-after": date }), status(200, "{}")];
    const http = port();
    await ask(http);
    expect(http.waits).toEqual([3]);
    answers = [status(429, "", { "retry-after": "3600" })];
    await expect(ask(port())).rejects.toThrow(/asks to wait 3600 s/);
  });

  it("says that credentials are refused, once, with the service's words and without the secret", async () => {
    for (const code of [401, 403]) {
      answers = [status(code, '{"message":"Invalid auth-token s3cret"}')];
      const http = port();
      const refused = ask(http, { credentialsHint: "Set TOKEN." });
      await expect(refused).rejects.toMatchObject({ code: "E_CREDENTIALS", exitCode: 5, hint: "Set TOKEN." });
      await expect(refused).rejects.toThrow(/Invalid auth-token/);
      await expect(refused.catch((error: unknown) => JSON.stringify(error))).resolves.not.toContain("s3cret");
      expect(http.waits).toEqual([]);
    }
  });

  it("does not ask again about what will not change", async () => {
    for (const answer of [
      status(404, '{"error":"no zone XX"}'),
      status(200, "<html>"),
      status(302, "", { location: "https://example.org/" }),
    ]) {
      answers = [answer];
      const http = port();
      await expect(ask(http)).rejects.toMatchObject({ code: "E_NETWORK" });
      expect(http.waits).toEqual([]);
    }
    expect(seen).toHaveLength(3);
  });

  it("names a server that is not there, and one that hangs up", async () => {
    const http = port();
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
    const { port: closed } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    const nobody = getJson({ url: `http://127.0.0.1:${closed}/x`, service: "The service" }, http);
    await expect(nobody).rejects.toThrow(/ECONNREFUSED/);
    expect(http.waits).toEqual([1]);
    answers = [(request) => request.socket.destroy(), status(200, "{}")];
    expect(await ask(port())).toEqual({});
  });

  it("stops when asked to", async () => {
    const controller = new AbortController();
    answers = [() => controller.abort()];
    await expect(ask(port(), { signal: controller.signal })).rejects.toMatchObject({ code: "E_INTERRUPTED" });
  });

  it("sends nothing over plain http to other machines", async () => {
    for (const url of ["http://example.org/", "ftp://localhost/", "nonsense"]) {
      await expect(getJson({ url, service: "The service" }, port())).rejects.toMatchObject({ code: "E_USAGE" });
    }
  });
});

describe("folderCache", () => {
  it("keeps documents apart, stays inside its folder and shrugs at damage", async () => {
    const folder = await mkdtemp(join(tmpdir(), "lightfoot-cache-"));
    try {
      const cache = folderCache(join(folder, "cache"));
      const keys = [
        ["a", "b"],
        ["a", "b/c"],
        ["..", "..", "x"],
        ["a", ""],
        ["a", "b%2Fc"],
      ];
      for (const [at, key] of keys.entries()) await cache.write(key, { at });
      for (const [at, key] of keys.entries()) expect(await cache.read(key)).toEqual({ at });
      expect(await readdir(folder)).toEqual(["cache"]);
      expect(await cache.read(["none"])).toBeUndefined();
      await writeFile(join(folder, "cache", "a", "b.json"), '{"torn');
      expect(await cache.read(["a", "b"])).toBeUndefined();
      await writeFile(join(folder, "flat"), "");
      await expect(folderCache(join(folder, "flat")).write(["a"], 1)).resolves.toBeUndefined();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
