// The names a manifest may use for hardware, places, metrics, techniques and evidence; may depend on facts, runtime, compress, policy and errors.
import { TECHNIQUE_NAMES } from "../compress/search.ts";
import { closestName } from "../errors/closest-name.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import { findHardware } from "../facts/hardware.ts";
import { findPlace } from "../facts/place.ts";
import { isMetricName, METRIC_NAMES } from "../runtime/metrics.ts";
import { readPack } from "../policy/rules/pack.ts";
import { evidenceMistake } from "../policy/rules/vocabulary.ts";
import type { KnownNames } from "./manifest.ts";

function requireKnown(what: string, name: string, names: readonly string[]): void {
  if (names.includes(name)) return;
  const near = closestName(name, names);
  throw new LightfootError("E_USAGE", `there is no ${what} '${name}'`, {
    hint: near === undefined ? `Known are ${names.join(", ")}.` : `Did you mean ${near}?`,
  });
}

export const knownNames: KnownNames = {
  hardware: (id) => void findHardware(id),
  where: (place) => void findPlace(place),
  metric(name) {
    if (!isMetricName(name)) requireKnown("metric", name, METRIC_NAMES);
  },
  evidence(field, value) {
    const mistake = evidenceMistake(field, value, readPack().vocabulary);
    if (mistake !== undefined) throw new LightfootError("E_USAGE", mistake.message, { hint: mistake.hint });
  },
  technique: (name) => requireKnown("technique", name, TECHNIQUE_NAMES),
};
