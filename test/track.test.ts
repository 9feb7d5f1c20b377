// `lightfoot track` as built: transparency, exact joules of replayed trees, shares, ranks, evidence; runs dist/cli/main.js.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  MAIN,
  PACKAGE,
  childOf,
  documentAfter,
  folder,
  powercap,
  start,
  standsStill,
  track,
  until,
  useFolders,
} from "./fixtures/tracked.ts";

useFolders();

describe("the command", () => {
  it("hears with its own exit code kept, and 3 in place of 0, that the document reached nobody", () => {
    const run = (script: string) =>
      spawnSync(
        "sh",
        ["-c", `"$0" "$1" track --json --no-ledger -- sh -c '${script}' > /dev/full`, process.execPath, MAIN],
        {
          cwd: folder,
          encoding: "utf8",
        },
      );
    const { status, stderr } = run("true");
    expect(status).toBe(3);
    expect(JSON.parse(stderr)).toMatchObject({ code: "E_FILE_WRITE" });
    expect(run("exit 7").status).toBe(7);
  });

  it("goes on and ends where no ledger can ever be made", async () => {
    const { exit, stderr } = await track(["--ledger", "/proc/none"], "exit 4");
    expect(exit).toBe(4);
    expect(stderr).toContain("no evidence is written");
  });

  it("is not started with options that would do nothing", async () => {
    const hook = await track(["--on-checkpoint", "true"], "echo started");
    expect(hook).toMatchObject({ exit: 2, stdout: "" });
    expect(await track(["--on-exceed", "stop"], "echo started")).toMatchObject({ exit: 2, stdout: "" });
  });

  it("keeps its exit code, its streams and its environment", async () => {
    const { exit, stdout, stderr } = await track(
      ["--quiet"],
      'read line; printf "%s|%s" "$line" "$GREETING"; printf oops >&2; exit 7',
      { stdin: "hello\n", env: { GREETING: "hi" } },
    );
    expect({ exit, stdout, stderr }).toEqual({ exit: 7, stdout: "hello|hi", stderr: "oops" });
  });

  it("gets its words untouched, options and all", async () => {
    const words = ["--json", "-x", "a b", "", "$HOME", "--"];
    const { stdout } = await start(["--quiet"], ["printf", "[%s]", ...words]).done;
    expect(stdout).toBe(words.map((word) => `[${word}]`).join(""));
  });

  it("has the descriptors beyond 2 that it was given", () => {
    const script = `node() { "${process.execPath}" "$@"; }; node "${MAIN}" track --quiet -- sh -c 'echo three >&3; cat <&5' 3>log 5<in`;
    writeFileSync(join(folder, "in"), "five");
    expect(execFileSync("bash", ["-c", script], { cwd: folder, encoding: "utf8" })).toBe("five");
    expect(readFileSync(join(folder, "log"), "utf8")).toBe("three\n");
  });

  it("has nothing mixed into its output; the summary goes to stderr", async () => {
    const { stdout, stderr } = await track([], "printf output");
    expect(stdout).toBe("output");
    expect(stderr).toMatch(/^command +sh -c printf output\n/);
    expect(stderr).toContain("exit 0");
  });

  it("ends as a shell says: 128 + n after a signal, 127 and 126 when it cannot start", async () => {
    expect(await track(["--quiet"], "kill -TERM $$")).toMatchObject({ exit: 143, signal: null });
    expect(await track(["--quiet"], "kill -KILL $$")).toMatchObject({ exit: 137 });
    const missing = await start(["--json"], ["no-such-command"]).done;
    expect(missing).toMatchObject({ exit: 127, stdout: "" });
    expect(JSON.parse(missing.stderr)).toMatchObject({ code: "E_COMMAND_NOT_FOUND" });
    expect((await start([], [folder]).done).exit).toBe(126);
    expect((await start([], [""]).done).exit).toBe(127);
  });

  it.each(["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT"] as const)(
    "is told of %s once, and decides what it means",
    async (signal) => {
      const script = `n=0; trap 'n=$((n+1)); echo caught $n' ${signal.slice(3)}; echo ready; while [ $n -eq 0 ]; do sleep 0.02; done; sleep 0.1; exit 5`;
      const { child, done, said } = start(["--quiet"], ["sh", "-c", script]);
      await said("ready");
      child.kill(signal);
      expect(await done).toMatchObject({ exit: 5, stdout: "ready\ncaught 1\n" });
    },
  );

  it("goes on when its meter is killed, also when it was paused", async () => {
    const budget = [
      "--quiet",
      "--budget",
      "0.001J",
      "--on-exceed",
      "pause",
      "--interval",
      "20ms",
      "--attribute",
      "machine",
    ];
    const script = "echo ready; i=0; while [ $i -lt 40 ]; do i=$((i+1)); sleep 0.02; done; echo end > end";
    const { child, done, said } = start(budget, ["sh", "-c", script]);
    await said("ready");
    const pid = childOf(child.pid ?? 0);
    await until(() => standsStill(pid));
    child.kill("SIGKILL");
    await done;
    await until(() => existsSync(join(folder, "end")));
  });
});

