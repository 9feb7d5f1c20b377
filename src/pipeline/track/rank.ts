// Which process of a cluster job counts its node, so that adding up ranks does not multiply; may depend on nothing.

/** `meter`: this process counts the node. `attribute`: a neighbor does, this one only says what it used itself. */
export type NodeRole = "meter" | "attribute";

export interface LocalRank {
  readonly role: NodeRole;
  /** The variable that decided, as `NAME=value`; undefined outside a cluster job. */
  readonly because?: string;
}

/** Number of a process among those of its job on one node, by launcher. */
const LOCAL_RANK_VARIABLES = [
  "LOCAL_RANK", // torchrun, DeepSpeed, Accelerate
  "SLURM_LOCALID",
  "OMPI_COMM_WORLD_LOCAL_RANK", // Open MPI
  "MPI_LOCALRANKID", // Intel MPI, MPICH Hydra
  "MV2_COMM_WORLD_LOCAL_RANK", // MVAPICH
  "PALS_LOCAL_RANKID", // Cray PALS
  "FLUX_TASK_LOCAL_ID",
] as const;

/**
 * The role of a process by its environment: rank 0 of the node is its meter.
 *
 * Launchers nest (`srun` starting `torchrun`), so a process is the node's first only when every launcher says so.
 *
 * @example nodeRole({ SLURM_LOCALID: "3" }) // { role: "attribute", because: "SLURM_LOCALID=3" }
 */
export function nodeRole(environment: Readonly<Record<string, string | undefined>>): LocalRank {
  const ranks = LOCAL_RANK_VARIABLES.flatMap((name) => {
    const text = environment[name] ?? "";
    return /^\d+$/.test(text) ? [{ because: `${name}=${text}`, rank: Number(text) }] : [];
  });
  const [decisive] = [...ranks.filter(({ rank }) => rank > 0), ...ranks];
  if (decisive === undefined) return { role: "meter" };
  return { role: decisive.rank === 0 ? "meter" : "attribute", because: decisive.because };
}
