// The help of a sub-verb of `footprint` shows its own options.
import { expect, it } from "vitest";
import { createProgram } from "../../program.ts";

it("footprint manifest --help lists what manifest takes, and footprint --help what footprint takes", () => {
  const verb = createProgram().commands.find((command) => command.name() === "footprint");
  const manifest = verb?.commands.find((command) => command.name() === "manifest");
  expect(manifest?.helpInformation()).toContain("--allow-shell");
  expect(manifest?.helpInformation()).not.toContain("--energy");
  expect(verb?.helpInformation()).toContain("--energy");
});
