// Which rank counts its node; depends on its room.
import { expect, it } from "vitest";
import { nodeRole } from "./rank.ts";

it.each([
  [{}, "meter"],
  [{ SLURM_LOCALID: "0" }, "meter"],
  [{ SLURM_LOCALID: "2" }, "attribute"],
  [{ OMPI_COMM_WORLD_LOCAL_RANK: "1" }, "attribute"],
  // srun starts one torchrun a node, which starts eight workers.
  [{ SLURM_LOCALID: "0", LOCAL_RANK: "3" }, "attribute"],
  // srun starts eight tasks, each with a launcher of its own.
  [{ SLURM_LOCALID: "3", LOCAL_RANK: "0" }, "attribute"],
  [{ LOCAL_RANK: "" }, "meter"],
  [{ LOCAL_RANK: "-1" }, "meter"],
  [{ LOCAL_RANK: "one" }, "meter"],
])("%j is %s", (environment: Record<string, string>, role) => expect(nodeRole(environment).role).toBe(role));

it("one of the ranks of a node is its meter, whatever their number", () => {
  const roles = Array.from({ length: 8 }, (_, rank) => nodeRole({ LOCAL_RANK: String(rank) }).role);
  expect(roles.filter((role) => role === "meter")).toHaveLength(1);
});
