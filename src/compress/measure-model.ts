// Measures a model that nobody compressed, such as one narrowed by hand, just as candidates are; may depend on this room.
import { benchSettings } from "./bench-settings.ts";
import type { Candidate } from "./candidate-schema.ts";
import { RemoteBench } from "./remote-bench.ts";

export type MeasureOptions = Parameters<typeof benchSettings>[0] & {
  readonly title: string;
  readonly signal?: AbortSignal;
};

/**
 * Everything that a candidate's line says, for the model at `path` against the original: on test data, else on validation data.
 *
 * @param options.model path of the original
 * @throws LightfootError E_RUNTIME, E_DATA, E_METRIC, E_INTERRUPTED
 */
export async function measureModel(path: string, options: MeasureOptions, original: Candidate): Promise<Candidate> {
  const bench = new RemoteBench(benchSettings(options));
  try {
    return await bench.measure({ path, title: options.title, original }, options.signal);
  } finally {
    await bench.close();
  }
}
