// Signatures made by the reference implementation (Python model-signing 1.1.1, OpenSSL certificates), and everything that may be done to them; depends on test/fixtures/signature.
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { verifyModelSignature, type SignatureReport, type TrustedKeys } from "./verify-signature.ts";

const FIXTURES = new URL("../../../test/fixtures/signature/", import.meta.url).pathname;
const pem = (name: string): Promise<string> => readFile(join(FIXTURES, name), "utf8");
const folders: string[] = [];
let model: string;

beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), "lightfoot-signature-"));
  folders.push(folder);
  model = join(folder, "model");
  await cp(join(FIXTURES, "model"), model, { recursive: true });
});
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

async function verified(name: string, trusted: TrustedKeys = {}): Promise<SignatureReport> {
  const file = join(model, "model.sig");
  await cp(join(FIXTURES, name), file);
  return verifyModelSignature(file, model, trusted);
}

type Bundle = { dsseEnvelope: { payload: string; signatures: { sig: string }[] } };

/** The bundle after a change of its statement, signed as before. */
async function forged(name: string, change: (statement: Record<string, never>) => void): Promise<string> {
  const bundle = JSON.parse(await readFile(join(FIXTURES, name), "utf8")) as Bundle;
  const statement = JSON.parse(Buffer.from(bundle.dsseEnvelope.payload, "base64").toString()) as Record<string, never>;
  change(statement);
  bundle.dsseEnvelope.payload = Buffer.from(JSON.stringify(statement)).toString("base64");
  const file = join(model, "model.sig");
  await writeFile(file, JSON.stringify(bundle));
  return file;
}

describe("model signature", () => {
  it.each([
    ["key.sig", "key.pub.pem"],
    ["blake2.sig", "key.pub.pem"],
    ["shards.sig", "key521.pub.pem"],
  ])("%s holds under its key, is unknown without one, and does not hold under another", async (name, key) => {
    expect(await verified(name, { publicKey: await pem(key) })).toMatchObject({
      outcome: "valid",
      signer: "key",
      reasons: [],
      files: { matching: 3, changed: [], missing: [], unsigned: [] },
    });
    expect(await verified(name)).toMatchObject({
      outcome: "unknown",
      reasons: [expect.stringContaining("no public key")],
    });
    expect(await verified(name, { publicKey: await pem("other.pub.pem") })).toMatchObject({
      outcome: "invalid",
      reasons: ["signed with another key"],
    });
  });

  it("of a certificate holds under its root through the one between, and is unknown without a root", async () => {
    const report = await verified("certificate.sig", { trustRoot: await pem("root.pem") });
    expect(report).toMatchObject({ outcome: "valid", signer: "certificate", identity: "CN=Test signer" });
    expect((await verified("certificate.sig")).outcome).toBe("unknown");
    const bundle = JSON.parse(await readFile(join(FIXTURES, "certificate.sig"), "utf8")) as {
      verificationMaterial: { x509CertificateChain: { certificates: unknown[] } };
    };
    bundle.verificationMaterial.x509CertificateChain.certificates.pop();
    const file = join(model, "model.sig");
    await writeFile(file, JSON.stringify(bundle));
    expect(await verifyModelSignature(file, model, { trustRoot: await pem("root.pem") })).toMatchObject({
      outcome: "invalid",
      reasons: [expect.stringContaining("does not lead to the root")],
    });
  });

  it("with digests that are not computed here is unknown and never valid", async () => {
    expect(await verified("blake3.sig", { publicKey: await pem("key.pub.pem") })).toMatchObject({
      outcome: "unknown",
      files: { matching: 0, unread: ["config.json", "sub/vocab.txt", "weights.bin"] },
    });
  });

  it.each(["key.sig", "shards.sig", "certificate.sig"])(
    "%s is invalid for any change of the files, also without a key",
    async (name) => {
      await writeFile(join(model, "weights.bin"), "weights: 0.25 -1.5 4\n");
      expect(await verified(name)).toMatchObject({ outcome: "invalid", files: { changed: ["weights.bin"] } });
      await cp(join(FIXTURES, "model/weights.bin"), join(model, "weights.bin"));
      await writeFile(join(model, "sub/vocab.txt"), "a\nb\nc\n");
      await writeFile(join(model, "extra.py"), "");
      await rm(join(model, "config.json"));
      expect((await verified(name)).files).toMatchObject({
        changed: ["sub/vocab.txt"],
        missing: ["config.json"],
        unsigned: ["extra.py"],
      });
      await cp(join(FIXTURES, "model/config.json"), join(model, "config.json"));
      await cp(join(FIXTURES, "model/sub/vocab.txt"), join(model, "sub/vocab.txt"));
      await rm(join(model, "extra.py"));
      await writeFile(join(model, ".gitignore"), "");
      expect((await verified(name)).outcome).toBe("unknown");
    },
  );

  it("is invalid when the statement was changed after signing, also to what is on disk", async () => {
    const publicKey = await pem("key.pub.pem");
    const renamed = await forged("key.sig", (statement) => {
      (statement as unknown as { subject: { name: string }[] }).subject[0].name = "better";
    });
    expect(await verifyModelSignature(renamed, model, { publicKey })).toMatchObject({
      outcome: "invalid",
      reasons: ["the signature does not hold"],
    });
    const shorter = await forged("key.sig", (statement) => {
      (statement as unknown as { predicate: { resources: unknown[] } }).predicate.resources.pop();
    });
    expect(await verifyModelSignature(shorter, model, { publicKey })).toMatchObject({
      outcome: "invalid",
      reasons: [expect.stringContaining("not the one of its resources")],
    });
    await writeFile(join(model, "model.sig"), "not a bundle");
    expect((await verifyModelSignature(join(model, "model.sig"), model)).outcome).toBe("invalid");
  });
});