describe("a meter of the whole machine", () => {
  it("counts from the moment before the command to the moment after it", async () => {
    writeFileSync(join(folder, "meter"), "1000 J");
    const { stdout } = await track(
      ["--json", "--rack-meter", "meter"],
      "echo 1100 J > meter; sleep 0.2; echo 1150.5 J > meter",
    );
    const { energy, gaps, coverage, domains } = documentAfter("", stdout);
    expect(energy).toMatchObject({ value: 150.5, low: 150.5, high: 150.5, method: "measured" });
    expect({ gaps, coverage }).toEqual({ gaps: [], coverage: 1 });
    expect(domains.filter(({ countsTowardsTotal }) => countsTowardsTotal).map(({ id }) => id)).toEqual(["rack:0"]);
  });
});

describe("energy", () => {
  it("is exact over a counter's range and over zones, and measured", async () => {
    const tree = powercap({
      "intel-rapl:0": { ...PACKAGE, start: 262_143_000_000 },
      "intel-rapl:0:0": { name: "dram", range: 65_712_999_613, start: 10 },
    });
    const script = `sleep 0.2; echo 1000000 > ${tree.file("intel-rapl:0")}; echo 250010 > ${tree.file("intel-rapl:0:0")}; printf done`;
    const { stdout } = await track(["--json", "--sys-root", tree.root], script);
    const { energy, domains, gaps, coverage } = documentAfter("done", stdout);
    expect(energy).toMatchObject({ value: 1.57885, unit: "J", method: "measured" });
    expect(domains.find(({ id }) => id.endsWith(":0:0"))).toMatchObject({
      microjoules: "250000",
      countsTowardsTotal: true,
    });
    expect({ gaps, coverage }).toEqual({ gaps: [], coverage: 1 });
  });

  it("is exact also when it is sampled often", async () => {
    const tree = powercap({ "intel-rapl:0": PACKAGE });
    const script = `n=1000000; for i in 1 2 3 4 5 6 7 8; do n=$((n+12345)); echo $n > ${tree.file("intel-rapl:0")}; sleep 0.05; done`;
    const { stdout } = await track(["--json", "--sys-root", tree.root, "--interval", "20ms"], script);
    const document = documentAfter("", stdout);
    expect(document.domains[0]?.microjoules).toBe("98760");
    const curve = document.powerOverTime.reduce(
      (sum, { fromSeconds, toSeconds, meanWatts }) => sum + meanWatts * (toSeconds - fromSeconds),
      0,
    );
    expect(curve).toBeCloseTo(0.09876, 9);
  });

  it("has a gap and no made-up joules when the counter goes away for good", async () => {
    const tree = powercap({ "intel-rapl:0": PACKAGE });
    // The counter goes once two samples are on record, whatever else this machine is doing.
    const sampled = `while [ "$(cat .lightfoot/*.jsonl 2>/dev/null | grep -c powercap)" -lt 3 ]; do sleep 0.02; done`;
    const script = `echo 1500000 > ${tree.file("intel-rapl:0")}; ${sampled}; rm ${tree.file("intel-rapl:0")}; sleep 0.3`;
    const { stdout, exit } = await track(["--json", "--sys-root", tree.root, "--interval", "50ms"], script);
    const { energy, gaps, coverage } = documentAfter("", stdout);
    expect(exit).toBe(0);
    expect(energy?.value).toBe(0.5);
    expect(energy?.high).toBeGreaterThan(0.5);
    expect(gaps.length).toBeGreaterThan(0);
    expect(coverage).toBeLessThan(1);
  });

  it("is modelled where nothing can be read, with a band of at least ÷2 … ×2", async () => {
    const { stdout, exit } = await track(
      ["--json", "--sys-root", join(folder, "none")],
      "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done",
    );
    const { energy } = documentAfter("", stdout);
    expect(exit).toBe(0);
    expect(["modelled", "assumed"]).toContain(energy?.method);
    expect(energy!.value / energy!.low).toBeGreaterThanOrEqual(2);
    expect(energy!.high / energy!.value).toBeGreaterThanOrEqual(2);
    expect(energy?.assumptions.map(({ key }) => key)).toContain("power-model.no-counter");
  });

  it("is not known, and the command runs all the same, when not even the processor can be seen", async () => {
    const none = join(folder, "none");
    const { stdout, exit } = await track(["--json", "--sys-root", none, "--proc-root", none], "printf ran; exit 3");
    const { exitCode, energy } = documentAfter("ran", stdout);
    expect({ exit, exitCode }).toEqual({ exit: 3, exitCode: 3 });
    expect(energy === null || energy.method !== "measured").toBe(true);
  });
});

