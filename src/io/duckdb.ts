// Loads DuckDB when it is used first; may depend on errors.
import { LightfootError } from "../errors/lightfoot-error.ts";

/** @throws LightfootError E_DEPENDENCY */
export async function loadDuckDb(): Promise<typeof import("@duckdb/node-api")> {
  try {
    return await import("@duckdb/node-api");
  } catch (cause) {
    throw new LightfootError("E_DEPENDENCY", "DuckDB, which reads tables and answers queries, does not load here", {
      hint: "npm install @duckdb/node-api",
      cause,
    });
  }
}
