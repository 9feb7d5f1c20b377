// `lightfoot check`: evidence or a dossier against the rule pack; may depend on this room, policy, pipeline, errors and io.
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { InvalidArgumentError, Option, type Command } from "commander";
import { LightfootError } from "../../errors/lightfoot-error.ts";
import type { CheckDocument, RuleFinding } from "../../policy/rules/check-schema.ts";
import type { Case, Evidence } from "../../policy/rules/judge.ts";
import type { Pack } from "../../policy/rules/pack.ts";
import { ROLES, type Role } from "../../policy/rules/roles.ts";
import { runAction, type ActionContext } from "../action.ts";
import { withExamples } from "../help.ts";
import { parseDay } from "../parse-day.ts";
import { wrapText } from "../wrap-text.ts";

interface CheckFlags {
  readonly role: readonly Role[];
  readonly asOf?: string;
  readonly pack: readonly string[];
  readonly scan: readonly string[];
  readonly where?: string;
  readonly publicKey?: string;
  readonly trustRoot?: string;
  readonly withProposals: boolean | readonly string[];
  readonly verifiedOnly: boolean;
  readonly lang: "en" | "zh";
  readonly sarif: boolean;
  readonly all: boolean;
}

/** Adds the verb `check` to the program. */
export function registerCheck(program: Command): void {
  const command = program
    .command("check")
    .description("hold evidence against rules: environment, AI law, safety, privacy, taxes, credits, procurement")
    .argument(
      "[evidence...]",
      "dossier.json of lightfoot run, audit.json of lightfoot audit, kpi.csv of lightfoot export, evidence.yaml, together if need be; left out, only what is asked for is listed",
    )
    .option("--role <role>", `what you are to the law: ${ROLES.join(", ")}; repeatable`, role, [])
    .option("--where <place>", "country, grid zone or cloud region: answers every country field that nothing else says")
    .option("--as-of <date>", "the day to judge by, e.g. 2027-07-01; left out, today", parseDay)
    .option(
      "--pack <folder>",
      "rules of your own, added to those that come along; repeatable",
      (text: string, before: string[]) => [...before, text],
      [],
    )
    .option(
      "--scan <path>",
      "a checkpoint, data file or folder to scan for evidence; repeatable",
      (text: string, before: string[]) => [...before, text],
      [],
    )
    .option("--public-key <pem>", "with --scan: the key that must have signed the model")
    .option("--trust-root <pem>", "with --scan: root certificates to which the signer's must lead")
    .option("--with-proposals [ids...]", "lay draft laws over the law in force; all, or those named")
    .option("--verified-only", "leave out rules of which a number was not verified", false)
    .addOption(new Option("--lang <code>", "language of the rules' text").choices(["en", "zh"]).default("en"))
    .option("--sarif", "print SARIF 2.1.0 for code scanning", false)
    .option("--all", "list rules that pass or do not apply, too", false)
    .action(runAction(check));
  withExamples(command, [
    ["lightfoot check out/mnist/dossier.json --role downstream-modifier", "what a run has proved, and what is missing"],
    ["lightfoot check --role data-center-operator --where FR", "what a data center in France is asked for"],
    ["lightfoot check declared.yaml audit.json --role deployer", "what you declare, and what an audit measured"],
    ["lightfoot check --scan model/ --scan calibration.csv --role downstream-modifier", "scan, then judge"],
    ["lightfoot check site.yaml --role data-center-operator --as-of 2027-07-01", "a data center on a day to come"],
    ["lightfoot check site.yaml --role data-center-operator --with-proposals ENV-DE-DRAFT-2026", "under a draft law"],
  ]);
}

function role(text: string, before: readonly Role[]): Role[] {
  const found = ROLES.find((name) => name === text);
  if (found !== undefined) return [...before, found];
  throw new InvalidArgumentError(`Expected one of ${ROLES.join(", ")}.`);
}

async function check(context: ActionContext, files: readonly string[], flags: CheckFlags): Promise<void> {
  const { OWN_PACK, readPack } = await import("../../policy/rules/pack.ts");
  const { evidenceOfPlace } = await import("../../policy/rules/place-evidence.ts");
  const { checkCase } = await import("../../policy/rules/check.ts");
  const pack = readPack([OWN_PACK, ...flags.pack]);
  const read = merge(await Promise.all(files.map((file) => readCase(context, file, pack))));
  const scanned = flags.scan.length === 0 ? [] : await scanFor(context, flags);
  const found = new Map([...read.evidence, ...scanned]);
  const where = flags.where ?? read.where;
  const place = where === undefined ? undefined : evidenceOfPlace(where, found);
  const subject = {
    evidence: new Map([...found, ...(place?.evidence ?? [])]),
    roles: flags.role.length > 0 ? flags.role : read.roles,
  };
  const proposals = flags.withProposals;
  const document = checkCase(pack, subject, {
    asOf: flags.asOf ?? new Date().toISOString().slice(0, 10),
    proposals: proposals === true ? "all" : Array.isArray(proposals) ? (proposals as readonly string[]) : [],
    verifiedOnly: flags.verifiedOnly,
  });
  if (flags.sarif) {
    const { sarifOf } = await import("../../policy/rules/sarif.ts");
    const { toolVersion } = await import("../version.ts");
    context.result(document, () =>
      JSON.stringify(sarifOf(document, files[0] ?? "evidence", toolVersion(), flags.lang), undefined, 2),
    );
  } else context.result(document, () => describe(document, flags, context.columns), place?.assumptions);
  const { unknown } = document.counts;
  // A label not reached or a credit not earned is told, and is no breach.
  const fail = document.rules.filter(
    ({ outcome, severity }) => outcome === "fail" && severity !== "information",
  ).length;
  if (fail > 0 || (context.strict && unknown > 0)) {
    const what = [fail > 0 ? `${fail} failed` : "", context.strict && unknown > 0 ? `${unknown} unknown` : ""];
    throw new LightfootError("E_POLICY_FAILED", `of ${document.rules.length} rules ${what.filter(Boolean).join(", ")}`);
  }
}

