// `lightfoot ledger`: the evidence of earlier runs, checked, listed, queried, exported; may depend on this room and ledger's light files.
import { InvalidArgumentError, Option, type Command } from "commander";
import { LEDGER_FOLDER } from "../../../ledger/layout.ts";
import { runAction } from "../../action.ts";
import { withExamples } from "../../help.ts";
import { compact } from "./compact.ts";
import { EXPORT_FORMATS, exportLedger } from "./export.ts";
import { parseAddress, type Address } from "./address.ts";
import { list, show } from "./runs.ts";
import { sql } from "./sql.ts";
import { verify } from "./verify.ts";

/** Adds the verb `ledger` and what it can do to the program. */
export function registerLedger(program: Command): void {
  const ledger = program
    .command("ledger")
    .description("what earlier runs left as evidence: check, list, query, export");
  withExamples(ledger, [
    ["lightfoot ledger list", "the runs of this folder's .lightfoot"],
    ["lightfoot ledger verify", "is every byte as it was written?"],
  ]);
  const add = (name: string, description: string): Command =>
    ledger.command(name).description(description).option("--ledger <folder>", "the ledger's folder", LEDGER_FOLDER);

  withExamples(
    add("verify", "read every byte and say what was changed, with file and line").action(runAction(verify, "never")),
    [
      ["lightfoot ledger verify", "exit 0 when everything holds, 1 when something was changed"],
      ["lightfoot ledger verify --json", "with the seal of each file, to be kept elsewhere"],
    ],
  );
  withExamples(add("list", "the runs, oldest first").action(runAction(list, "never")), [
    ["lightfoot ledger list", "when, what, how long, how much energy"],
  ]);
  withExamples(
    add("show", "one run: its figures and the sums of its domains")
      .argument("<run>", "a run's name or the beginning of it, or: latest")
      .action(runAction(show, "never")),
    [["lightfoot ledger show latest", "the newest run"]],
  );
  withExamples(
    add("compact", "add a Parquet file to each finished file, for faster queries; nothing is replaced").action(
      runAction(compact, "never"),
    ),
    [["lightfoot ledger compact", "after it `verify` checks the Parquet too"]],
  );
  withExamples(
    add("sql", "one query over the tables runs, samples, figures and domains; it can only read")
      .argument("<query>", "SQL as DuckDB speaks it")
      .action(runAction(sql, "never")),
    [
      [
        `lightfoot ledger sql "SELECT domain, sum(energyJoules) AS joules FROM samples GROUP BY domain"`,
        "energy by domain over all runs",
      ],
      [`lightfoot ledger sql "DESCRIBE samples" --json`, "the columns of a table"],
    ],
  );
  withExamples(
    add("export", "runs in a form that other tools read")
      .addOption(new Option("--format <name>", "what to write").choices(EXPORT_FORMATS).makeOptionMandatory())
      .option("--run <name>", "only this run: its name, the beginning of it, or: latest")
      .option("--out <file>", "where to; stdout without it")
      .option("--listen <address>", "with prometheus: answer scrapes, e.g. 9464 or 0.0.0.0:9464", addressOf)
      .action(runAction(exportLedger, "never")),
    [
      ["lightfoot ledger export --format csv --out samples.csv", "all samples"],
      ["lightfoot ledger export --format codecarbon --out emissions.csv", "for scripts that read CodeCarbon's file"],
      ["lightfoot ledger export --format otlp --run latest", "OpenTelemetry metrics as OTLP/HTTP takes them"],
      ["lightfoot ledger export --format prometheus --listen 9464", "a pull endpoint over every run that goes on"],
      ["lightfoot ledger export --format grafana --out lightfoot-dashboard.json", "a dashboard to import"],
    ],
  );
}

function addressOf(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new InvalidArgumentError("Expected a port, or host:port.");
  return address;
}
