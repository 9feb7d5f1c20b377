// Windows over two sockets whose files fail, vanish and wrap: the truth lies between low and high, and the total is never above it; depends on its room.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openMeter } from "./open-meter.ts";
import { openPowercap } from "./powercap.ts";
import type { SmallFiles } from "./small-files.ts";
import type { MeterWindow } from "./source.ts";

const RANGE = 65_532_610_987n;
const MOST_WATTS = 200;

/** A tree in memory whose files can be made to fail. */
function memoryTree(): {
  readonly files: SmallFiles;
  readonly texts: Map<string, string>;
  readonly failing: Set<string>;
} {
  const texts = new Map<string, string>();
  const failing = new Set<string>();
  const missing = (path: string): never => {
    throw Object.assign(new Error(path), { code: "ENOENT" });
  };
  return {
    texts,
    failing,
    files: {
      list(folder) {
        const inside = [...texts.keys()].filter((path) => path.startsWith(`${folder}/`));
        if (inside.length === 0) return missing(folder);
        return [...new Set(inside.map((path) => path.slice(folder.length + 1).split("/")[0] ?? ""))];
      },
      reader: (path) => ({
        read: () => (failing.has(path) ? missing(path) : (texts.get(path) ?? missing(path))),
        close: () => undefined,
      }),
    },
  };
}

const energyFile = (socket: number): string => `/class/powercap/intel-rapl:${socket}/energy_uj`;

const steps = fc.array(
  fc.record({
    seconds: fc.double({ min: 0.05, max: 15, noNaN: true }),
    loads: fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
    fails: fc.tuple(fc.boolean(), fc.boolean()),
    /** What happens after the step: a sample, or a window that opens or closes. */
    action: fc.constantFrom("sample", "sample", "open", "close", "nothing"),
  }),
  { minLength: 1, maxLength: 25 },
);

describe("any window over sockets that fail and wrap", () => {
  it("has the truth between low and high, and never more than it in value", async () => {
    await fc.assert(
      fc.asyncProperty(fc.bigInt(0n, RANGE), steps, async (start, trace) => {
        const tree = memoryTree();
        const used: [bigint, bigint] = [0n, 0n];
        const show = (): void => {
          for (const socket of [0, 1]) {
            // The field's formula counts R steps a round, so the counter here goes round after R.
            tree.texts.set(energyFile(socket), String((start + used[socket as 0 | 1]) % RANGE));
          }
        };
        for (const socket of [0, 1]) {
          const folder = `/class/powercap/intel-rapl:${socket}`;
          tree.texts.set(`${folder}/name`, `package-${socket}`);
          tree.texts.set(`${folder}/max_energy_range_uj`, String(RANGE));
          tree.texts.set(`${folder}/constraint_0_power_limit_uw`, String(MOST_WATTS * 1e6));
        }
        show();
        let now = 0;
        const meter = await openMeter({
          openers: [async (environment) => openPowercap({ ...environment, cpu: undefined })],
          files: tree.files,
          sysRoot: "/",
          clock: () => now,
          cadenceSeconds: 0,
        });
        const open: { readonly window: MeterWindow; readonly before: bigint }[] = [];
        const check = async (): Promise<void> => {
          const last = open.pop();
          if (last === undefined) return;
          const use = await last.window.stop();
          const truth = Number(used[0] + used[1] - last.before) / 1e6;
          const { value, high } = use.energy ?? { value: 0, high: Number.POSITIVE_INFINITY };
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(truth + 1e-6);
          // A counter that stood still for less than 5 s tells nothing, and lost nothing here.
          expect(high).toBeGreaterThanOrEqual(truth - 1e-6);
          if (use.gaps.length === 0) expect(value).toBeCloseTo(truth, 5);
          expect(use.coverage).toBeGreaterThanOrEqual(0);
          expect(use.coverage).toBeLessThanOrEqual(1);
        };
        for (const { seconds, loads, fails, action } of trace) {
          now += seconds;
          for (const socket of [0, 1] as const) {
            used[socket] += BigInt(Math.floor(loads[socket] * MOST_WATTS * seconds * 1e6));
            if (fails[socket]) tree.failing.add(energyFile(socket));
            else tree.failing.delete(energyFile(socket));
          }
          show();
          if (action === "sample") await meter.sample();
          if (action === "open") open.push({ window: await meter.start(), before: used[0] + used[1] });
          if (action === "close") await check();
        }
        while (open.length > 0) await check();
        await meter.close();
      }),
      { seed: 7, numRuns: 500 },
    );
  });
});
