// The energy and carbon statements of a CycloneDX 1.6+ bill of materials (`modelCard` of a component); may depend on errors.
import { LightfootError } from "../../errors/lightfoot-error.ts";

/** A number with the unit beside it, as the document has them; either may be missing or of a wrong type. */
export interface CycloneDxMeasure {
  readonly value: unknown;
  readonly unit: unknown;
}

/** One `energyConsumptions` entry. */
export interface CycloneDxConsumption {
  /** Path in the document: `components[0].modelCard…energyConsumptions[1]`. */
  readonly path: string;
  readonly component: string;
  readonly activity: unknown;
  readonly energy: CycloneDxMeasure | undefined;
  readonly providers: readonly CycloneDxMeasure[];
  readonly carbon: CycloneDxMeasure | undefined;
  readonly offset: CycloneDxMeasure | undefined;
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const measure = (value: unknown): CycloneDxMeasure | undefined =>
  isObject(value) ? { value: value["value"], unit: value["unit"] } : undefined;

// Bills nest components in components; a document that nests deeper than any real one is an attack on the stack.
const DEEPEST = 64;

function* componentsOf(
  value: unknown,
  file: string,
  path: string,
  depth = 0,
): Generator<{ component: Json; path: string }> {
  if (!isObject(value)) return;
  if (depth > DEEPEST)
    throw new LightfootError("E_LIMIT", `components nest deeper than ${DEEPEST}`, { where: { file } });
  yield { component: value, path };
  for (const [index, inner] of listOf(value["components"]).entries()) {
    yield* componentsOf(inner, file, `${path}.components[${index}]`, depth + 1);
  }
}

/**
 * Every energy consumption that a bill states, over its main component and all nested ones.
 *
 * @param document the parsed JSON
 * @throws LightfootError E_DATA when it is no CycloneDX document
 * @source CycloneDX 1.6 JSON schema: modelCard.considerations.environmentalConsiderations.energyConsumptions
 */
export function readCycloneDx(document: unknown, file: string): CycloneDxConsumption[] {
  if (!isObject(document) || document["bomFormat"] !== "CycloneDX") {
    throw new LightfootError("E_DATA", "the document has no bomFormat 'CycloneDX'", { where: { file } });
  }
  const metadata = isObject(document["metadata"]) ? document["metadata"]["component"] : undefined;
  const roots = [
    ...componentsOf(metadata, file, "metadata.component"),
    ...listOf(document["components"]).flatMap((entry, index) => [...componentsOf(entry, file, `components[${index}]`)]),
  ];
  return roots.flatMap(({ component, path }) => {
    const within = (value: unknown, key: string): unknown => (isObject(value) ? value[key] : undefined);
    const considerations = within(component["modelCard"], "considerations");
    const environmental = within(considerations, "environmentalConsiderations");
    const place = `${path}.modelCard.considerations.environmentalConsiderations.energyConsumptions`;
    return listOf(within(environmental, "energyConsumptions")).map((entry, index) => ({
      path: `${place}[${index}]`,
      component: typeof component["name"] === "string" ? component["name"] : path,
      activity: within(entry, "activity"),
      energy: measure(within(entry, "activityEnergyCost")),
      providers: listOf(within(entry, "energyProviders")).flatMap(
        (provider) => measure(within(provider, "energyProvided")) ?? [],
      ),
      carbon: measure(within(entry, "co2CostEquivalent")),
      offset: measure(within(entry, "co2CostOffset")),
    }));
  });
}
