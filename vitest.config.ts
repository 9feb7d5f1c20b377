// Which files are tests and how long one may take; depends on vitest alone.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    setupFiles: ["test/seed.ts"],
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks", // onnxruntime aborts when its thread is torn down inside a vitest worker thread
  },
});
