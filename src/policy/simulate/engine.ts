// The arithmetic of a what-if: one draw of one group under one policy, year by year; may depend on its room.
import type { Levers, ModelOption } from "./scenario-schema.ts";
import type { Amount } from "./amount.ts";

/** A number of the scenario under one draw. */
export type Pick = (amount: Amount, dimension: number) => number;

/** One group's numbers under one draw, in base units. */
export interface GroupDraw {
  readonly itKwh: number;
  readonly pue: number;
  readonly gramsPerKwh: number;
  readonly intensityChange: number;
  readonly powerPrice: number;
  readonly carbonPrice: number;
  readonly passThrough: number;
  readonly electricityShare: number;
  readonly deviceShare: number;
  readonly elasticity: number;
  readonly growth: number;
  readonly efficiencyGrowth: number;
  readonly reoptimizing: number;
  readonly litresPerKwh: number;
  readonly accuracyFloor: number;
}

/** A policy's levers under one draw; `undefined` where it pulls none. */
export interface LeverDraw {
  readonly carbonPrice?: number;
  readonly surcharge?: {
    readonly limit: number;
    readonly rate: number;
    readonly farRate: number;
    readonly farAbove: number;
  };
  readonly cap?: { readonly max: number; readonly compliance: number };
  readonly standard?: { readonly maxEnergy: number; readonly compliance: number };
  readonly addedReoptimizing: number;
  readonly label?: { readonly maxEnergy: number; readonly premium: number };
  readonly green?: { readonly share: number; readonly additionality: number };
  readonly credit?: {
    readonly rate: number;
    readonly spend: number;
    readonly response: number;
    readonly lagYears: number;
  };
  readonly retrofit?: { readonly targetPue: number; readonly uptake: number; readonly rate: number };
  readonly gate?: { readonly share: number; readonly maxPue: number; readonly maxEnergy: number };
  readonly adopt?: { readonly model: number; readonly share: number };
}

export const NO_LEVERS: LeverDraw = { addedReoptimizing: 0 };

/** Share of efficiency growth that one share more of research spend adds; 0.1 to 0.3 is plausible, no source settles it. */
const DEFAULT_RESPONSE = 0.2;

/** The levers under a draw. @param models to find the adopted one by its id */
export function drawLevers(
  levers: Levers,
  dimensions: Readonly<Record<string, number>>,
  models: readonly ModelOption[],
  pick: Pick,
): LeverDraw {
  const of = (path: string, amount: Amount): number => pick(amount, dimensions[path] ?? -1);
  const {
    carbonPrice,
    pueSurcharge,
    pueCap,
    efficiencyStandard,
    disclosure,
    label,
    greenPower,
    rndCredit,
    retrofitGrant,
    procurementGate,
    adopt,
  } = levers;
  return {
    addedReoptimizing: disclosure === undefined ? 0 : of("disclosure.addedReoptimizing", disclosure.addedReoptimizing),
    ...(carbonPrice !== undefined && { carbonPrice: of("carbonPrice", carbonPrice) }),
    ...(pueSurcharge !== undefined && {
      surcharge: {
        limit: of("pueSurcharge.limit", pueSurcharge.limit),
        rate: of("pueSurcharge.rate", pueSurcharge.rate),
        farRate: of("pueSurcharge.farRate", pueSurcharge.farRate ?? pueSurcharge.rate),
        farAbove: pueSurcharge.farAbove === undefined ? Infinity : of("pueSurcharge.farAbove", pueSurcharge.farAbove),
      },
    }),
    ...(pueCap !== undefined && {
      cap: {
        max: of("pueCap.max", pueCap.max),
        compliance: pueCap.compliance === undefined ? 1 : of("pueCap.compliance", pueCap.compliance),
      },
    }),
    ...(efficiencyStandard !== undefined && {
      standard: {
        maxEnergy: of("efficiencyStandard.maxEnergy", efficiencyStandard.maxEnergy),
        compliance:
          efficiencyStandard.compliance === undefined
            ? 1
            : of("efficiencyStandard.compliance", efficiencyStandard.compliance),
      },
    }),
    ...(label !== undefined && {
      label: { maxEnergy: of("label.maxEnergy", label.maxEnergy), premium: of("label.premium", label.premium) },
    }),
    ...(greenPower !== undefined && {
      green: {
        share: of("greenPower.share", greenPower.share),
        additionality: of("greenPower.additionality", greenPower.additionality),
      },
    }),
    ...(rndCredit !== undefined && {
      credit: {
        rate: of("rndCredit.rate", rndCredit.rate),
        spend: of("rndCredit.spend", rndCredit.spend),
        response: rndCredit.response === undefined ? DEFAULT_RESPONSE : of("rndCredit.response", rndCredit.response),
        lagYears: rndCredit.lagYears,
      },
    }),
    ...(retrofitGrant !== undefined && {
      retrofit: {
        targetPue: of("retrofitGrant.targetPue", retrofitGrant.targetPue),
        uptake: of("retrofitGrant.uptake", retrofitGrant.uptake),
        rate: of("retrofitGrant.rate", retrofitGrant.rate),
      },
    }),
    ...(procurementGate !== undefined && {
      gate: {
        share: of("procurementGate.share", procurementGate.share),
        maxPue: procurementGate.maxPue === undefined ? Infinity : of("procurementGate.maxPue", procurementGate.maxPue),
        maxEnergy:
          procurementGate.maxEnergy === undefined
            ? Infinity
            : of("procurementGate.maxEnergy", procurementGate.maxEnergy),
      },
    }),
    ...(adopt !== undefined && {
      adopt: {
        model: models.findIndex(({ id }) => id === adopt.model),
        share: adopt.share === undefined ? 1 : of("adopt.share", adopt.share),
      },
    }),
  };
}

