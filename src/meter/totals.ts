// Which domains make the total, so that no joule is added twice and none is modelled that was measured; may depend on the room's types.
import type { Domain, DomainKind } from "./source.ts";

/** What the total covers: the parts that can be read, or the whole machine at one meter. */
export type Boundary = "components" | "node";

export interface TotalRules {
  /** By default the node where its meter was named or nothing smaller is measured, else the components. */
  readonly boundary?: Boundary;
  /** Adds modelled memory and disks to measured processors; the total is then modelled. */
  readonly addModels?: boolean;
}

/** Best meter of the whole machine first. */
const NODE_KINDS: readonly DomainKind[] = ["rack", "node", "battery"];
const MODEL_KINDS: readonly DomainKind[] = ["cpu-model", "memory-model", "disk-model"];
const AT_THE_WALL = "server at the wall";

const is = (kinds: readonly DomainKind[]) => (domain: Domain) => kinds.includes(domain.kind);

/**
 * The same domains, each counting or with the reason why not.
 *
 * One meter of the whole machine contains every component; a counter replaces every model of the same part; the kernel's
 * own package counter comes before another view of it.
 */
export function settleTotals(domains: readonly Domain[], rules: TotalRules = {}): Domain[] {
  const counting = domains.filter(({ countsTowardsTotal }) => countsTowardsTotal);
  const node = NODE_KINDS.flatMap((kind) => counting.filter((domain) => domain.kind === kind))[0];
  const processors = counting.filter(is(["package", "psys"]));
  const preferred = processors[0]?.id.split(":")[0];
  const wantsNode = rules.boundary === "node" || (rules.boundary === undefined && node?.kind === "rack");
  const byNode = node !== undefined && (wantsNode || (rules.boundary === undefined && processors.length === 0));
  const cpuModel = counting.find(is(["cpu-model"]));
  const isCpuModelled = !byNode && processors.length === 0 && cpuModel !== undefined;
  const hasDram = counting.some(is(["dram"]));

  const inModel =
    cpuModel?.device === AT_THE_WALL
      ? "the watts per processor thread are of whole servers, memory and disks included"
      : "contained in the processor's model";

  const reason = (domain: Domain): string | undefined => {
    if (byNode) return domain === node ? undefined : `contained in ${node.label}, which is the total`;
    if (is(NODE_KINDS)(domain)) return "contains the components, which are added instead";
    if (is(["package", "psys"])(domain)) {
      return domain.id.split(":")[0] === preferred ? undefined : `another view of what ${preferred} counts`;
    }
    if (is(["core", "uncore", "dram"])(domain) && isCpuModelled) {
      return "a part of what is modelled as a whole, because the whole cannot be read";
    }
    if (domain.kind === "cpu-model") return isCpuModelled ? undefined : "the processors are measured";
    if (domain.kind === "memory-model") {
      if (hasDram) return "the memory is measured";
      if (isCpuModelled) return inModel;
    }
    if (domain.kind === "disk-model" && isCpuModelled) {
      return cpuModel?.device === AT_THE_WALL ? inModel : undefined;
    }
    if (is(MODEL_KINDS)(domain) && rules.addModels !== true) return "modelled, so not added to what is measured";
    return undefined;
  };

  return domains.map((domain) => {
    if (!domain.countsTowardsTotal) return domain;
    const why = reason(domain);
    return why === undefined ? domain : { ...domain, countsTowardsTotal: false, why };
  });
}