/** A case, and the place that its file names for all of it. */
type PlacedCase = Case & { readonly where?: string };

/** Later files replace earlier ones, but what is declared never replaces what was found out. */
function merge(cases: readonly PlacedCase[]): PlacedCase {
  const evidence = new Map<string, Evidence>();
  for (const [field, entry] of cases.flatMap((each) => [...each.evidence])) {
    if (entry.method !== "declared" || (evidence.get(field)?.method ?? "declared") === "declared") {
      evidence.set(field, entry);
    }
  }
  const where = cases.findLast((each) => each.where !== undefined)?.where;
  return {
    roles: [...new Set(cases.flatMap(({ roles }) => roles))],
    evidence,
    ...(where === undefined ? {} : { where }),
  };
}

/** What was scanned is measured, and so replaces what a file declares. */
async function scanFor(context: ActionContext, flags: CheckFlags): Promise<ReadonlyMap<string, Evidence>> {
  const { scanPaths } = await import("../../policy/scan/scan.ts");
  const { readTrusted } = await import("./scan.ts");
  const { evidenceOfScan } = await import("../../policy/scan/scan-evidence.ts");
  const scanned = await scanPaths(flags.scan, { signal: context.signal, trusted: await readTrusted(flags) });
  const { incomplete } = scanned.counts;
  if (incomplete > 0) context.note(`${incomplete} files could not be scanned whole; lightfoot scan says why`);
  return evidenceOfScan(scanned);
}

