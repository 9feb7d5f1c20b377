// Runs a scenario: every draw of every group with and without each policy, then percentiles, rebound and what moves them; may depend on statistics, quantity, the rules and its room.
import { GRAMS_PER_TONNE } from "../../quantity/convert.ts";
import { latinHypercube, triangularQuantile } from "../../statistics/latin-hypercube.ts";
import { seededRandom } from "../../statistics/random.ts";
import {
  drawLevers,
  NO_LEVERS,
  OUTCOME_COUNT,
  OUTCOMES,
  simulateGroup,
  type GroupDraw,
  type LeverDraw,
  type Outcome,
  type Pick,
} from "./engine.ts";
import type { Pack } from "../rules/pack.ts";
import { ruleFlips } from "./flips.ts";
import type { PolicyResult, Simulation, Spread } from "./result-schema.ts";
import type { Group, Policy, Scenario } from "./scenario.ts";

export interface RunOptions {
  /** Called between draws; a long run can be stopped by throwing in it. */
  readonly onDraw?: (done: number, total: number) => void;
  /** The rules of the scenario's `check`; left out, none are looked at. */
  readonly pack?: Pack;
}

// Longer lists are read by nobody; the rest moves the result less than the last one shown.
const TORNADO_ROWS = 10;
const DRAWS_BETWEEN_REPORTS = 64;

/**
 * What the scenario's policies would change.
 *
 * Deterministic: the scenario and its seed decide every digit. Each draw runs the baseline and every policy with the same
 * numbers, so that differences are paired.
 */
export function runScenario(scenario: Scenario, options: RunOptions = {}): Simulation {
  const { policies, dimensions } = scenario;
  const years = scenario.to - scenario.from + 1;
  const runs = policies.length + 1;
  const central = simulate(scenario, (amount) => amount.value);
  const points = latinHypercube(scenario.draws, dimensions.length, seededRandom(scenario.seed));
  const sums = Array.from({ length: runs }, () => new Float64Array(scenario.draws * OUTCOME_COUNT));
  const yearly = Array.from({ length: runs }, () => new Float64Array(scenario.draws * years * 2));
  const numbers = new Float64Array(dimensions.length);
  const pickOf = (draw: number): Pick => {
    for (const [at, { low, value, high }] of dimensions.entries()) {
      numbers[at] = triangularQuantile(points[draw * dimensions.length + at], low, value, high);
    }
    return (amount, dimension) => (dimension < 0 ? amount.value : numbers[dimension]);
  };
  const flips = options.pack && ruleFlips(scenario, options.pack, pickOf);
  for (let draw = 0; draw < scenario.draws; draw++) {
    const outcome = simulate(scenario, pickOf(draw));
    for (let run = 0; run < runs; run++) {
      for (let year = 0; year < years; year++) {
        const row = outcome[run].subarray(year * OUTCOME_COUNT, (year + 1) * OUTCOME_COUNT);
        for (let at = 0; at < OUTCOME_COUNT; at++) sums[run][draw * OUTCOME_COUNT + at] += row[at];
        yearly[run][(draw * years + year) * 2] = row[0];
        yearly[run][(draw * years + year) * 2 + 1] = row[1];
      }
    }
    if (draw % DRAWS_BETWEEN_REPORTS === 0) options.onDraw?.(draw, scenario.draws);
  }
  const drawn = sums.map((values, run) => new Drawn(values, totals(central[run], years), scenario.draws));
  const series = yearly.map((values, run) => yearSeries(scenario, values, central[run], years));
  return {
    schema: "lightfoot.simulation/1",
    notice: "Not a forecast: what would follow if the scenario's numbers held.",
    title: scenario.title,
    digest: scenario.digest,
    currency: scenario.currency,
    seed: scenario.seed,
    draws: scenario.draws,
    sampling: "Latin hypercube, triangular",
    from: scenario.from,
    to: scenario.to,
    groups: scenario.groups.map(({ id }) => id),
    uncertain: dimensions.map(({ path, value, low, high }) => ({ parameter: path, value, low, high })),
    baseline: {
      energy: drawn[0].spread((of) => of("energyKwh"), "kWh"),
      emissions: drawn[0].spread((of) => of("emissionsGrams") / GRAMS_PER_TONNE, "tCO2e"),
      electricityBill: drawn[0].spread((of) => of("electricityBill"), scenario.currency),
      years: series[0],
    },
    policies: policies.map((policy, index) => ({
      ...policyResult(scenario, policy, index, drawn[0], drawn[index + 1], series[index + 1], central),
      flips: flips?.byPolicy[index] ?? null,
    })),
    check: flips?.check ?? null,
    assumptions: [...scenario.assumptions],
  };
}

