// `lightfoot ledger compact`: Parquet beside each finished file; may depend on this room and ledger.
import { hostname } from "node:os";
import { formatCount, formatNumber } from "../../../quantity/format.ts";
import type { ActionContext } from "../../action.ts";
import { formatTable } from "../../terminal-table.ts";
import type { LedgerFlags } from "./open.ts";

const STATES = {
  compacted: "compacted",
  done: "was compacted before",
  open: "left out: its writer has not closed it",
} as const;

export async function compact(context: ActionContext, flags: LedgerFlags): Promise<void> {
  const { compactLedger } = await import("../../../ledger/compact.ts");
  context.progress.phase(`Compacting ${flags.ledger}`);
  const files = await compactLedger(flags.ledger, hostname());
  context.result({ schema: "lightfoot.ledger-compacted/1", ledger: flags.ledger, files }, () => {
    if (files.length === 0) return `${flags.ledger} is empty.`;
    const rows = files.map(({ writer, rows: count, bytes, parquetBytes, state }) => [
      writer,
      state === "open" ? "" : formatCount(count),
      formatNumber(bytes, "B"),
      state === "open" ? "" : formatNumber(parquetBytes, "B"),
      STATES[state],
    ]);
    const head = [
      { title: "file" },
      { title: "rows", align: "right" as const },
      { title: "JSONL", align: "right" as const },
      { title: "Parquet", align: "right" as const },
      { title: "" },
    ];
    return formatTable(head, rows, context.columns);
  });
}
