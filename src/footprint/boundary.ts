// System boundaries from the accelerator to the facility, and energy carried from one to the next; may depend on quantity and errors.
import { LightfootError } from "../errors/lightfoot-error.ts";
import { divide, figure, multiply, subtract, type Figure } from "../quantity/figure.ts";

/**
 * What an energy covers, from the inside out: the accelerator boards; the whole server with processors, memory and fans;
 * all IT equipment with network, storage and machines kept ready; the data center with cooling and losses.
 */
export const ENERGY_BOUNDARIES = ["accelerator", "node", "IT", "facility"] as const;
export type EnergyBoundary = (typeof ENERGY_BOUNDARIES)[number];

/** What a figure covers; beyond energy there is what making the hardware emitted, alone or with the facility's operation. */
export const BOUNDARIES = [...ENERGY_BOUNDARIES, "facility+embodied", "embodied"] as const;
export type Boundary = (typeof BOUNDARIES)[number];

/** A figure that says what it covers. */
export interface Bounded extends Figure {
  readonly boundary: Boundary;
}

/** An energy, in J, that says what it covers. */
export interface BoundedEnergy extends Figure {
  readonly boundary: EnergyBoundary;
}

export const bounded = <B extends Boundary>(part: Figure, boundary: B): Figure & { readonly boundary: B } => ({
  ...part,
  boundary,
});

/** @throws LightfootError E_BASIS unless both figures cover the same */
export function requireSameBoundary(left: Bounded, right: Bounded): void {
  if (left.boundary === right.boundary) return;
  throw new LightfootError(
    "E_BASIS",
    `one figure covers '${left.boundary}', the other '${right.boundary}': neither difference nor ratio means anything`,
    { hint: "Bring both to the same boundary first; raiseEnergy does that upwards." },
  );
}

/** `left − right` of one boundary. @throws LightfootError E_BASIS on different boundaries, E_UNIT on different units */
export function subtractWithin(left: Bounded, right: Bounded): Bounded {
  requireSameBoundary(left, right);
  return bounded(subtract(left, right), left.boundary);
}

/** `left / right` of one boundary; unit 1. @throws LightfootError E_BASIS, E_UNIT, E_RANGE when `right` may be 0 */
export function ratioWithin(left: Bounded, right: Bounded): Figure {
  requireSameBoundary(left, right);
  if (left.unit !== right.unit) {
    throw new LightfootError("E_UNIT", `cannot divide ${left.unit} by ${right.unit} and call it a gain`);
  }
  return divide(left, right, "1");
}

/** What one boundary's energy is as a multiple of the one inside it; unit 1. */
export interface BoundaryFactors {
  /** Whole server over its accelerator boards. */
  readonly nodePerAccelerator: Figure;
  /** All IT equipment over the servers that do the work. */
  readonly itPerNode: Figure;
  /** PUE: facility over IT equipment. */
  readonly powerUsageEffectiveness: Figure;
}

const GOOGLE = "Google 2025, energy of a median Gemini text prompt (arXiv 2508.15734)";

/**
 * Stand-ins for factors that nobody gave.
 *
 * Google's prompt splits into accelerators 58 %, host 25 %, idle machines 10 %, overhead 8 %: node 83/58 = 1.43 × the
 * accelerators, IT 93/83 = 1.12 × the node. A full DGX H100 may draw 10.2 kW for boards of 5.6 kW: 1.82. A server of
 * 1.2 kW beside eight boards at 700 W gives 1.21. The same study's accelerator-only count is 2.4 times below its full
 * one; the upper ends times a PUE of 1.1 reach that. PUE: 1.56 is the Uptime Institute's survey mean of 2024; the best
 * fleets publish 1.09, small rooms 2 and more.
 */
