// Which files are tests and how long one may take; depends on vitest and Node.
import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    setupFiles: ["test/seed.ts"],
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Loading the modules again for each of 200 files took longer than their tests. So none may leave anything behind in a module.
    isolate: false,
    // Many tests wait for a child process: on two processors, where one worker is the default, a second one finds time.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    pool: "forks", // onnxruntime aborts when its thread is torn down inside a vitest worker thread
  },
});
