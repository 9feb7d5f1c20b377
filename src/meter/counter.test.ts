// Counters: every wrong number that meters have printed, as a case, and a property over traces with faults injected.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  advanceCounter,
  finishCounter,
  NEW_COUNTER,
  PLAUSIBLE_FACTOR,
  type CounterReading,
  type CounterSpec,
  type CounterState,
  type Gap,
} from "./counter.ts";

const J = 1_000_000n;
/** Package of an Intel processor: 2^32 units of 61.035 µJ. */
const INTEL = 262_143_328_850n;
/** Package of an AMD processor: 2^32 units of 15.259 µJ. */
const AMD = 65_532_610_987n;
const spec = (more: Partial<CounterSpec> = {}): CounterSpec => ({ range: INTEL, mostWatts: 200, ...more });

/** Readings `[seconds, raw]`; undefined raw is a failed read. */
function run(of: CounterSpec, readings: readonly (readonly [number, bigint | undefined])[]) {
  let state: CounterState = NEW_COUNTER;
  const gaps: Gap[] = [];
  let added = 0n;
  let wraps = 0;
  const steps = readings.map(([atSeconds, raw]) => {
    const step = advanceCounter(of, state, { atSeconds, raw });
    state = step.state;
    gaps.push(...step.gaps);
    added += step.addedMicrojoules;
    wraps += step.wrapped ? 1 : 0;
    return step;
  });
  const last = readings.at(-1)?.[0] ?? 0;
  return { state, steps, added, wraps, gaps: [...gaps, ...finishCounter(of, state, last)] };
}