export const ASSUMED_FACTORS: BoundaryFactors = {
  nodePerAccelerator: assumedFactor(
    [1.2, 1.43, 1.85],
    [GOOGLE, "NVIDIA DGX H100 data sheet", "EcoLogits (server without accelerators 1.2 kW)"],
    "boundary.node-per-accelerator",
    "The server around the accelerators was not metered: 1.43 (1.20…1.85) times the boards' energy is assumed.",
  ),
  itPerNode: assumedFactor(
    [1, 1.12, 1.25],
    [GOOGLE],
    "boundary.it-per-node",
    "Network, storage and machines kept ready were not metered: all IT equipment is assumed to take 1.12 (1.00…1.25) times the servers' energy.",
  ),
  powerUsageEffectiveness: assumedFactor(
    [1.08, 1.56, 2],
    ["Uptime Institute survey 2024 (mean 1.56)"],
    "pue.unknown",
    "No power usage effectiveness is known for this place: 1.56 (1.08…2.00) is assumed, the mean of a survey of data centers.",
  ),
};

function assumedFactor(
  [low, value, high]: readonly [number, number, number],
  sources: readonly string[],
  key: string,
  text: string,
): Figure {
  return figure({ value, low, high, unit: "1", method: "assumed", sources, assumptions: [{ key, text }] });
}

/** A factor below 1 would make the outer boundary smaller than the inner one. @throws LightfootError E_RANGE, E_UNIT */
export function requireFactor(part: Figure, name: string): Figure {
  if (part.unit !== "1") throw new LightfootError("E_UNIT", `${name} has no unit, found ${part.value} ${part.unit}`);
  if (part.low < 1 || part.high > 10) {
    const found = part.low === part.high ? part.value : `${part.low}…${part.high}`;
    throw new LightfootError("E_RANGE", `${name} is between 1 and 10, found ${found}`, {
      hint: `${name} is an outer energy over an inner one, which it contains.`,
    });
  }
  return part;
}

const STEPS: readonly { readonly key: keyof BoundaryFactors; readonly name: string }[] = [
  { key: "nodePerAccelerator", name: "node per accelerator" },
  { key: "itPerNode", name: "IT equipment per node" },
  { key: "powerUsageEffectiveness", name: "power usage effectiveness (PUE)" },
];

/**
 * An energy at each boundary from its own up to the facility: E_node = E_acc · f_node, E_IT = E_node · f_IT,
 * E_facility = E_IT · PUE. Each factor is applied once.
 *
 * An energy that was metered at the facility comes with E_IT = E_facility / PUE below it, since water is counted on it.
 * @returns from the inside out; the last is the facility's
 * @throws LightfootError E_UNIT unless in J, E_RANGE for factors outside 1…10
 */
export function raiseEnergy(energy: BoundedEnergy, factors: BoundaryFactors = ASSUMED_FACTORS): BoundedEnergy[] {
  if (energy.unit !== "J") throw new LightfootError("E_UNIT", `an energy is in J here, found ${energy.unit}`);
  if (energy.low < 0) throw new LightfootError("E_RANGE", `an energy is 0 or more, found ${energy.low} J`);
  if (energy.boundary === "facility") {
    const effectiveness = requireFactor(factors.powerUsageEffectiveness, STEPS[2].name);
    return [bounded(divide(energy, effectiveness, "J"), "IT"), energy];
  }
  const start = ENERGY_BOUNDARIES.indexOf(energy.boundary);
  const chain: BoundedEnergy[] = [energy];
  let current: BoundedEnergy = energy;
  STEPS.slice(start).forEach(({ key, name }, at) => {
    const outer = ENERGY_BOUNDARIES[start + at + 1];
    current = bounded(multiply(current, requireFactor(factors[key], name), "J"), outer);
    chain.push(current);
  });
  return chain;
}

/** The energy of one boundary out of a chain. @throws LightfootError E_BASIS when the chain starts further out */
export function energyAt(chain: readonly BoundedEnergy[], boundary: EnergyBoundary): BoundedEnergy {
  const found = chain.find((part) => part.boundary === boundary);
  if (found !== undefined) return found;
  const known = chain.map((part) => part.boundary).join(", ");
  throw new LightfootError("E_BASIS", `this energy is known at ${known}, not at '${boundary}'`, {
    hint: "An inner boundary's energy cannot be told from an outer one's: measure further in.",
  });
}
