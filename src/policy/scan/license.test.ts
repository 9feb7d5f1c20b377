// Licenses found where they stand, recognized by their texts, and judged together; depends on the room.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { model, node, tensorInfo } from "../../model/build.ts";
import { serializeOnnx } from "../../model/onnx/write.ts";
import { judgeLicense, licenseIn, type LicenseStatement } from "./license.ts";
import { licenseId, recognizeLicense, termsOf } from "./license-terms.ts";
import { scanPaths } from "./scan.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lightfoot-license-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function put(name: string, content: string | Uint8Array): Promise<string> {
  const file = join(folder, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  return file;
}

async function onnx(metadata: Record<string, string>): Promise<Uint8Array> {
  const edges = { inputs: [tensorInfo("x", "float32", [1])], outputs: [tensorInfo("y", "float32", [1])] };
  const graph = { ...edges, nodes: [node("Identity", ["x"], ["y"])] };
  return serializeOnnx(model(graph, 21, { metadata: new Map(Object.entries(metadata)) }));
}

function safetensors(metadata: Record<string, string>): Uint8Array {
  const header = Buffer.from(JSON.stringify({ __metadata__: metadata }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header]);
}

const said = (place: LicenseStatement["place"], license: string | null): LicenseStatement => ({
  file: "x",
  place,
  license,
  terms: license === null ? "not known" : (termsOf(licenseId(license)) ?? "not known"),
});

describe("licenses of weights", () => {
  it("are read in the weights, in license files, model cards and packages", async () => {
    const found = [
      await licenseIn(await put("a/net.onnx", await onnx({ license: "CC-BY-NC-4.0" }))),
      await licenseIn(await put("a/net.safetensors", safetensors({ license: "Apache-2.0" }))),
      await licenseIn(
        await put("a/LICENSE.txt", "Creative Commons Attribution-NonCommercial-NoDerivatives 4.0 International"),
      ),
      await licenseIn(await put("a/README.md", "---\nlicense: other\nlicense_name: gemma\n---\n# Net\n")),
      await licenseIn(await put("a/package.json", '{ "license": "MIT" }')),
    ];
    expect(found.map((statement) => [statement?.place, statement?.license, statement?.terms])).toEqual([
      ["in the weights", "CC-BY-NC-4.0", "conditions"],
      ["in the weights", "Apache-2.0", "yes"],
      ["license file", "cc-by-nc-nd-4.0", "no"],
      ["model card", "gemma", "conditions"],
      ["package", "MIT", "yes"],
    ]);
    expect(await licenseIn(await put("a/broken.onnx", "not a model"))).toBeUndefined();
    expect(await licenseIn(await put("b/README.md", "# No front matter"))).toBeUndefined();
    expect(await licenseIn(await put("b/LICENSE", "All rights reserved."))).toMatchObject({ license: null });
  });

  it("count before the package's own license, and are for a person where they contradict, limit or are missing", () => {
    const judge = (...statements: LicenseStatement[]) => judgeLicense(statements).allowsChange;
    expect(judge(said("model card", "apache-2.0"), said("package", "UNLICENSED"))).toBe(true);
    expect(judge(said("license file", "cc-by-nc-nd-4.0"), said("package", "MIT"))).toBe(false);
    expect(judgeLicense([said("license file", "cc-by-nc-nd-4.0"), said("package", "MIT")]).reason).toContain(
      "whatever the package's own license (MIT) says",
    );
    expect(judge(said("package", "MIT"))).toBeNull();
    expect(judge(said("model card", "mit"), said("license file", "apache-2.0"))).toBeNull();
    expect(judge(said("model card", "llama3.1"))).toBeNull();
    expect(judge(said("license file", null))).toBeNull();
    expect(judge(said("model card", "constructor"))).toBeNull();
    expect(judge(said("in the weights", "GPL-3.0-or-later"), said("license file", "gpl-3.0"))).toBe(true);
  });

  it("are recognized by what their texts say, however lines are broken", () => {
    expect(recognizeLicense("Apache License\n   Version 2.0, January 2004")).toBe("apache-2.0");
    expect(recognizeLicense("GNU AFFERO GENERAL PUBLIC LICENSE\n Version 3, 19 November 2007")).toBe("agpl-3.0");
    expect(recognizeLicense("Redistribution and use in source and binary forms … Neither the name of")).toBe(
      "bsd-3-clause",
    );
    expect(recognizeLicense("All rights reserved.")).toBeUndefined();
  });

  it("are evidence of a scan only where they settle the question", async () => {
    const card = "---\nlicense: apache-2.0\n---\n";
    await put("good/README.md", card);
    await put("good/net.safetensors", safetensors({}));
    await put("good/package.json", '{ "license": "GPL-3.0" }');
    const good = await scanPaths([join(folder, "good")]);
    expect(good.evidence["artifact.licenseAllowsChange"]).toBe(true);
    await put("open/net.safetensors", safetensors({}));
    await put("open/package.json", '{ "license": "MIT" }');
    const open = await scanPaths([join(folder, "open")]);
    expect(open.evidence).not.toHaveProperty("artifact.licenseAllowsChange");
    expect(open.license.reason).toContain("package's own license");
    // A folder without weights has no license of weights.
    await put("none/README.md", card);
    expect((await scanPaths([join(folder, "none")])).evidence).not.toHaveProperty("artifact.licenseAllowsChange");
  });
});