describe("a counter", () => {
  it("counts differences, from the first reading on", () => {
    expect(
      run(spec(), [
        [0, 100n * J],
        [1, 110n * J],
        [2, 125n * J],
      ]),
    ).toMatchObject({ added: 25n * J, gaps: [] });
    expect(run(spec(), [[0, 100n * J]])).toMatchObject({ added: 0n, gaps: [] });
  });

  it("goes over its range: (range − prev) + cur", () => {
    expect(
      run(spec(), [
        [0, INTEL - 4n * J],
        [1, 6n * J],
      ]),
    ).toMatchObject({ added: 10n * J, wraps: 1, gaps: [] });
  });

  it("loses nothing to a failed read: 40 J stay 40 J, not 262,183 J", () => {
    const result = run(spec(), [
      [0, 1000n * J],
      [1, 1010n * J],
      [2, undefined],
      [3, 1030n * J],
      [4, 1040n * J],
    ]);
    expect(result).toMatchObject({ added: 40n * J, gaps: [] });
    expect(result.steps[2]).toMatchObject({ trouble: "failed-read", addedMicrojoules: 0n });
  });

  it("tells a failed read at the end, since nothing follows that could close it", () => {
    const { added, gaps } = run(spec(), [
      [0, 0n],
      [1, 10n * J],
      [2, undefined],
      [5, undefined],
    ]);
    expect(added).toBe(10n * J);
    expect(gaps).toEqual([{ fromSeconds: 1, toSeconds: 5, reason: "failed-read", mostJoules: 800 }]);
  });

  it("drops a reading of 0 that stands for a failure, and goes on exactly", () => {
    const result = run(spec(), [
      [0, 1000n * J],
      [1, 1010n * J],
      [2, 0n],
      [3, 1030n * J],
      [4, 1040n * J],
    ]);
    expect(result).toMatchObject({ added: 40n * J, wraps: 0, gaps: [] });
    expect(result.steps[2].trouble).toBe("held");
  });

  it("never adds a petajoule: a glitch upwards is dropped", () => {
    const result = run(spec({ range: undefined }), [
      [0, 10n * J],
      [1, 10n ** 21n],
      [2, 30n * J],
      [3, 40n * J],
    ]);
    expect(result).toMatchObject({ added: 30n * J, gaps: [] });
  });

  it("takes a decrease that no wrap explains for a reset: a gap, then it counts on", () => {
    const { added, gaps } = run(spec(), [
      [0, 500n * J],
      [1, 510n * J],
      [2, 3n * J],
      [3, 13n * J],
      [4, 23n * J],
    ]);
    expect(added).toBe(10n * J + 20n * J);
    expect(gaps).toEqual([{ fromSeconds: 1, toSeconds: 2, reason: "reset", mostJoules: 200 }]);
  });

  it("takes a value a few microjoules lower for a late one: no gap, and not those microjoules twice", () => {
    for (const range of [262_143_328_850n, undefined]) {
      const counter: CounterSpec = { mostWatts: 200, ...(range === undefined ? {} : { range }) };
      const values = [50_000_000_000n, 50_010_000_000n, 50_009_999_990n, 50_009_999_990n, 50_012_000_000n];
      let [state, total, gaps] = [NEW_COUNTER, 0n, 0];
      for (const [at, raw] of values.entries()) {
        const step = advanceCounter(counter, state, { atSeconds: at, raw });
        [state, total, gaps] = [step.state, total + step.addedMicrojoules, gaps + step.gaps.length];
      }
      expect([total, gaps, finishCounter(counter, state, 5)]).toEqual([12_000_000n, 0, []]);
    }
  });

  it("is a reset without a known range, never a negative delta", () => {
    const { added, gaps, steps } = run(spec({ range: undefined }), [
      [0, 50n * J],
      [1, 1n * J],
      [2, 11n * J],
    ]);
    expect(added).toBe(10n * J);
    expect(gaps.map(({ reason }) => reason)).toEqual(["reset"]);
    for (const step of steps) expect(step.addedMicrojoules >= 0n).toBe(true);
  });

  it("believes a wrap on AMD that comes after 187 s at 350 W", () => {
    const of = spec({ range: AMD, mostWatts: 400 });
    const { added, wraps, gaps } = run(of, [
      [0, 60_000n * J],
      [15, 65_250n * J],
      [30, 65_250n * J + 5250n * J - AMD],
    ]);
    expect({ added, wraps, gaps }).toEqual({ added: 10_500n * J, wraps: 1, gaps: [] });
  });

  it("makes no energy of readings so far apart that it may have gone round twice", () => {
    // 1,795 s at up to 200 W: 31 kJ may be 31 kJ or 293 kJ.
    const { added, gaps } = run(spec(), [
      [0, 0n],
      [1795, 31_000n * J],
      [1796, 31_100n * J],
    ]);
    expect(added).toBe(100n * J);
    expect(gaps).toEqual([{ fromSeconds: 0, toSeconds: 1795, reason: "ambiguous-wrap", mostJoules: 359_000 }]);
  });

  it("holds a jump that nothing could have drawn, and rebases when it stays", () => {
    const { added, gaps } = run(spec(), [
      [0, 0n],
      [1, 10n * J],
      [2, 90_000n * J],
      [3, 90_010n * J],
    ]);
    expect(added).toBe(20n * J);
    expect(gaps).toEqual([{ fromSeconds: 1, toSeconds: 2, reason: "implausible-jump", mostJoules: 200 }]);
  });

  it("takes the smaller energy where a glitch and a reset both explain what came, and tells the doubt", () => {
    const readings = [
      [0, 100n * J],
      [1, 110n * J],
      [2, 0n],
      [3, 120n * J],
    ] as const;
    const { added, gaps } = run(spec(), readings);
    expect(added).toBe(20n * J); // a reset would have meant 130 J
    expect(gaps).toMatchObject([{ fromSeconds: 1, toSeconds: 2, reason: "reset" }]);
  });

  it("does not take a decrease for a wrap only because time passed: 256 kJ would be from thin air", () => {
    const readings = [
      [0, 5790n * J],
      [1, 5800n * J],
      [1.05, 2n * J],
      [601, 50n * J],
    ] as const;
    const { added, gaps } = run(spec({ mostWatts: 300 }), readings);
    expect(added).toBe(10n * J);
    expect(gaps).toMatchObject([{ fromSeconds: 1, toSeconds: 601, reason: "reset" }]);
  });

  it("tells a counter that stands still, once per span", () => {
    const of = spec({ frozenAfterSeconds: 5 });
    const { added, gaps } = run(of, [
      [0, 10n * J],
      [4, 10n * J],
      [8, 10n * J],
      [12, 10n * J],
      [13, 20n * J],
    ]);
    expect(added).toBe(10n * J);
    expect(gaps.map(({ fromSeconds, toSeconds, reason }) => [fromSeconds, toSeconds, reason])).toEqual([
      [0, 8, "frozen"],
      [8, 12, "frozen"],
    ]);
    expect(
      run(spec(), [
        [0, 10n * J],
        [400, 10n * J],
      ]).gaps,
    ).toEqual([]);
  });

  it("lets a late reading pass by", () => {
    const { added, gaps } = run(spec(), [
      [0, 0n],
      [2, 20n * J],
      [1, 10n * J],
      [3, 30n * J],
    ]);
    expect({ added, gaps }).toEqual({ added: 30n * J, gaps: [] });
  });

  it("survives a clock that is set back", () => {
    const readings = [
      [100, 0n],
      [101, 10n * J],
      [50, 20n * J],
      [51, 30n * J],
    ] as const;
    const { added, gaps } = run(spec(), readings);
    expect(added).toBe(20n * J);
    expect(gaps.map(({ reason }) => reason)).toEqual(["time-backwards"]);
  });

  it("refuses values that the counter cannot hold", () => {
    const readings = [
      [0, 0n],
      [1, -5n],
      [2, INTEL + 1n],
      [3, 30n * J],
    ] as const;
    expect(run(spec(), readings)).toMatchObject({ added: 30n * J, gaps: [] });
    expect(advanceCounter(spec(), NEW_COUNTER, { atSeconds: Number.NaN, raw: 1n }).trouble).toBe("failed-read");
  });

  it("scales units without losing fractions: 65,536 steps of 1/65,536 J are 1 J", () => {
    const of = spec({ range: undefined, scale: { numerator: J, denominator: 65_536n } });
    const readings = Array.from({ length: 65_537 }, (_, at) => [at, BigInt(at)] as const);
    expect(run(of, readings).added).toBe(J);
    expect(
      run(spec({ scale: { numerator: 1000n, denominator: 1n } }), [
        [0, 0n],
        [1, 10_000n],
      ]).added,
    ).toBe(10n * J);
  });
});

