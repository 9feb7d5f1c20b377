// `lightfoot.analysis/1`: what one run of a model computes, moves and keeps alive; may depend on zod and quantity.
import { z } from "zod";
import { assumptionSchema, figureSchema } from "../quantity/figure-schema.ts";

const count = z.number().nonnegative();

const nodeCostSchema = z.object({
  /** Path from the main graph, subgraphs and functions by their node: `If_3/then_branch/Conv_0`. */
  path: z.string(),
  opType: z.string(),
  inputShapes: z.array(z.array(z.number()).nullable()),
  outputShapes: z.array(z.array(z.number()).nullable()),
  /** Elements of parameters that this node is the first to read. */
  parameters: count,
  /** Of all executions together; null when the work is not known. */
  macs: count.nullable(),
  flops: count.nullable(),
  bytesMoved: count.nullable(),
  /** How often one run of the model runs it; 0 for the cheaper branch of an `If`. */
  executions: count,
  rooflineSeconds: count.optional(),
  bound: z.enum(["compute", "memory"]).optional(),
});

const operatorCostSchema = z.object({
  count: z.int().nonnegative(),
  macs: count,
  flops: count,
  bytesMoved: count,
  parameters: count,
});

export const analysisSchema = z.object({
  schema: z.literal("lightfoot.analysis/1"),
  model: z.object({
    path: z.string().nullable(),
    format: z.literal("onnx"),
    digest: z.string().nullable(),
    opset: z.int(),
    irVersion: z.int(),
    producer: z.string(),
    fileBytes: z.int().nonnegative().nullable(),
  }),
  /** Concrete shapes of the inputs that the analysis is for. */
  inputs: z.record(z.string(), z.array(z.number()).nullable()),
  outputs: z.record(z.string(), z.array(z.number()).nullable()),
  parameters: count,
  weightBytes: count,
  macs: count,
  /** 2 · macs + 1 per arithmetic element. */
  flops: count,
  bytesMoved: count,
  peakActivationBytes: count,
  nodeCount: z.int().nonnegative(),
  /** Nodes by operator, subgraphs included; operators outside the standard domain as `domain:type`. */
  operators: z.record(z.string(), z.int().positive()),
  byOperator: z.record(z.string(), operatorCostSchema),
  byNode: z.array(nodeCostSchema),
  coverage: z.object({
    /** Share of nodes whose work is known; 1 means that nothing is missing in the totals. */
    knownFraction: z.number().min(0).max(1),
    unknown: z.array(z.object({ path: z.string(), opType: z.string(), reason: z.string() })),
  }),
  roofline: z
    .object({
      hardware: z.string(),
      duration: figureSchema,
      computeBoundFraction: z.number().min(0).max(1),
    })
    .nullable(),
  assumptions: z.array(assumptionSchema),
});

export type CostReport = z.infer<typeof analysisSchema>;
export type NodeCost = z.infer<typeof nodeCostSchema>;
export type OperatorCost = z.infer<typeof operatorCostSchema>;
