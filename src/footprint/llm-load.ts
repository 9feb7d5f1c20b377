// The load of a served language model: what was asked, what stands in for what was not, what the memory holds; may depend on cost, quantity, errors.
import type { ServingLoad, ServingStep } from "../cost/transformer/serving-step.ts";
import { LightfootError } from "../errors/lightfoot-error.ts";
import type { Assumption } from "../quantity/figure.ts";
import { formatCount } from "../quantity/format.ts";

/** What may be said of a load; all of it may be left out. */
export interface LoadInput {
  /** Requests the server keeps in flight (vLLM: `max_num_seqs`); 64 when left out. */
  readonly batch?: number;
  readonly tokensIn?: number;
  /** Of `tokensIn`, those found in the prefix cache. */
  readonly cachedTokens?: number;
  readonly tokensOut?: number;
  /** Mean tokens in a request's context while it is decoded; `tokensIn + tokensOut/2` when left out. */
  readonly meanContext?: number;
}

/** What stands in where nobody said: EcoLogits' batch; mean prompt and answer of ML.ENERGY's chat task (634, 717), rounded. */
const USUAL = { batch: 64, tokensIn: 600, tokensOut: 700 } as const;

/** Longest prompt, answer and context that are taken for more than a slip. */
const MOST_TOKENS = 1e8;
const MOST_REQUESTS = 1e6;

/** The load with what nobody said filled in. @throws LightfootError E_RANGE for loads no server has */
export function loadOf(input: LoadInput): { load: ServingLoad; assumptions: Assumption[] } {
  const assumptions: Assumption[] = [];
  const taken = (name: "batch" | "tokensIn" | "tokensOut", flag: string, why: string): number => {
    const given = input[name];
    if (given !== undefined) return given;
    assumptions.push({ key: `load.${flag}`, text: `${USUAL[name]} ${why}; --${flag} says otherwise` });
    return USUAL[name];
  };
  const batch = inRange(taken("batch", "batch", "requests in flight are assumed"), "--batch", 1, MOST_REQUESTS);
  const tokensIn = inRange(taken("tokensIn", "tokens-in", "input tokens a request are assumed"), "--tokens-in", 0);
  const tokensOut = inRange(taken("tokensOut", "tokens-out", "output tokens a request are assumed"), "--tokens-out", 1);
  const cachedTokens = inRange(input.cachedTokens ?? 0, "--cached-tokens", 0);
  if (cachedTokens > tokensIn) {
    throw new LightfootError("E_RANGE", `${cachedTokens} cached tokens of ${tokensIn} input tokens`, {
      hint: "Cached tokens are a part of --tokens-in: give all input tokens there.",
    });
  }
  const meanContext =
    input.meanContext === undefined
      ? Math.max(1, tokensIn + tokensOut / 2)
      : inRange(input.meanContext, "--context", 1);
  return { load: { batch, tokensIn, cachedTokens, tokensOut, meanContext }, assumptions };
}

function inRange(value: number, name: string, least: number, most = MOST_TOKENS): number {
  if (value >= least && value <= most) return value;
  throw new LightfootError("E_RANGE", `${name} is ${least} to ${most.toLocaleString("en-US")}, found ${value}`);
}

/** Says so when the memory, not the batch, decides how many requests are in flight. */
export function memoryAssumptions(load: ServingLoad, step: ServingStep): Assumption[] {
  if (step.inFlight >= load.batch) return [];
  return [
    {
      key: "load.memory",
      text: `memory beside the weights holds about ${Math.floor(step.capacity)} requests of ${formatCount(Math.round(load.meanContext))} tokens, so ${formatCount(Math.floor(step.inFlight))} are in flight, not ${formatCount(load.batch)}`,
    },
  ];
}
