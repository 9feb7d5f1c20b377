// The runs of a ledger, and one run in full; may depend on errors and this room.
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { LedgerList, LedgerRunDetail } from "./documents-schema.ts";
import { ledgerListSchema, ledgerRunSchema } from "./documents-schema.ts";
import type { Cell, LedgerQuery } from "./query.ts";
import { WORKING_VERBS } from "./records.ts";

const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Rows as objects, keyed by column. */
async function rowsOf(query: LedgerQuery, sql: string, signal?: AbortSignal): Promise<Record<string, Cell>[]> {
  const { columns, rows } = await query.ask(sql, signal);
  return rows.map((row) => Object.fromEntries(columns.map(({ name }, at) => [name, row[at]])));
}

const FIGURE =
  "{value: value, unit: unit, low: low, high: high, method: method, sources: sources, assumptions: assumptions}";

const WORKING = WORKING_VERBS.map(quote).join(", ");

// Samples of a domain that the run's head does not name count: nothing says that another contains them.
const SAMPLED = `
  SELECT samples.run, max(samples.elapsedSeconds) AS lastSeconds,
    sum(samples.energyJoules) FILTER (WHERE domains.countsTowardsTotal IS DISTINCT FROM false) AS joules
  FROM samples LEFT JOIN domains ON domains.run = samples.run AND domains.domain = samples.domain
  GROUP BY samples.run`;

const runsSql = (condition: string): string => `
  WITH sampled AS (${SAMPLED}),
    energy AS (
      SELECT run, any_value(${FIGURE}) AS figure FROM figures SEMI JOIN (SELECT run FROM runs WHERE verb IN (${WORKING})) USING (run)
      WHERE name IN ('energy', 'runEnergy') AND subject IS NULL GROUP BY run)
  SELECT runs.run, runs.time AS "at", verb, title, command, model, inputs, outputs, document, host, version, coalesce(outcome, 'cut off') AS outcome,
    exitCode, coalesce(runs.elapsedSeconds, sampled.lastSeconds) AS elapsedSeconds, energy.figure AS energy,
    sampled.joules AS sampledJoules
  FROM runs LEFT JOIN sampled USING (run) LEFT JOIN energy USING (run)
  WHERE ${condition}
  ORDER BY runs.time, runs.run`;

/** All runs, oldest first by the wall clock. @throws LightfootError as `LedgerQuery.ask` */
export async function listRuns(query: LedgerQuery, ledger: string, signal?: AbortSignal): Promise<LedgerList> {
  const runs = await rowsOf(query, runsSql("true"), signal);
  return read(ledgerListSchema, { schema: "lightfoot.ledger-list/1", ledger, runs, torn: query.torn });
}

/**
 * One run with its figures and the sums of its domains.
 *
 * @param name the run's name or the beginning of it, if no other begins so; `latest` for the newest
 * @throws LightfootError E_LEDGER_RUN
 */
export async function showRun(
  query: LedgerQuery,
  ledger: string,
  name: string,
  signal?: AbortSignal,
): Promise<LedgerRunDetail> {
  const run = await findRun(query, name, signal);
  const [detail] = await readRunDetails(query, ledger, run, signal);
  if (detail === undefined) throw new LightfootError("E_LEDGER_RUN", `the run ${run} is gone`);
  return detail;
}

/** Every run in full, or the one whose whole name is given: three questions, however many runs there are. */
export async function readRunDetails(
  query: LedgerQuery,
  ledger: string,
  run: string | undefined,
  signal?: AbortSignal,
): Promise<LedgerRunDetail[]> {
  const of = (column: string) => (run === undefined ? "true" : `${column} = ${quote(run)}`);
  const heads = await rowsOf(query, runsSql(of("runs.run")), signal);
  const figures = grouped(
    await rowsOf(query, `SELECT run, subject, name, ${FIGURE} AS figure FROM figures WHERE ${of("run")}`, signal),
  );
  const domains = grouped(await rowsOf(query, domainsSql(of("run")), signal));
  return heads.map((head) =>
    read(ledgerRunSchema, {
      schema: "lightfoot.ledger-run/1",
      ledger,
      ...head,
      figures: figures.get(text(head["run"])) ?? [],
      domains: domains.get(text(head["run"])) ?? [],
      torn: query.torn,
    }),
  );
}

const domainsSql = (condition: string): string => `
  WITH sums AS (
    SELECT run, domain, count(*) AS samples, sum(energyJoules) AS energyJoules, sum(gapSeconds) AS gapSeconds,
      arg_max(powerWatts, elapsedSeconds) AS lastPowerWatts, epoch(max(time)) AS lastAtSeconds
    FROM samples WHERE ${condition} GROUP BY run, domain)
  SELECT run, domain, coalesce(label, domain) AS label, coalesce(kind, 'unknown') AS kind, device,
    coalesce(method, 'assumed') AS method, coalesce(countsTowardsTotal, true) AS countsTowardsTotal,
    coalesce(samples, 0) AS samples, energyJoules, coalesce(gapSeconds, 0) AS gapSeconds, lastPowerWatts, lastAtSeconds
  FROM (SELECT * FROM domains WHERE ${condition}) FULL JOIN sums USING (run, domain)
  ORDER BY run, domain`;

const text = (cell: Cell | undefined): string => (typeof cell === "string" ? cell : JSON.stringify(cell));

function grouped(rows: readonly Record<string, Cell>[]): Map<string, Record<string, Cell>[]> {
  const groups = new Map<string, Record<string, Cell>[]>();
  for (const { run, ...rest } of rows) groups.set(text(run), [...(groups.get(text(run)) ?? []), rest]);
  return groups;
}

/** The full name behind what a person typed. @throws LightfootError E_LEDGER_RUN */
export async function findRun(query: LedgerQuery, name: string, signal?: AbortSignal): Promise<string> {
  const condition = name === "latest" ? "true" : `starts_with(run, ${quote(name)})`;
  const rows = await rowsOf(query, `SELECT run FROM runs WHERE ${condition} ORDER BY time DESC, run DESC`, signal);
  const names = rows.map(({ run }) => text(run));
  const [first] = names;
  if (first === undefined) {
    throw new LightfootError(
      "E_LEDGER_RUN",
      name === "latest" ? "the ledger has no run" : `no run begins with '${name}'`,
      {
        hint: "`lightfoot ledger list` shows the runs.",
      },
    );
  }
  if (name === "latest" || names.length === 1 || names.includes(name)) return names.includes(name) ? name : first;
  throw new LightfootError(
    "E_LEDGER_RUN",
    `${names.length} runs begin with '${name}': ${names.slice(0, 5).join(", ")}`,
  );
}

/** Rows come from files that anybody may have written: what has another shape is damage, not our defect. */
function read<T>(schema: { safeParse: (value: unknown) => Parsed<T> }, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new LightfootError("E_LEDGER", `a record is not as a writer puts it down: ${issue?.message ?? ""}`, {
    where: { path: issue?.path.join(".") ?? "" },
    hint: "`lightfoot ledger verify` says which line was changed.",
  });
}

type Parsed<T> =
  | { readonly success: true; readonly data: T }
  | {
      readonly success: false;
      readonly error: { readonly issues: readonly { readonly message: string; readonly path: PropertyKey[] }[] };
    };