describe("attribution", () => {
  const BUSY = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done";

  it("counts the processor time of children that came and went between two samples", async () => {
    const { stdout } = await track(["--json", "--interval", "60s"], `for n in 1 2; do sh -c '${BUSY}'; done; ${BUSY}`);
    const { usage, samples } = documentAfter("", stdout);
    expect(samples).toBe(1);
    expect(usage.cpu?.value).toBeGreaterThan(0.05);
  });

  it("shows all three idle policies, modelled, and none above the machine", async () => {
    const tree = powercap({ "intel-rapl:0": PACKAGE });
    const script = `${BUSY}; echo 5000000 > ${tree.file("intel-rapl:0")}`;
    const options = [
      "--json",
      "--sys-root",
      tree.root,
      "--attribute",
      "process",
      "--idle",
      "none",
      "--idle-power",
      "1W",
    ];
    const { energy, attribution } = documentAfter("", (await track(options, script)).stdout);
    expect(attribution.machine).toMatchObject({ value: 4, method: "measured" });
    const { none, proportional, baseline } = attribution.process!;
    for (const share of [none, proportional, baseline]) {
      expect(share).toMatchObject({ unit: "J", method: "modelled" });
      expect(share!.high).toBeLessThanOrEqual(4 + 1e-9);
    }
    expect(energy).toEqual(none);
    expect(proportional!.value).toBeGreaterThanOrEqual(none!.value);
    expect(proportional!.value).toBeGreaterThan(baseline!.value);
  });

  it("shares by a control group's CPU time, to the digit on a replayed tree", async () => {
    const tree = powercap({ "intel-rapl:0": PACKAGE });
    const group = join(tree.root, "fs/cgroup/job");
    const proc = join(folder, "proc");
    for (const path of [group, proc]) mkdirSync(path, { recursive: true });
    writeFileSync(join(group, "cpu.stat"), "usage_usec 5000000\nuser_usec 1\n");
    writeFileSync(join(proc, "stat"), "cpu  1000 0 0 9000 0 0 0 0 0 0\n");
    // 10 J while the machine ran for 8 of 20 CPU seconds, 2 of them the group's.
    const script = [
      `echo 11000000 > ${tree.file("intel-rapl:0")}`,
      `printf 'usage_usec 7000000\\n' > ${join(group, "cpu.stat")}`,
      `printf 'cpu  1800 0 0 10200 0 0 0 0 0 0\\n' > ${join(proc, "stat")}`,
    ].join("; ");
    const roots = ["--sys-root", tree.root, "--proc-root", proc];
    // One stretch: a sample between two of the writes would be shared by half of them.
    const options = ["--json", ...roots, "--attribute", "cgroup", "--cgroup", "job", "--interval", "1h"];
    const { energy, attribution, usage } = documentAfter("", (await track(options, script)).stdout);
    expect(usage.cgroupCpu?.value).toBeCloseTo(2, 9);
    expect(energy?.value).toBeCloseTo((10 * 2) / 8, 9);
    expect(attribution.cgroup?.none?.value).toBeCloseTo((10 * 2) / 20, 9);
    expect(attribution.cgroup?.path).toBe(group);
  });

  it("refuses a control group that does not exist before anything runs", async () => {
    const { exit, stdout, stderr } = await track(["--json", "--cgroup", "no/such.group"], "touch ran");
    expect({ exit, stdout }).toEqual({ exit: 3, stdout: "" });
    expect(JSON.parse(stderr)).toMatchObject({ code: "E_FILE_NOT_FOUND" });
    expect(existsSync(join(folder, "ran"))).toBe(false);
  });

  it("one rank of a node counts it, so that the sum over ranks is the node's energy", async () => {
    const tree = powercap({ "intel-rapl:0": PACKAGE });
    const runs = [0, 1, 2].map(async (rank) => {
      const script = "touch ready-$SLURM_LOCALID; while [ ! -e go ]; do sleep 0.01; done";
      const env = { SLURM_LOCALID: String(rank) };
      return documentAfter("", (await track(["--json", "--sys-root", tree.root], script, { env })).stdout);
    });
    await until(() => [0, 1, 2].every((rank) => existsSync(join(folder, `ready-${rank}`))));
    writeFileSync(tree.file("intel-rapl:0"), "7000000\n");
    writeFileSync(join(folder, "go"), "");
    const documents = await Promise.all(runs);
    expect(documents.map(({ energy }) => energy?.value)).toEqual([6, 0, 0]);
    expect(documents.map(({ attribution }) => attribution.role)).toEqual(["meter", "attribute", "attribute"]);
    expect(documents[1]?.energy?.assumptions[0]?.key).toBe("rank.counted-elsewhere");
    expect(documents[1]?.attribution.machine?.value).toBe(6);
  });
});