/** What one group does in one year; money in the scenario's currency. */
export const OUTCOMES = [
  "energyKwh",
  "emissionsGrams",
  "marketGrams",
  "waterLitres",
  "electricityBill",
  "carbonRevenue",
  "surchargeRevenue",
  "spend",
  "units",
  "accuracyUnits",
  "engineeringKwh",
  "engineeringGrams",
] as const;
export type Outcome = (typeof OUTCOMES)[number];
export const OUTCOME_COUNT = OUTCOMES.length;
const AT = Object.fromEntries(OUTCOMES.map((name, index) => [name, index])) as Record<Outcome, number>;

/** kg of coal equivalent in a kWh of electricity (heat value), as Chinese grants count it. */
const COAL_KG_PER_KWH = 0.1229;

/**
 * Years of one group under one policy, written to `out[year · OUTCOME_COUNT + outcome]`.
 *
 *     unit cost   c = s_e · (e · PUE · price + surcharge) / (e₀ · PUE₀ · price₀) + s_d · h / h₀ + (1 − s_e − s_d)
 *     price         = p + φ · P · CI, with p + φ · P₀ · CI₀ the price paid in the first year
 *     demand      Q = (1 + growth)ᵗ · c^ε
 *     energy      E = itEnergy · Q · (e / e₀) · efficiency · PUE
 *     engineering   = the same with the demand of `baseDemand`: what the policy would save if nobody answered the price
 *
 * A share θ of the actors moves to the cheapest model that the rules allow in each year; the rest stay.
 *
 * @param from first year in which the policy holds, counted from the scenario's first
 * @param baseDemand demand of each year without the policy; written instead of read when `isBaseline`
 * @source own model; its numbers and how well they are known stand in docs/methodology/simulation.md
 */
