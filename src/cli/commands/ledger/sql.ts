// `lightfoot ledger sql`: one query, its rows as a table or a document; may depend on this room and ledger.
import type { Cell } from "../../../ledger/query.ts";
import type { ActionContext } from "../../action.ts";
import { formatTable } from "../../terminal-table.ts";
import { printable, withLedger, type LedgerFlags } from "./open.ts";

export async function sql(context: ActionContext, statement: string, flags: LedgerFlags): Promise<void> {
  const found = await withLedger(context, flags.ledger, async (query) => ({
    torn: query.torn,
    ...(await query.ask(statement, context.signal)),
  }));
  const { columns, torn } = found;
  const document = {
    schema: "lightfoot.ledger-query/1",
    ledger: flags.ledger,
    columns,
    rows: context.json
      ? found.rows.map((row) => Object.fromEntries(columns.map(({ name }, at) => [name, row[at]])))
      : [],
    torn,
  };
  context.result(document, () => {
    if (found.rows.length === 0) return `no rows (${columns.map(({ name }) => name).join(", ")})`;
    const head = columns.map(({ name, type }) => ({
      title: printable(name),
      align: isNumeric(type) ? ("right" as const) : undefined,
    }));
    return formatTable(
      head,
      found.rows.map((row) => row.map(cellText)),
      context.columns,
    );
  });
}

const isNumeric = (type: string): boolean =>
  /^(U?(TINY|SMALL|BIG|HUGE)?INT|INTEGER|UINTEGER|DOUBLE|FLOAT|DECIMAL)/.test(type);

const cellText = (cell: Cell): string => {
  if (cell === null) return "";
  return printable(typeof cell === "object" ? JSON.stringify(cell) : String(cell));
};
