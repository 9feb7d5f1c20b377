// The child process of `peak-memory`: runs one batch and answers with its peak resident set; may depend on errors, io and its room.
import { asLightfootError } from "../errors/index.ts";
import { answerParent, readTask } from "../io/node-child-side.ts";
import { processUsage } from "../io/process-usage.ts";
import type { PeakMemoryTask } from "./peak-memory.ts";
import { openSession } from "./session.ts";
import { syntheticFeeds } from "./synthetic-feeds.ts";

const { model, batch, threads, inputs } = await readTask<PeakMemoryTask>();
try {
  if (model === undefined) await import("onnxruntime-node");
  else {
    const session = await openSession(model, { threads });
    await session.run(syntheticFeeds(session, { batch, inputs }));
    await session.close();
  }
  answerParent({ result: processUsage.peakMemoryBytes() });
} catch (thrown) {
  answerParent({ error: asLightfootError(thrown).toJSON() });
}
