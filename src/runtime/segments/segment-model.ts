// A segment as a model of its own, and a model's inputs as a session would declare them; may depend on model and its room.
import type { Dim, ModelGraph, ValueInfo } from "../../model/graph.ts";
import type { SessionValue } from "../session.ts";
import type { Segment } from "./cut.ts";
import { namesRead } from "./reading-order.ts";

/** IR 4 is the first in which an initializer need not be a graph input as well. */
const IR_WITH_FREE_INITIALIZERS = 4;

/** The same model that also gives out `names`, so that ONNX Runtime keeps them through its optimisations. */
export function exposing(model: ModelGraph, names: readonly string[]): ModelGraph {
  const { graph } = model;
  const known = new Set(graph.outputs.map(({ name }) => name));
  // The engine finds the types by itself.
  const added = names.filter((name) => !known.has(name)).map((name): ValueInfo => ({ name, type: undefined }));
  return { ...model, graph: { ...graph, outputs: [...graph.outputs, ...added] } };
}

/** Inputs that a run has to be fed, as a session of the model declares them. */
export function fedInputs({ graph }: ModelGraph): SessionValue[] {
  const fed = graph.inputs.filter(({ name }) => !graph.initializers.has(name));
  return fed.map(({ name, type }) => {
    if (type?.kind !== "tensor" || type.dtype === "string") return { name, dtype: undefined, shape: [] };
    return { name, dtype: type.dtype, shape: (type.shape ?? []).map(sizeOf) };
  });
}

const sizeOf = (dim: Dim): Dim => (dim === "" || (typeof dim === "number" && dim < 0) ? null : dim);

/**
 * The nodes of one segment with the weights that they read. Outputs are what is watched in it and what it keeps for others; types are
 * left to the engine.
 *
 * @param infoOf the value of an earlier segment as an input
 */
export function segmentModel(model: ModelGraph, segment: Segment, infoOf: (name: string) => ValueInfo): ModelGraph {
  const { graph } = model;
  const { nodes, watched, takes, keeps } = segment;
  const fed = graph.inputs.filter(({ name }) => !graph.initializers.has(name));
  const isFed = new Set(fed.map(({ name }) => name));
  const outputs = [...new Set([...watched, ...keeps.keys()])].filter((name) => !isFed.has(name));
  const made = new Set(nodes.flatMap((node) => node.outputs));
  const read = new Set([...outputs, ...nodes.flatMap((node) => [...namesRead(node)])]);
  return {
    ...model,
    irVersion: Math.max(model.irVersion, IR_WITH_FREE_INITIALIZERS),
    graph: {
      ...graph,
      nodes,
      initializers: new Map([...graph.initializers].filter(([name]) => read.has(name))),
      sparseInitializers: new Map([...graph.sparseInitializers].filter(([name]) => read.has(name))),
      inputs: [...fed.filter(({ name }) => read.has(name)), ...takes.map(infoOf)],
      outputs: outputs.map((name) => ({ name, type: undefined })),
      valueInfo: graph.valueInfo.filter(({ name }) => made.has(name) && !outputs.includes(name)),
      quantizationAnnotations: [],
    },
  };
}
