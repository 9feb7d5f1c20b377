// Public face of the room `ledger`; depends on its own files.
export { compactLedger, type CompactedFile } from "./compact.ts";
export { evidenceIn, type DocumentEvidence, type NamedFigure } from "./document-evidence.ts";
export { formatEmissionsCsv } from "./export/codecarbon.ts";
export { grafanaDashboard } from "./export/grafana.ts";
export { formatOtlp } from "./export/otlp.ts";
export { formatPrometheus, PROMETHEUS_CONTENT_TYPE } from "./export/prometheus.ts";
export { telemetryOf, type DomainTelemetry, type RunTelemetry, type Total } from "./export/telemetry.ts";
export { hasLedger, LEDGER_FOLDER } from "./layout.ts";
export { openLedgerQuery, type Cell, type LedgerQuery, type QueryResult } from "./query.ts";
export * from "./records.ts";
export { listRuns, readRunDetails, showRun } from "./runs.ts";
export { verifyLedger } from "./verify.ts";
export { openLedgerWriter, type LedgerWriter, type LedgerWriterOptions } from "./writer.ts";
