// Budgets and dirty grids under `lightfoot track` as built: warnings, pauses, stops, refusals; runs dist/cli/main.js.
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  PACKAGE,
  childOf,
  documentAfter,
  folder,
  powercap,
  standsStill,
  start,
  track,
  until,
  useFolders,
} from "./fixtures/tracked.ts";

useFolders();

describe("budgets", () => {
  const spend = (file: string) => `echo 9000000 > ${file}; sleep 0.4; touch lived`;

  it("warn: the command goes on, the exit code is 1, the document says when", async () => {
    const tree = powercap({ "intel-rapl:0": PACKAGE });
    const options = ["--json", "--sys-root", tree.root, "--interval", "50ms", "--budget", "5J", "--budget", "1kWh"];
    const { exit, stdout } = await track(options, spend(tree.file("intel-rapl:0")));
    expect(exit).toBe(1);
    expect(existsSync(join(folder, "lived"))).toBe(true);
    const { budgets, exitCode } = documentAfter("", stdout);
    expect(exitCode).toBe(0);
    expect(budgets[0]).toMatchObject({ budget: "5J", limit: 5, used: 8, exceeded: true });
    expect(budgets[0]?.exceededAtSeconds).toBeGreaterThan(0);
    expect(budgets[1]).toMatchObject({ limit: 3.6e6, exceeded: false, exceededAtSeconds: null });
  });

  it("a budget that is passed only at the very end counts too", async () => {
    const tree = powercap({ "intel-rapl:0": PACKAGE });
    const options = ["--quiet", "--sys-root", tree.root, "--interval", "1h", "--budget", "5J"];
    expect((await track(options, `echo 9000000 > ${tree.file("intel-rapl:0")}`)).exit).toBe(1);
  });

  it("stop: checkpoint, SIGTERM to the whole tree, exit code 1", async () => {
    const tree = powercap({ "intel-rapl:0": PACKAGE });
    const script = `trap 'echo term; exit 0' TERM; (trap 'touch grandchild-term; exit' TERM; while :; do sleep 0.02; done) & echo 9000000 > ${tree.file("intel-rapl:0")}; while :; do sleep 0.02; done`;
    const hook = 'echo "saving $LIGHTFOOT_PID"; touch saved';
    const options = [
      "--sys-root",
      tree.root,
      "--interval",
      "50ms",
      "--budget",
      "5J",
      "--on-exceed",
      "stop",
      "--grace",
      "5s",
    ];
    const { exit, stdout, stderr } = await track([...options, "--on-checkpoint", hook], script);
    expect(exit).toBe(1);
    expect(stdout).toBe("term\n");
    expect(stderr).toMatch(/saving \d+/);
    expect(existsSync(join(folder, "saved"))).toBe(true);
    await until(() => existsSync(join(folder, "grandchild-term")));
  });

  it("stop: what ignores SIGTERM is killed after the grace period", async () => {
    const tree = powercap({ "intel-rapl:0": PACKAGE });
    const script = `trap '' TERM; echo 9000000 > ${tree.file("intel-rapl:0")}; while :; do sleep 0.02; done`;
    const options = [
      "--json",
      "--sys-root",
      tree.root,
      "--interval",
      "50ms",
      "--budget",
      "5J",
      "--on-exceed",
      "stop",
      "--grace",
      "200ms",
    ];
    const { exit, stdout } = await track(options, script);
    expect(exit).toBe(1);
    expect(documentAfter("", stdout)).toMatchObject({ exitCode: 137, signal: "SIGKILL" });
  });

  it("pause: the whole tree stands still until somebody continues it", async () => {
    const tree = powercap({ "intel-rapl:0": PACKAGE });
    const script = `(while [ ! -e go ]; do sleep 0.02; done; touch grandchild-went) & echo ready; echo 9000000 > ${tree.file("intel-rapl:0")}; while [ ! -e go ]; do sleep 0.02; done; wait; exit 4`;
    const options = ["--json", "--sys-root", tree.root, "--interval", "50ms", "--budget", "5J", "--on-exceed", "pause"];
    const { child, done, said } = start(options, ["sh", "-c", script]);
    await said("ready");
    const pid = childOf(child.pid ?? 0);
    const grandchild = childOf(pid);
    await until(() => standsStill(pid) && standsStill(grandchild));
    writeFileSync(join(folder, "go"), "");
    expect(existsSync(join(folder, "grandchild-went"))).toBe(false);
    child.kill("SIGCONT");
    const { exit, stdout } = await done;
    expect(exit).toBe(4);
    expect(existsSync(join(folder, "grandchild-went"))).toBe(true);
    const { pauses } = documentAfter("ready\n", stdout);
    expect(pauses).toHaveLength(1);
    expect(pauses[0]?.reason).toContain("5J");
  });

  it("a paused command can still be ended by a signal", async () => {
    const tree = powercap({ "intel-rapl:0": PACKAGE });
    const script = `echo ready; echo 9000000 > ${tree.file("intel-rapl:0")}; while :; do sleep 0.02; done`;
    const options = [
      "--quiet",
      "--sys-root",
      tree.root,
      "--interval",
      "50ms",
      "--budget",
      "5J",
      "--on-exceed",
      "pause",
    ];
    const { child, done, said } = start(options, ["sh", "-c", script]);
    await said("ready");
    await until(() => standsStill(childOf(child.pid ?? 0)));
    child.kill("SIGTERM");
    expect((await done).exit).toBe(143);
  });

  it("a dirty grid pauses, a clean one continues", async () => {
    const from = Math.floor(Date.now() / 1000) - 3600;
    const rows = [
      [from, 500],
      [Math.ceil(Date.now() / 1000) + 2, 100],
      [Math.ceil(Date.now() / 1000) + 7200, 100],
    ].map(([seconds, grams]) => `${new Date(seconds * 1000).toISOString()},${grams}`);
    const file = join(folder, "grid.csv");
    writeFileSync(file, `timestamp,gCO2e/kWh\n${rows.join("\n")}\n`);
    const options = ["--json", "--interval", "50ms", "--intensity-series", file, "--pause-above", "400gCO2e/kWh"];
    const { stdout, exit } = await track(options, "sleep 0.3");
    expect(exit).toBe(0);
    const { pauses, duration } = documentAfter("", stdout);
    expect(pauses).toHaveLength(1);
    expect(pauses[0]?.reason).toContain("500");
    expect(duration.value).toBeGreaterThan(0.3);
  });

  it.each([
    ["--budget", "2"],
    ["--budget", "-1J"],
    ["--budget", "3EUR"],
    ["--interval", "500"],
    ["--interval", "1ms"],
    ["--pause-above", "400gCO2e/kWh"],
    ["--intensity-series", "none.csv"],
    ["--out", "no/such/folder.json"],
    ["--idle", "some"],
    ["--attribute", "me"],
    ["--no-such-option", "x"],
  ])("refuses %s %s before anything runs", async (option, value) => {
    const { exit, stdout, stderr } = await track([option, value], "touch ran");
    expect(stdout).toBe("");
    // A file that is missing is bad input, everything else a wrong command line.
    expect(exit).toBe(/[./]/.test(value) && !value.includes("kWh") ? 3 : 2);
    expect(stderr).toMatch(/^error: /);
    expect(existsSync(join(folder, "ran"))).toBe(false);
  });
});
