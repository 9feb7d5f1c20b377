// The data sets of a manifest: training, validation, test and calibration samples, each for one purpose; may depend on runtime and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { loadDataset, splitDataset, type Dataset } from "../runtime/dataset.ts";
import type { DossierData } from "./dossier-schema.ts";
import type { Manifest } from "./manifest-schema.ts";

export interface RunData {
  readonly train: Dataset | undefined;
  readonly validation: Dataset;
  readonly test: Dataset | undefined;
  readonly calibration: Dataset | undefined;
}

/**
 * Loads what the manifest names. A validation split is taken off the training data with the manifest's seed, so that nothing trains
 * on what chooses.
 *
 * @throws LightfootError E_DATA, also when two roles share a data set that must be apart
 */
export async function loadRunData({ data, seed }: Manifest): Promise<RunData> {
  const whole = data.train === undefined ? undefined : await loadDataset(data.train);
  const test = data.test === undefined ? undefined : await loadDataset(data.test);
  const calibration = data.calibrate === undefined ? undefined : await loadDataset(data.calibrate);
  if (typeof data.validate === "string") {
    const validation = await loadDataset(data.validate);
    refuseSame("data.validate", validation, "data.test", test);
    return { train: whole, validation, test, calibration };
  }
  const { split } = data.validate;
  if (whole === undefined)
    throw new LightfootError("E_MANIFEST", "a split is taken from 'data.train', which is missing");
  const count = split < 1 ? Math.round(split * whole.sampleCount) : split;
  const { train, validation } = splitDataset(whole, { validation: count, seed });
  refuseSame("data.train", whole, "data.test", test);
  return { train, validation, test, calibration };
}

/** A judge that has seen the answers: the figure would look better than it is, and nobody would notice. */
export function refuseSame(firstName: string, first: Dataset, secondName: string, second: Dataset | undefined): void {
  if (second === undefined || first.digest !== second.digest) return;
  throw new LightfootError("E_DATA", `${firstName} and ${secondName} hold the same samples`, {
    hint: "Judge on data that neither trained nor chose.",
  });
}

/** The data sets as the dossier lists them. */
export function describeRunData(data: RunData): DossierData[] {
  const roles = ["train", "validation", "test", "calibration"] as const;
  return roles.flatMap((role) => {
    const found = data[role];
    if (found === undefined) return [];
    const { name, sampleCount, digest } = found;
    return [{ role, name, sampleCount, digest }];
  });
}