type Fault =
  | { readonly kind: "none" }
  | { readonly kind: "fail" }
  | { readonly kind: "glitch"; readonly raw: bigint }
  | { readonly kind: "reset" }
  | { readonly kind: "freeze"; readonly steps: number; readonly catchesUp: boolean }
  | { readonly kind: "late" }
  | { readonly kind: "sleep"; readonly seconds: number };

const faults: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Fault>({ kind: "none" }) },
  fc.constant<Fault>({ kind: "fail" }),
  fc.record({ kind: fc.constant("glitch" as const), raw: fc.bigInt(-5n, 2n * AMD) }),
  fc.constant<Fault>({ kind: "reset" }),
  fc.record({ kind: fc.constant("freeze" as const), steps: fc.integer({ min: 1, max: 6 }), catchesUp: fc.boolean() }),
  fc.constant<Fault>({ kind: "late" }),
  fc.record({ kind: fc.constant("sleep" as const), seconds: fc.double({ min: 20, max: 4000, noNaN: true }) }),
);

const isRead = (fault: Fault | undefined): boolean => fault === undefined || ["none", "freeze"].includes(fault.kind);

const MOST_WATTS = 300;
const FROZEN = 5;

/** A true trace and what the counter showed of it. */
const traces = fc.record({
  start: fc.bigInt(0n, AMD),
  range: fc.constantFrom<bigint | undefined>(AMD, INTEL, undefined),
  steps: fc.array(
    fc.record({
      seconds: fc.double({ min: 0.05, max: 15, noNaN: true }),
      load: fc.double({ min: 0.01, max: 1, noNaN: true }),
      fault: faults,
    }),
    { minLength: 1, maxLength: 40 },
  ),
});

type Trace = typeof traces extends fc.Arbitrary<infer T> ? T : never;

