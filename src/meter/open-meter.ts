// Opens every source there is and holds them together as one meter; may depend on its room and quantity.
import { Accumulator } from "./accumulator.ts";
import { openBattery } from "./battery.ts";
import { createEnvironment } from "./environment.ts";
import type { EnvironmentOptions, MeterEnvironment, Opened, SourceOpener } from "./environment.ts";
import { openHwmon } from "./hwmon.ts";
import { openIpmi } from "./ipmi.ts";
import { openModels } from "./model-source.ts";
import { openNvidia } from "./nvidia.ts";
import { openPowercap } from "./powercap.ts";
import { openPowermetrics } from "./powermetrics.ts";
import { openRack } from "./rack.ts";
import type { Meter, MeterWindow, Reading, Sample, Source, SourceProblem } from "./source.ts";
import { settleTotals, type TotalRules } from "./totals.ts";
import { Window } from "./window.ts";

export interface MeterOptions extends EnvironmentOptions, TotalRules {
  /** Replaces the search for sources. */
  readonly openers?: readonly SourceOpener[];
  /**
   * The meter reads by itself at least this often, s, so that counters cannot go round unseen; 0 leaves all reading to
   * the caller. At most 15 s: a 65 kJ counter goes round in 66 s at 1 kW. 1 s where power has to be integrated.
   */
  readonly cadenceSeconds?: number;
}

/** Kinds of sources, in the order in which they are shown. A new one is a file and a line here. */
export const SOURCE_OPENERS: readonly SourceOpener[] = [
  onLinux(function powercap(environment) {
    const { machine } = environment;
    const cpu = { modelName: machine.cpuName, ...machine };
    return openPowercap({ ...environment, cpu, isVirtual: machine.isVirtual });
  }),
  openNvidia,
  onLinux(openHwmon),
  openPowermetrics,
  openIpmi,
  onLinux(openBattery),
  openRack,
  async function model(environment) {
    return openModels(environment);
  },
];

/** Other systems have no /sys; a remedy for Linux would mislead there. A tree that was named is looked at anywhere. */
function onLinux(open: (environment: MeterEnvironment) => Opened): SourceOpener {
  return async (environment) => {
    const hasTree = environment.machine.platform === "linux" || environment.sysRoot !== "/sys";
    return hasTree ? open(environment) : { problems: [] };
  };
}

const COUNTER_CADENCE_SECONDS = 10;
const POWER_CADENCE_SECONDS = 1;
const MOST_CADENCE_SECONDS = 15;
/** A source that gives no answer for longer is passed over this time; its next reading spans the gap. */
const ANSWER_LIMIT_SECONDS = 2;

/**
 * Opens the energy sources of this machine.
 *
 * It works where nothing can be read, by models that say so, and throws for no sensor: what fails is a gap or a problem.
 *
 * @example
 * const meter = await openMeter();
 * const { result, use } = await meter.measure(() => train());
 * console.log(use.energy, use.coverage, use.gaps);
 * await meter.close();
 */
export async function openMeter(options: MeterOptions = {}): Promise<Meter> {
  const environment = createEnvironment(options);
  const opened = await Promise.all((options.openers ?? SOURCE_OPENERS).map((open) => openSafely(open, environment)));
  const sources = opened.flatMap(({ source }) => source ?? []);
  const problems = opened.flatMap((each) => each.problems);
  const meter = new OpenMeter(sources, problems, environment.clock, options);
  await meter.sample();
  return meter;
}

/** A defect in one source must not cost the others. */
async function openSafely(open: SourceOpener, environment: MeterEnvironment): Promise<Opened> {
  try {
    return await open(environment);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { problems: [{ source: open.name, code: "broken", message, remedies: [] }] };
  }
}

