// What an action leaves in the ledger: its head, its document's figures and digests, its end; may depend on ledger, io and this room.
import { statSync } from "node:fs";
import { hostname } from "node:os";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { sha256, sha256File } from "../io/digest.ts";
import { writerIdentity } from "../io/writer-identity.ts";
import { evidenceIn } from "../ledger/document-evidence.ts";
import { LEDGER_FOLDER } from "../ledger/layout.ts";
import type { EndRecord } from "../ledger/records.ts";
import { openLedgerWriter } from "../ledger/writer.ts";
import { toolVersion } from "./version.ts";

/** A larger model is not read a second time for its digest alone. */
const MOST_HASHED_BYTES = 2 ** 31;

export interface ActionEvidence {
  /** Appends what the document says and how the action ended, and waits for the disk. */
  end(document: unknown, error: LightfootError | undefined): Promise<void>;
}

/**
 * Begins the record of an action.
 *
 * A ledger that cannot be written never stops the work: `tell` gets the reason, once.
 */
export function beginEvidence(verb: string, argv: readonly string[], tell: (text: string) => void): ActionEvidence {
  const start = performance.now();
  const now = () => new Date().toISOString();
  const tool = { name: "lightfoot", version: toolVersion() };
  const nothing: ActionEvidence = { end: () => Promise.resolve() };
  const told = (thrown: unknown) =>
    tell(`No evidence is kept: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  try {
    const writer = openLedgerWriter({ folder: LEDGER_FOLDER, tool, now, identity: writerIdentity() });
    const run = writer.newRun();
    const command = ["lightfoot", ...withoutSecrets(argv)];
    const title = command.slice(1).filter((word) => !["--json", "--quiet", "--verbose"].includes(word));
    writer.append({
      record: "run",
      run,
      at: now(),
      verb,
      title: title.join(" "),
      command,
      model: null,
      inputs: [],
      domains: [],
      host: hostname(),
      tool,
    });
    return {
      async end(document, error) {
        try {
          const { figures, inputs, outputs, model } = evidenceIn(document);
          for (const { subject, name, figure } of figures) {
            writer.append({ record: "figure", run, at: now(), subject, name, figure });
          }
          const found: EndRecord = {
            record: "end",
            run,
            at: now(),
            elapsedSeconds: (performance.now() - start) / 1000,
            outcome: outcomeOf(error),
            exitCode: error?.exitCode ?? 0,
            model: model ?? (await modelDigest(document)),
            inputs,
            outputs,
            document: document === undefined ? null : sha256(JSON.stringify(document)),
          };
          writer.append(found);
          writer.close();
        } catch (thrown) {
          told(thrown);
        }
      },
    };
  } catch (thrown) {
    told(thrown);
    return nothing;
  }
}

function outcomeOf(error: LightfootError | undefined): EndRecord["outcome"] {
  if (error === undefined) return "completed";
  return error.code === "E_INTERRUPTED" ? "interrupted" : "failed";
}

/** Values of options such as `--api-token` belong in nobody's evidence. */
function withoutSecrets(argv: readonly string[]): string[] {
  const secret = /^--[\w-]*(token|secret|password|api-?key)[\w-]*$/i;
  return argv.map((word, at) => {
    const [name = "", value] = word.split("=", 2);
    if (secret.test(name) && value !== undefined) return `${name}=…`;
    return at > 0 && secret.test(argv[at - 1]) ? "…" : word;
  });
}

/** The digest of the file that a document names as its model. */
async function modelDigest(document: unknown): Promise<string | null> {
  const { model } = (document ?? {}) as { model?: { path?: unknown } | string | null };
  const path = typeof model === "object" ? model?.path : model;
  if (typeof path !== "string") return null;
  const file = statSync(path, { throwIfNoEntry: false });
  return file?.isFile() === true && file.size <= MOST_HASHED_BYTES ? sha256File(path) : null;
}
