// Rows of units: the neurons, channels or heads of a layer that can be thinned out, with whatever shares them; may depend on
// rewrite and coupling.
import { findLinearLayers, layerName } from "../rewrite/linear.ts";
import { GraphDraft } from "../rewrite/draft.ts";
import { nodeTitle } from "../rewrite/wiring.ts";
import type { Coupling } from "./coupling.ts";
import type { Contraction } from "./coupling-call.ts";

export type RowKind = "neurons" | "channels" | "heads";

/** Units that layers make together: each can go without the others, and takes its positions everywhere along. */
export interface Row {
  readonly kind: RowKind;
  /** Atoms that stand for the units, in the order of the first layer that makes them. */
  readonly units: readonly number[];
  /** What the layers that make them are called in notes. */
  readonly title: string;
  /** Output tensors of the layers that make them (`LinearLayer.output`). */
  readonly layers: readonly string[];
  /** Axes of which at least one position must stay. */
  readonly axes: readonly Int32Array[];
  /** Products that read them. */
  readonly contractions: readonly Contraction[];
}

/** All rows of a model, and the layers that are in none. */
export interface Rows {
  readonly rows: readonly Row[];
  /** Layers whose units must all stay, and why. */
  readonly left: readonly { readonly title: string; readonly reason: string }[];
}

/** Every row of at least two units, in execution order. */
export function findRows(coupling: Coupling): Rows {
  const { atoms, producers, contractions, heads } = coupling;
  const layerOf = new Map(findLinearLayers(new GraphDraft(coupling.model)).map((layer) => [layer.nodes[0], layer]));
  const headUnits = new Set(heads.map((atom) => atoms.find(atom)));
  const unitsOn = (axis: Int32Array) => {
    const free = [...axis].filter((atom) => atoms.pinnedBecause(atom) === undefined);
    return [...new Set(free.map((atom) => atoms.find(atom)))];
  };
  const left: Rows["left"][number][] = [];
  // Two layers that share a unit make one row.
  const groups: { units: Set<number>; members: (typeof producers)[number][] }[] = [];
  for (const producer of producers) {
    const units = unitsOn(producer.atoms);
    if (units.length === 0) {
      const reason = atoms.pinnedBecause(producer.atoms[0]) ?? "it is empty";
      left.push({ title: nodeTitle(producer.node), reason });
      continue;
    }
    const sharing = groups.filter((group) => units.some((unit) => group.units.has(unit)));
    const [home = { units: new Set<number>(), members: [] }] = sharing;
    if (sharing.length === 0) groups.push(home);
    for (const other of sharing.slice(1)) {
      for (const unit of other.units) home.units.add(unit);
      home.members.push(...other.members);
      groups.splice(groups.indexOf(other), 1);
    }
    for (const unit of units) home.units.add(unit);
    home.members.push(producer);
  }
  const rowOf = new Map(groups.flatMap(({ units }) => [...units].map((unit) => [unit, units] as const)));
  const axesOf = new Map(groups.map(({ units }) => [units, new Set<Int32Array>()]));
  for (const axis of coupling.axes) {
    for (const atom of axis) {
      const units = rowOf.get(atoms.find(atom));
      if (units !== undefined) axesOf.get(units)!.add(axis);
    }
  }
  const rows = groups.flatMap(({ units, members }): Row[] => {
    if (units.size < 2) {
      const reason = "all of it goes or stays as one";
      left.push(...members.map(({ node }) => ({ title: nodeTitle(node), reason })));
      return [];
    }
    const isHead = [...units].some((unit) => headUnits.has(unit));
    const reading = contractions.filter((each) => each.atoms.some((atom) => units.has(atoms.find(atom))));
    return [
      {
        kind: isHead ? "heads" : members.some(({ kind }) => kind === "channels") ? "channels" : "neurons",
        units: [...units],
        title: members
          .map(({ node }) => (layerOf.has(node) ? layerName(layerOf.get(node)!) : nodeTitle(node)))
          .join(", "),
        layers: members.map(({ node }) => layerOf.get(node)?.output ?? node.outputs[0]),
        axes: [...axesOf.get(units)!],
        contractions: reading,
      },
    ];
  });
  return { rows, left };
}