export function simulateGroup(
  group: GroupDraw,
  current: number,
  models: readonly ModelOption[],
  levers: LeverDraw,
  from: number,
  years: number,
  baseDemand: Float64Array,
  isBaseline: boolean,
  out: Float64Array,
): void {
  const count = models.length;
  const mix = new Float64Array(count);
  mix[current] = 1;
  const { energy: energy0, deviceTime: device0 } = models[current];
  const basePrice = group.powerPrice - group.passThrough * group.carbonPrice * group.gramsPerKwh;
  const rest = 1 - group.electricityShare - group.deviceShare;
  const perBill = group.electricityShare / (energy0 * group.pue * group.powerPrice);
  let [growth, intensity, efficiency, retrofitted] = [1, group.gramsPerKwh, 1, false];
  let pueOfSite = group.pue;
  for (let year = 0; year < years; year++) {
    const isOn = year >= from;
    const on = isOn ? levers : NO_LEVERS;
    if (year > 0) {
      growth *= 1 + group.growth;
      intensity *= 1 + group.intensityChange;
      const credit =
        on.credit !== undefined && year >= from + on.credit.lagYears ? 1 + on.credit.response * on.credit.rate : 1;
      efficiency *= 1 - Math.min(0.99, group.efficiencyGrowth * credit);
    }
    const carbonPrice = on.carbonPrice ?? group.carbonPrice;
    const price = basePrice + group.passThrough * carbonPrice * intensity;
    let spend = 0;
    const pue = limitedPue(retrofitted ? pueOfSite : retrofittedPue(pueOfSite, on), on);
    const surchargePerItKwh = on.surcharge === undefined ? 0 : surchargeOf(on.surcharge, pue);

    // What each model costs a unit, and which one a chooser takes.
    let best = -1;
    let bestCost = Infinity;
    const standard = on.standard?.maxEnergy ?? Infinity;
    for (let k = 0; k < count; k++) {
      const model = models[k];
      const relative = model.energy / energy0;
      if (model.accuracy < group.accuracyFloor || relative > standard) continue;
      const cost = unitCost(
        model,
        perBill,
        device0,
        group.deviceShare,
        rest,
        efficiency,
        pue * price + surchargePerItKwh,
      );
      const felt = on.label !== undefined && relative <= on.label.maxEnergy ? cost * (1 - on.label.premium) : cost;
      if (felt < bestCost) [best, bestCost] = [k, felt];
    }
    if (isOn && year === Math.max(from, 0) && on.adopt !== undefined) move(mix, on.adopt.model, on.adopt.share);
    if (best >= 0 && year > 0) {
      move(mix, best, Math.min(1, group.reoptimizing + on.addedReoptimizing));
    } else if (best >= 0 && on.addedReoptimizing > 0) move(mix, best, on.addedReoptimizing);
    if (on.standard !== undefined && best >= 0) {
      for (let k = 0; k < count; k++) {
        if (models[k].energy / energy0 <= standard) continue;
        mix[best] += mix[k] * on.standard.compliance;
        mix[k] *= 1 - on.standard.compliance;
      }
    }
    if (on.gate !== undefined && on.gate.maxEnergy < Infinity && year === Math.max(from, 0)) {
      const allowed = cheapest(models, group, energy0, on.gate.maxEnergy);
      if (allowed >= 0) move(mix, allowed, on.gate.share);
    }

    let [energyPerUnit, cost, accuracy] = [0, 0, 0];
    for (let k = 0; k < count; k++) {
      if (mix[k] === 0) continue;
      energyPerUnit += mix[k] * models[k].energy;
      accuracy += mix[k] * models[k].accuracy;
      cost +=
        mix[k] *
        unitCost(models[k], perBill, device0, group.deviceShare, rest, efficiency, pue * price + surchargePerItKwh);
    }
    const demand = growth * cost ** group.elasticity;
    if (isBaseline) baseDemand[year] = demand;
    const itPerDemand = group.itKwh * (energyPerUnit / energy0) * efficiency;
    const itKwh = itPerDemand * demand;
    const kwh = itKwh * pue;
    if (on.retrofit !== undefined && !retrofitted && pueOfSite > on.retrofit.targetPue) {
      const saved = itKwh * on.retrofit.uptake * (pueOfSite - on.retrofit.targetPue);
      spend += on.retrofit.rate * ((saved * COAL_KG_PER_KWH) / 1_000);
      pueOfSite -= on.retrofit.uptake * (pueOfSite - on.retrofit.targetPue);
      retrofitted = true;
    }
    if (on.credit !== undefined) spend += on.credit.rate * on.credit.spend;

    const row = year * OUTCOME_COUNT;
    const grams = kwh * intensity;
    const green = on.green === undefined ? 0 : on.green.share * on.green.additionality;
    out[row + AT.energyKwh] += kwh;
    out[row + AT.emissionsGrams] += grams;
    out[row + AT.marketGrams] += grams * (1 - green);
    out[row + AT.waterLitres] += itKwh * group.litresPerKwh;
    out[row + AT.electricityBill] += kwh * price + itKwh * surchargePerItKwh;
    out[row + AT.carbonRevenue] += group.passThrough * carbonPrice * grams;
    out[row + AT.surchargeRevenue] += itKwh * surchargePerItKwh;
    out[row + AT.spend] += spend;
    out[row + AT.units] += demand;
    out[row + AT.accuracyUnits] += demand * accuracy;
    const engineering = itPerDemand * baseDemand[year] * pue;
    out[row + AT.engineeringKwh] += engineering;
    out[row + AT.engineeringGrams] += engineering * intensity;
  }
}

/** Relative to the first year's unit cost. @param perItKwh price of a kWh of IT energy, facility and surcharge included */
function unitCost(
  model: ModelOption,
  perBill: number,
  device0: number,
  deviceShare: number,
  rest: number,
  efficiency: number,
  perItKwh: number,
): number {
  return perBill * model.energy * efficiency * perItKwh + deviceShare * (model.deviceTime / device0) + rest;
}

/** Mean PUE of a group's sites after a grant's retrofits, which are made once. */
export function retrofittedPue(pue: number, { retrofit }: LeverDraw): number {
  return retrofit === undefined ? pue : pue - retrofit.uptake * Math.max(0, pue - retrofit.targetPue);
}

/** Mean PUE of a group's sites after a cap and a gate, each of which moves the share that complies. */
export function limitedPue(pue: number, { cap, gate }: LeverDraw): number {
  const capped = cap === undefined ? pue : pue - cap.compliance * Math.max(0, pue - cap.max);
  return gate === undefined ? capped : capped - gate.share * Math.max(0, capped - gate.maxPue);
}

/** Currency per kWh of IT energy: the rate on the part of PUE above the limit, a higher one far above it. */
export function surchargeOf(
  { limit, rate, farRate, farAbove }: NonNullable<LeverDraw["surcharge"]>,
  pue: number,
): number {
  const excess = Math.max(0, pue - limit);
  return excess * (excess > farAbove * limit ? farRate : rate);
}

/** Moves a share of everybody to one model. */
function move(mix: Float64Array, to: number, share: number): void {
  for (let k = 0; k < mix.length; k++) mix[k] *= 1 - share;
  mix[to] += share;
}

/** The model with least energy and device time that a gate lets pass. */
function cheapest(models: readonly ModelOption[], group: GroupDraw, energy0: number, maxEnergy: number): number {
  let best = -1;
  for (let k = 0; k < models.length; k++) {
    if (models[k].accuracy < group.accuracyFloor || models[k].energy / energy0 > maxEnergy) continue;
    if (best < 0 || models[k].deviceTime < models[best].deviceTime) best = k;
  }
  return best;
}