/** All runs under one draw: the baseline, then each policy; `[year][outcome]` summed over the groups. */
function simulate(scenario: Scenario, pick: Pick): Float64Array[] {
  const { groups, policies, models, from, to } = scenario;
  const years = to - from + 1;
  const results = Array.from({ length: policies.length + 1 }, () => new Float64Array(years * OUTCOME_COUNT));
  const levers = policies.map((policy) => drawLevers(policy.levers, policy.dimensions, models, pick));
  const demand = new Float64Array(years);
  for (const [at, group] of groups.entries()) {
    const draw = drawGroup(group, pick);
    simulateGroup(draw, group.model, models, NO_LEVERS, 0, years, demand, true, results[0]);
    for (const [index, policy] of policies.entries()) {
      const pulled: LeverDraw = policy.holds[at] ? levers[index] : NO_LEVERS;
      simulateGroup(draw, group.model, models, pulled, policy.from - from, years, demand, false, results[index + 1]);
    }
  }
  capGrants(scenario, results, pick);
  return results;
}

/** A grant's budget is one for all groups and years: what is beyond it is not paid. */
function capGrants({ policies }: Scenario, results: readonly Float64Array[], pick: Pick): void {
  const at = OUTCOMES.indexOf("spend");
  for (const [index, { levers, dimensions }] of policies.entries()) {
    const cap = levers.retrofitGrant?.cap;
    if (cap === undefined) continue;
    let left = pick(cap, dimensions["retrofitGrant.cap"] ?? -1);
    const rows = results[index + 1];
    for (let row = at; row < rows.length; row += OUTCOME_COUNT) {
      rows[row] = Math.min(rows[row], left);
      left -= rows[row];
    }
  }
}

function drawGroup({ fields }: Group, pick: Pick): GroupDraw {
  const of = (field: keyof Group["fields"]): number => pick(fields[field], fields[field].dimension);
  return {
    itKwh: of("itEnergy"),
    pue: of("pue"),
    gramsPerKwh: of("intensity"),
    intensityChange: of("intensityChange"),
    powerPrice: of("powerPrice"),
    carbonPrice: of("carbonPrice"),
    passThrough: of("passThrough"),
    electricityShare: of("electricityShare"),
    deviceShare: of("deviceShare"),
    elasticity: of("elasticity"),
    growth: of("growth"),
    efficiencyGrowth: of("efficiencyGrowth"),
    reoptimizing: of("reoptimizing"),
    litresPerKwh: of("water"),
    accuracyFloor: of("accuracyFloor"),
  };
}

function totals(rows: Float64Array, years: number): Float64Array {
  const sum = new Float64Array(OUTCOME_COUNT);
  for (let at = 0; at < years * OUTCOME_COUNT; at++) sum[at % OUTCOME_COUNT] += rows[at];
  return sum;
}

type Of = (outcome: Outcome) => number;

/** One run's totals over all draws. */
class Drawn {
  readonly #values: Float64Array;
  readonly central: Of;
  readonly draws: number;

