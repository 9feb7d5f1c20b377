// A ledger opened for one action and closed after it, its torn lines told once; may depend on this room and ledger.
import type { LedgerQuery } from "../../../ledger/query.ts";
import type { ActionContext } from "../../action.ts";

/** The option that every sub-verb takes. */
export interface LedgerFlags {
  readonly ledger: string;
}

/** Runs `work` on the ledger's tables. */
export async function withLedger<T>(
  context: ActionContext,
  folder: string,
  work: (query: LedgerQuery) => Promise<T>,
): Promise<T> {
  const { openLedgerQuery } = await import("../../../ledger/query.ts");
  const query = await openLedgerQuery(folder);
  try {
    for (const file of query.torn) {
      context.note(
        `${file}: the last line is torn, its writer was killed while it wrote. It is left out; all else is read.`,
      );
    }
    return await work(query);
  } finally {
    query.close();
  }
}

/** Text from a file, safe on a terminal: control characters would move the cursor or worse. */
// oxlint-disable-next-line no-control-regex -- they are what is taken out
export const printable = (text: string): string => text.replaceAll(/[\u0000-\u001F\u007F-\u009F]/g, "�");