class OpenMeter implements Meter {
  readonly domains;
  readonly #foundProblems: readonly SourceProblem[];
  readonly #sources: readonly Source[];
  readonly #clock: () => number;
  readonly #accumulators: readonly Accumulator[];
  readonly #byDomain: ReadonlyMap<string, Accumulator>;
  readonly #windows = new Set<Window>();
  readonly #waiting = new Map<Source, Promise<readonly Reading[]>>();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #cadenceSeconds: number;
  #lastSeconds = Number.NEGATIVE_INFINITY;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(
    sources: readonly Source[],
    problems: readonly SourceProblem[],
    clock: () => number,
    options: MeterOptions,
  ) {
    this.#sources = sources;
    this.#foundProblems = problems;
    this.#clock = clock;
    this.domains = settleTotals(
      sources.flatMap((source) => [...source.domains()]),
      options,
    );
    const openedSeconds = clock();
    this.#accumulators = this.domains.map((domain) => new Accumulator(domain, openedSeconds));
    this.#byDomain = new Map(this.#accumulators.map((each) => [each.domain.id, each]));
    const isIntegrated = this.domains.some(({ power }) => power !== undefined);
    const usual = isIntegrated ? POWER_CADENCE_SECONDS : COUNTER_CADENCE_SECONDS;
    this.#cadenceSeconds = Math.min(options.cadenceSeconds ?? usual, MOST_CADENCE_SECONDS);
    if (this.#cadenceSeconds > 0) {
      this.#timer = setInterval(() => this.#keepUp(), this.#cadenceSeconds * 1e3).unref();
    }
  }

  get problems(): readonly SourceProblem[] {
    return [...this.#foundProblems, ...this.#sources.flatMap((source) => source.problems?.() ?? [])];
  }

  /** The meter's own reading, left out when somebody read just now. */
  #keepUp(): void {
    if (this.#clock() - this.#lastSeconds >= this.#cadenceSeconds / 2) void this.sample();
  }

  sample(): Promise<Sample> {
    return this.#inTurn(() => this.#sampleNow());
  }

  /** One reading at a time: counters must be taken in the order of their times. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  async #sampleNow(): Promise<Sample> {
    for (const accumulator of this.#accumulators) accumulator.beginSample();
    const answers = this.#sources.map((source) => this.#ask(source));
    // Sources that answer at once cost no turn of the event loop.
    for (const answer of answers) {
      for (const reading of Array.isArray(answer) ? answer : await answer) {
        this.#byDomain.get(reading.domain)?.take(reading);
      }
    }
    for (const window of this.#windows) window.settle();
    this.#lastSeconds = this.#clock();
    const domains = this.#accumulators.map((each) => each.sample());
    const powers = domains
      .filter(({ domain }) => domain.countsTowardsTotal)
      .flatMap(({ powerWatts }) => powerWatts ?? []);
    return {
      atSeconds: this.#lastSeconds,
      domains,
      ...(powers.length === 0 ? {} : { powerWatts: powers.reduce((sum, watts) => sum + watts, 0) }),
    };
  }

  #ask(source: Source): readonly Reading[] | Promise<readonly Reading[]> {
    const failed = (error: unknown): Reading[] => {
      const reason = error instanceof Error ? error.message : String(error);
      const atSeconds = this.#clock();
      return source.domains().map(({ id }) => ({ domain: id, atSeconds, error: reason }));
    };
    try {
      // A source that has not answered yet is not asked a second time.
      const answer = this.#waiting.get(source) ?? source.read();
      if (!(answer instanceof Promise)) return answer;
      const pending = answer.finally(() => this.#waiting.delete(source));
      this.#waiting.set(source, pending);
      return withinLimit(pending, ANSWER_LIMIT_SECONDS).catch(failed);
    } catch (error) {
      return failed(error);
    }
  }

  async #begin(): Promise<Window> {
    return this.#inTurn(async () => {
      const fromSeconds = this.#clock();
      await this.#sampleNow();
      const window = new Window(this.#accumulators, fromSeconds);
      this.#windows.add(window);
      return window;
    });
  }

  async start(): Promise<MeterWindow> {
    const window = await this.#begin();
    return {
      stop: () =>
        this.#inTurn(async () => {
          const { atSeconds } = await this.#sampleNow();
          this.#windows.delete(window);
          return window.use(atSeconds);
        }),
    };
  }

  async measure<T>(work: () => T | Promise<T>) {
    const window = await this.start();
    try {
      const result = await work();
      return { result, use: await window.stop() };
    } catch (error) {
      await window.stop();
      throw error;
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#queue;
    await Promise.allSettled(this.#sources.map(async (source) => source.close()));
  }
}

async function withinLimit<T>(work: Promise<T>, seconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${seconds} s`)), seconds * 1e3);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