  constructor(values: Float64Array, central: Float64Array, draws: number) {
    this.#values = values;
    this.central = (outcome) => central[OUTCOMES.indexOf(outcome)];
    this.draws = draws;
  }

  of(draw: number): Of {
    return (outcome) => this.#values[draw * OUTCOME_COUNT + OUTCOMES.indexOf(outcome)];
  }

  spread(value: (of: Of) => number, unit: string): Spread {
    const all = Float64Array.from({ length: this.draws }, (_, draw) => value(this.of(draw)));
    return spreadOf(all, value(this.central), unit);
  }
}

function spreadOf(values: Float64Array, central: number, unit: string): Spread {
  const sorted = values.filter(Number.isFinite).sort();
  const at = (share: number): number => {
    const position = share * (sorted.length - 1);
    const [low, high] = [sorted[Math.floor(position)], sorted[Math.ceil(position)]];
    return low + (high - low) * (position - Math.floor(position));
  };
  if (sorted.length === 0) return { central, p5: central, p50: central, p95: central, unit };
  return { central, p5: at(0.05), p50: at(0.5), p95: at(0.95), unit };
}

function yearSeries(
  scenario: Scenario,
  values: Float64Array,
  central: Float64Array,
  years: number,
): PolicyResult["years"] {
  return Array.from({ length: years }, (_, year) => {
    const column = (offset: number, factor: number, unit: string): Spread =>
      spreadOf(
        Float64Array.from(
          { length: scenario.draws },
          (__, draw) => values[(draw * years + year) * 2 + offset] * factor,
        ),
        central[year * OUTCOME_COUNT + offset] * factor,
        unit,
      );
    return {
      year: scenario.from + year,
      energy: column(0, 1, "kWh"),
      emissions: column(1, 1 / GRAMS_PER_TONNE, "tCO2e"),
    };
  });
}

function policyResult(
  scenario: Scenario,
  policy: Policy,
  index: number,
  base: Drawn,
  run: Drawn,
  years: PolicyResult["years"],
  central: readonly Float64Array[],
): Omit<PolicyResult, "flips"> {
  const { currency } = scenario;
  /** Paired: the same draw with and without the policy. */
  const paired = (value: (without: Of, withIt: Of) => number, unit: string): Spread => {
    const all = Float64Array.from({ length: run.draws }, (_, draw) => value(base.of(draw), run.of(draw)));
    return spreadOf(all, value(base.central, run.central), unit);
  };
  const tonnes = (of: Of): number => of("emissionsGrams") / GRAMS_PER_TONNE;
  const saving = (without: Of, withIt: Of): number => tonnes(without) - tonnes(withIt);
  const engineered = (without: Of, withIt: Of): number => without("energyKwh") - withIt("engineeringKwh");
  const reboundOf = (without: Of, withIt: Of): number =>
    1 - (without("energyKwh") - withIt("energyKwh")) / engineered(without, withIt);
  const hasEngineering = engineered(base.central, run.central) > 1e-9 * base.central("energyKwh");
  const saved = Array.from({ length: run.draws }, (_, draw) => saving(base.of(draw), run.of(draw)));
  const accuracy = (of: Of): number => of("accuracyUnits") / of("units");
  const spends = run.central("spend") > 0 && saving(base.central, run.central) > 0;
  const hasWater = scenario.groups.every((group) => group.hasWater);
  return {
    id: policy.id,
    title: policy.title,
    status: policy.status,
    energy: run.spread((of) => of("energyKwh"), "kWh"),
    emissions: run.spread(tonnes, "tCO2e"),
    energySaving: paired((without, withIt) => without("energyKwh") - withIt("energyKwh"), "kWh"),
    emissionsSaving: paired(saving, "tCO2e"),
    emissionsSavingShare: paired((without, withIt) => saving(without, withIt) / tonnes(without), "1"),
    water: hasWater ? run.spread((of) => of("waterLitres"), "L") : null,
    accuracy: run.spread(accuracy, "1"),
    accuracyChange: paired((without, withIt) => accuracy(withIt) - accuracy(without), "1"),
    electricityBillChange: paired(
      (without, withIt) => withIt("electricityBill") - without("electricityBill"),
      currency,
    ),
    publicRevenue: paired(
      (without, withIt) =>
        withIt("carbonRevenue") + withIt("surchargeRevenue") - without("carbonRevenue") - without("surchargeRevenue"),
      currency,
    ),
    publicSpend: run.spread((of) => of("spend"), currency),
    spendPerTonne: spends
      ? paired((without, withIt) => withIt("spend") / saving(without, withIt), `${currency}/tCO2e`)
      : null,
    waterfall: waterfallOf(base.central, run.central),
    rebound: hasEngineering ? paired(reboundOf, "1") : null,
    breakEvenElasticity: breakEven(scenario, policy, index, central),
    savingFraction: saved.filter((tonnesSaved) => tonnesSaved > 0).length / saved.length,
    tornado: tornadoOf(scenario, index),
    years,
  };
}