async function readCase(context: ActionContext, file: string, pack: Pack): Promise<PlacedCase> {
  const { fileError } = await import("../../io/file-range.ts");
  const text = await readFile(file, "utf8").catch((thrown: unknown) => {
    throw fileError(thrown, file);
  });
  if (/^\s*\{/.test(text)) {
    const { asDossier, changedModels, evidenceOfDossier } = await import("../../pipeline/dossier-evidence.ts");
    const document = JSON.parse(text) as { schema?: unknown };
    const dossier = asDossier(document);
    if (dossier !== undefined) {
      const evidence = evidenceOfDossier(dossier);
      const changed = await changedModels(dossier, dirname(file));
      if (changed.length > 0) {
        context.note(`changed since the dossier was written: ${changed.join(", ")}`);
        const source = `digests of ${changed.join(", ")}`;
        evidence.set("artifact.lineageComplete", { value: false, method: "measured", source });
      }
      return { roles: [], evidence };
    }
    if (document.schema === "lightfoot.audit/1") {
      const { auditSchema } = await import("../../runtime/audit/audit-schema.ts");
      const { evidenceOfAudit } = await import("../../policy/rules/audit-evidence.ts");
      const audit = auditSchema.parse(document);
      return { roles: [], evidence: evidenceOfAudit(audit, `audit of ${audit.compressed.digest}`) };
    }
  }
  const { isKpiSheet, readKpiSheet } = await import("../../footprint/exchange/kpi-sheet.ts");
  if (isKpiSheet(text)) {
    const { evidenceOfMeters } = await import("../../policy/rules/site-evidence.ts");
    return { roles: [], evidence: evidenceOfMeters(readKpiSheet(text, file), file) };
  }
  const { parseEvidence } = await import("../../policy/rules/evidence.ts");
  return parseEvidence(text, pack.vocabulary, file);
}

const MARK = {
  fail: "✗ fails",
  unknown: "? unknown",
  manual: "☐ for a person",
  notYetApplicable: "· not yet",
  pass: "✓ passes",
  notApplicable: "– does not apply",
} as const;

/** What is no law in force says so beside its name. */
const STATUS = {
  adopted: "adopted",
  proposal: "proposal, not law",
  voluntary: "voluntary",
  teamDefault: "default of this project, not law",
  expired: "expired",
} as const;

const MOST_DEADLINES = 8;

/** `in 6 days` */
function daysBetween(from: string, to: string): string {
  const days = Math.round((Date.parse(to) - Date.parse(from)) / 86_400_000);
  return `in ${days} day${days === 1 ? "" : "s"}`;
}

function describe(document: CheckDocument, { lang, all }: CheckFlags, columns: number): string {
  const { counts, deadlines } = document;
  const shown = document.rules.filter(
    ({ outcome }) => all || !["pass", "notApplicable", "notYetApplicable"].includes(outcome),
  );
  const proposed = [...document.overlays, ...document.proposedRules];
  const lines = [
    `As of ${document.asOf}, for ${document.roles.join(", ")}${proposed.length === 0 ? "" : `, with ${proposed.join(", ")}`}`,
    "",
    ...shown.flatMap((finding) => (isBlank(finding) ? [] : [...describeFinding(finding, lang, columns), ""])),
    ...describeBlank(shown.filter(isBlank), lang),
    `${counts.pass} pass, ${counts.fail} fail, ${counts.unknown} unknown, ${counts.manual} for a person, ` +
      `${counts.notYetApplicable} not yet, ${counts.notApplicable} do not apply`,
  ];
  if (deadlines.length > 0) {
    lines.push(
      "",
      "What comes next:",
      ...deadlines
        .slice(0, all ? undefined : MOST_DEADLINES)
        .map(
          ({ date, rule: id, title, what }) =>
            `  ${date}  ${daysBetween(document.asOf, date).padStart(10)}  ${id}: ${title[lang]}: ${what}`,
        ),
      ...(all || deadlines.length <= MOST_DEADLINES
        ? []
        : [`  and ${deadlines.length - MOST_DEADLINES} more with --all`]),
    );
  }
  lines.push("", ...wrapText(document.notice, columns));
  return lines.join("\n");
}

/** Unknown, and not one field of it was given: a line says enough. */
const isBlank = ({ outcome, evidence }: RuleFinding): boolean => outcome === "unknown" && evidence.length === 0;

function describeBlank(findings: readonly RuleFinding[], lang: "en" | "zh"): string[] {
  if (findings.length === 0) return [];
  const lines = findings.map(({ id, title, missing }) => [
    `  ${id}  ${title[lang]}`,
    `      ${missing.slice(0, 4).join(", ")}${missing.length > 4 ? ` and ${missing.length - 4} more` : ""}`,
  ]);
  return ["? unknown, and nothing given yet; each with the evidence it asks for first:", ...lines.flat(), ""];
}

/** An unverified rule was not read where it points to. */
const readingOf = ({ mark, readOn }: RuleFinding["source"]): string =>
  mark === "unverified" ? `unverified, entered ${readOn}` : `${mark}, read ${readOn}`;

/** Never a point where a price is stale. */
function describeAmount({ currency, value, low, high, missing, stale }: NonNullable<RuleFinding["amount"]>): string[] {
  const money = (amount: number): string => amount.toLocaleString("en-US", { maximumFractionDigits: 2 });
  const range = low === null || high === null ? "" : `${money(low)} to ${money(high)} ${currency}`;
  const why = stale.length === 0 ? [] : [`no point: ${stale.join(", ")} is older than 90 days; bring a newer price`];
  if (missing.length > 0) return [`not without ${missing.join(", ")}`, ...why];
  if (value === null) return [range === "" ? "not known" : range, ...why];
  return [`${money(value)} ${currency}${range === "" ? "" : ` (${range})`}`];
}

function describeFinding(finding: RuleFinding, lang: "en" | "zh", columns: number): string[] {
  const { id, outcome, status, title, explain, manual, missing, evidence, parameters, amount, source, appliesFrom } =
    finding;
  const indent = "    ";
  const wrap = (text: string): string[] =>
    wrapText(text, Math.max(40, columns - indent.length)).map((line) => indent + line);
  const unverified = parameters.filter(({ mark }) => mark !== "verified").map(({ name, mark }) => `${name} (${mark})`);
  return [
    `${MARK[outcome]}  ${id}  ${title[lang]}${status === "inForce" ? "" : ` [${STATUS[status]}]`}`,
    ...wrap(explain[lang]),
    ...(manual !== null && outcome === "manual" ? wrap(manual[lang]) : []),
    ...(appliesFrom === null ? [] : [`${indent}from      ${appliesFrom}`]),
    ...(missing.length === 0 ? [] : [`${indent}missing   ${missing.join(", ")}`]),
    ...evidence.map(({ field, value, method }) => `${indent}evidence  ${field} = ${String(value)} (${method})`),
    ...parameters.map(
      ({ name, value, low, high, unit, stale, from, ref, overlay }) =>
        `${indent}value     ${name} = ${value}${low === null && high === null ? "" : ` (${low ?? value} to ${high ?? value})`}` +
        `${unit === "1" ? "" : ` ${unit}`}  ${overlay ?? ref}${stale ? `; stale, seen ${from}` : ""}`,
    ),
    ...(amount === null
      ? []
      : describeAmount(amount).map((line, at) => `${indent}${at === 0 ? "amount  " : "        "}  ${line}`)),
    ...(amount === null ? [] : wrap(amount.means[lang])),
    ...(unverified.length === 0 ? [] : [`${indent}not read in the original: ${unverified.join(", ")}`]),
    `${indent}source    ${source.url}${source.article === null ? "" : `, ${source.article}`} (${readingOf(source)})`,
  ];
}
