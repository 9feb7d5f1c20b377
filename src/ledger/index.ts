// Public face of the room `ledger`; depends on its own files.
export { hasLedger, LEDGER_FOLDER } from "./layout.ts";
export * from "./records.ts";
export { openLedgerWriter, type LedgerWriter, type LedgerWriterOptions } from "./writer.ts";