function waterfallOf(base: Of, run: Of): PolicyResult["waterfall"] {
  const baseline = base("emissionsGrams") / GRAMS_PER_TONNE;
  const engineered = run("engineeringGrams") / GRAMS_PER_TONNE;
  const policy = run("emissionsGrams") / GRAMS_PER_TONNE;
  return {
    baseline,
    engineering: engineered - baseline,
    behavior: policy - engineered,
    policy,
    accounting: run("marketGrams") / GRAMS_PER_TONNE - policy,
  };
}

/**
 * −1/s with s = ln(c'/c) / ln(e'/e) of the policy's first year: where energy per unit falls by a share and unit cost by s
 * times as much (in logarithms), demand with elasticity −1/s eats the saving up.
 */
function breakEven(scenario: Scenario, policy: Policy, index: number, central: readonly Float64Array[]): number | null {
  const year = Math.max(0, policy.from - scenario.from);
  if (year > scenario.to - scenario.from) return null;
  const of = (run: number, outcome: Outcome): number => central[run][year * OUTCOME_COUNT + OUTCOMES.indexOf(outcome)];
  const energy = Math.log(of(index + 1, "engineeringKwh") / of(0, "energyKwh"));
  const demand = Math.log(of(index + 1, "energyKwh") / of(index + 1, "engineeringKwh"));
  const elasticities = new Set(scenario.groups.map(({ fields }) => fields.elasticity.value));
  const [elasticity] = elasticities;
  // Groups that answer differently have no one break-even.
  if (elasticities.size !== 1 || elasticity === 0 || energy >= -1e-12) return null;
  const cost = demand / elasticity;
  return cost >= -1e-12 ? null : -energy / cost;
}

/** One uncertain number at a time at its ends, all else central. */
function tornadoOf(scenario: Scenario, index: number): PolicyResult["tornado"] {
  const years = scenario.to - scenario.from + 1;
  const savingWith = (dimension: number, value: number): number => {
    const results = simulate(scenario, (amount, at) => (at === dimension ? value : amount.value));
    const grams = (run: number): number => totals(results[run], years)[OUTCOMES.indexOf("emissionsGrams")];
    return (grams(0) - grams(index + 1)) / GRAMS_PER_TONNE;
  };
  return scenario.dimensions
    .map(({ path, low, high }, dimension) => ({
      parameter: path,
      low,
      high,
      savingAtLow: savingWith(dimension, low),
      savingAtHigh: savingWith(dimension, high),
    }))
    .filter(({ savingAtLow, savingAtHigh }) => savingAtLow !== savingAtHigh)
    .toSorted((a, b) => Math.abs(b.savingAtHigh - b.savingAtLow) - Math.abs(a.savingAtHigh - a.savingAtLow))
    .slice(0, TORNADO_ROWS);
}
