// `lightfoot ledger verify`: is every byte as it was written; may depend on this room, ledger and errors.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import type { Verification } from "../../../ledger/verify-schema.ts";
import { formatCount } from "../../../quantity/format.ts";
import type { ActionContext } from "../../action.ts";
import { formatTable } from "../../terminal-table.ts";
import type { LedgerFlags } from "./open.ts";

export async function verify(context: ActionContext, flags: LedgerFlags): Promise<void> {
  const { verifyLedger } = await import("../../../ledger/verify.ts");
  context.progress.phase(`Reading ${flags.ledger}`);
  const found = await verifyLedger(flags.ledger);
  context.result(found, () => describe(found, context.columns));
  if (!found.holds) {
    const count = found.findings.length;
    throw new LightfootError("E_LEDGER", `${count} ${count === 1 ? "thing is" : "things are"} not as written`, {
      findings: found.findings.map(({ message, file, line }) => ({
        message,
        where: { file, line: line ?? undefined },
      })),
    });
  }
}

function describe({ files, ledger, holds }: Verification, columns: number): string {
  if (files.length === 0) return `${ledger} is empty.`;
  const rows = files.map(({ writer, lines, blocks, looseLines, state, parquet, seal }) => [
    writer,
    formatCount(lines),
    formatCount(blocks),
    formatCount(looseLines),
    state,
    parquet,
    seal?.slice(7, 19) ?? "",
  ]);
  const torn = files.flatMap(({ file, torn: tail }) =>
    tail === null
      ? []
      : [`${file}:${tail.line}: torn last line (${tail.bytes} bytes), left out: its writer was killed`],
  );
  const loose = files.reduce((sum, { looseLines }) => sum + looseLines, 0);
  const table = formatTable(
    [
      { title: "file" },
      { title: "lines", align: "right" },
      { title: "blocks", align: "right" },
      { title: "not chained", align: "right" },
      { title: "state" },
      { title: "Parquet" },
      { title: "seal" },
    ],
    rows,
    columns,
  );
  const closing = holds
    ? [
        `Every block holds.${loose === 0 ? "" : ` ${formatCount(loose)} lines after the last blocks are in no block yet: nothing vouches for them.`}`,
      ]
    : [];
  return [table, [...torn, ...closing].join("\n")].filter((part) => part !== "").join("\n\n");
}