/** Replays a trace; the truth is integer µJ since the start, per time. */
function observe({ start, range, steps }: Trace) {
  const readings: CounterReading[] = [{ atSeconds: 0, raw: start }];
  const truth = new Map<number, bigint>([[0, 0n]]);
  let [time, used, offset, frozenSteps] = [0, 0n, start, 0];
  let shown = start;
  let slack = 0n; // what faults that no reader can see may hide or add
  let catchesUp = true;
  const worst = (seconds: number): bigint => BigInt(Math.ceil(PLAUSIBLE_FACTOR * MOST_WATTS * (seconds + 0.3) * 1e6));
  const spans = steps.map(({ seconds, fault }) => (fault.kind === "sleep" ? fault.seconds : seconds));
  const around = (at: number): bigint => worst(spans.slice(Math.max(0, at - 8), at + 8).reduce((a, b) => a + b, 0));
  for (const [at, { load, fault }] of steps.entries()) {
    const isSeenAround = [at - 1, at, at + 1].every((each) => isRead(steps[each]?.fault));
    const span = spans[at];
    const drawn = BigInt(Math.floor(load * MOST_WATTS * span * 1e6));
    time += span;
    used += drawn;
    truth.set(time, used);
    if (fault.kind === "freeze" && frozenSteps === 0) ({ steps: frozenSteps, catchesUp } = fault);
    // A reset and a stray value hide or add at most what the time since the last good reading allows.
    if (fault.kind === "reset") {
      offset = -used;
      slack += around(at);
    }
    if (fault.kind === "glitch") slack += around(at);
    const value = offset + used;
    if (frozenSteps > 0) {
      frozenSteps -= 1;
      if (!catchesUp) offset -= drawn;
      const isSeen = span > FROZEN + 1e-6 && isSeenAround;
      if (!isSeen) slack += drawn; // shorter than what is told, or nobody read it
    } else {
      shown = range === undefined ? value : value % (range + 1n);
    }
    const raw = fault.kind === "fail" ? undefined : fault.kind === "glitch" ? fault.raw : shown;
    const reading: CounterReading = { atSeconds: time, raw };
    if (fault.kind === "late" && readings.length > 1) readings.splice(-1, 0, reading);
    else readings.push(reading);
  }
  return { readings, truth, slack };
}

describe("for any true trace with faults", () => {
  it("energy is right or a gap is told; never negative, never from thin air", () => {
    fc.assert(
      fc.property(traces, (trace) => {
        const of: CounterSpec = { range: trace.range, mostWatts: MOST_WATTS, frozenAfterSeconds: FROZEN };
        const { readings, truth, slack } = observe(trace);
        let state: CounterState = NEW_COUNTER;
        let [added, wraps, first] = [0n, 0n, undefined as number | undefined];
        const gaps: Gap[] = [];
        for (const reading of readings) {
          const step = advanceCounter(of, state, reading);
          expect(step.addedMicrojoules >= 0n).toBe(true);
          state = step.state;
          first ??= state.base?.atSeconds;
          added += step.addedMicrojoules;
          wraps += step.wrapped ? 1n : 0n;
          gaps.push(...step.gaps);
        }
        const last = state.base?.atSeconds;
        if (first === undefined || last === undefined) return;
        const used = (truth.get(last) ?? 0n) - (truth.get(first) ?? 0n);
        expect(added <= used + slack, `${added} counted, ${used} used, ${slack} cannot be seen`).toBe(true);
        // The counter's last step before it wraps is one unit that the formula of the field leaves out.
        if (gaps.length === 0) expect(added + slack + wraps >= used, `${added} counted, ${used} used`).toBe(true);
        for (const { fromSeconds, toSeconds, mostJoules } of gaps) {
          expect(toSeconds).toBeGreaterThanOrEqual(fromSeconds);
          expect(mostJoules).toBeGreaterThanOrEqual(0);
        }
      }),
      { seed: 4, numRuns: 4000 },
    );
  });

  it("what counted and what gaps can hide together reach the truth, when the counter only fails, sleeps or is late", () => {
    const visible = traces.map((trace) => ({
      ...trace,
      steps: trace.steps.filter(({ fault }) => ["none", "fail", "late", "sleep"].includes(fault.kind)),
    }));
    fc.assert(
      fc.property(visible, (trace) => {
        const of: CounterSpec = { range: trace.range, mostWatts: MOST_WATTS };
        const { readings, truth } = observe(trace);
        const { added, wraps, gaps, state } = run(
          of,
          readings.map(({ atSeconds, raw }) => [atSeconds, raw] as const),
        );
        const most = gaps.reduce((sum, gap) => sum + gap.mostJoules, 0);
        const used = Number(truth.get(state.base?.atSeconds ?? 0) ?? 0n) / 1e6;
        const counted = Number(added) / 1e6;
        expect(counted).toBeLessThanOrEqual(used + 1e-6);
        expect(counted + most + wraps * 1e-6 + 1e-3).toBeGreaterThanOrEqual(used);
      }),
      { seed: 5, numRuns: 2000 },
    );
  });
});