describe("footprint", () => {
  it("is of the energy, at the place, by the factors that were given", async () => {
    const tree = powercap({ "intel-rapl:0": PACKAGE });
    const script = `echo 37000000 > ${tree.file("intel-rapl:0")}`;
    const given = ["--intensity", "360gCO2e/kWh", "--pue", "1", "--price", "0.5EUR/kWh"];
    const { stdout } = await track(["--json", "--sys-root", tree.root, ...given], script);
    const { energy, footprint } = documentAfter("", stdout);
    expect(energy?.value).toBe(36); // 1e-5 kWh
    const facility = footprint!.energy.value / 3.6e6;
    expect(footprint!.emissions.locationBased.value).toBeCloseTo(360 * facility, 12);
    expect(footprint!.money.electricity?.value).toBeCloseTo(0.5 * facility, 12);
    expect(footprint!.energyByBoundary[0]).toMatchObject({ boundary: "node", value: 36 });
  });

  it("refuses a place it does not know before anything runs", async () => {
    const { exit, stderr } = await track(["--where", "Atlantis"], "touch ran");
    expect(exit).toBe(2);
    expect(stderr).toContain("E_PLACE_UNKNOWN");
    expect(existsSync(join(folder, "ran"))).toBe(false);
  });
});

describe("evidence", () => {
  const records = () =>
    readdirSync(join(folder, ".lightfoot"))
      .filter((name) => name.endsWith(".jsonl"))
      .flatMap((name) =>
        readFileSync(join(folder, ".lightfoot", name), "utf8")
          .trim()
          .split("\n"),
      )
      .map(
        (line) =>
          JSON.parse(line) as {
            record: string;
            name?: string;
            exitCode?: number;
            energyJoules?: number;
            domain?: string;
          },
      );

  it("has the run, its samples, figures and end, and the samples add up", async () => {
    const tree = powercap({ "intel-rapl:0": PACKAGE });
    const script = `for n in 2000000 2500000 3000000; do sleep 0.1; echo $n > ${tree.file("intel-rapl:0")}; done; exit 2`;
    const { stdout } = await track(
      ["--json", "--name", "trial", "--sys-root", tree.root, "--interval", "50ms"],
      script,
    );
    const { ledger, domains } = documentAfter("", stdout);
    const all = records();
    expect(all.map(({ record }) => record)).toEqual(
      expect.arrayContaining(["open", "run", "sample", "figure", "end", "block"]),
    );
    expect(all.find(({ record }) => record === "end")).toMatchObject({ exitCode: 2, outcome: "failed" });
    expect(all.find(({ record }) => record === "run")).toMatchObject({
      verb: "track",
      title: "trial",
      run: ledger?.run,
    });
    const joulesOf = (id: string) =>
      all.filter(({ domain }) => domain === id).reduce((sum, { energyJoules }) => sum + (energyJoules ?? 0), 0);
    expect(joulesOf("powercap:intel-rapl:0")).toBeCloseTo(2, 9);
    // Models go on counting until the very end, after the last sample.
    for (const { id, energy } of domains) expect(joulesOf(id)).toBeCloseTo(energy?.value ?? 0, 6);
  });

  it("stays away with --no-ledger, and a ledger that cannot be written does not stop the command", async () => {
    await track(["--quiet", "--no-ledger"], "true");
    expect(existsSync(join(folder, ".lightfoot"))).toBe(false);
    writeFileSync(join(folder, ".lightfoot"), "a file where the folder would be");
    const { exit, stdout } = await track(["--json"], "printf ran; exit 6");
    const { ledger, troubles } = documentAfter("ran", stdout);
    expect({ exit, ledger }).toEqual({ exit: 6, ledger: null });
    expect(troubles[0]).toMatch(/evidence/);
  });

  it("writes the same document to --out", async () => {
    const out = join(folder, "run.json");
    const { stdout } = await track(["--json", "--out", out], "true");
    expect(JSON.parse(readFileSync(out, "utf8"))).toEqual(JSON.parse(stdout));
  });
});
