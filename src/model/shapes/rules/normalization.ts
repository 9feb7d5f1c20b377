// Shape rules of normalization and quantization operators; may depend on the call and attributes.
import { intAttribute } from "../../attributes.ts";
import {
  axisIn,
  dtypeOf,
  hasInput,
  sameAsInput,
  shapeOf,
  tensor,
  tensorOf,
  type RuleTable,
  type ShapeRule,
} from "../call.ts";
import { dtypeAttribute } from "./elementwise.ts";

/** Running statistics appear as outputs in training mode only. */
const batchNormalization: ShapeRule = (call) => {
  const [scale, mean] = [hasInput(call, 1) ? call.inputs[1] : undefined, call.inputs[3] ?? call.inputs[1]];
  return [tensorOf(call, 0), mean, mean, scale ?? mean, scale ?? mean];
};

/** Statistics of the trailing axes from `axis` on, kept as axes of 1. */
export const layerNormalization: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const axis = axisIn(intAttribute(call.node, "axis", -1), data.length);
  const statistics = tensor(
    dtypeAttribute(call, "stash_type", "float32"),
    data.map((size, i) => (i < axis ? size : 1)),
  );
  return [tensorOf(call, 0), statistics, statistics];
};

/** The result type follows the zero point, else `output_dtype`, else uint8. */
export const quantize: ShapeRule = (call) => {
  const fallback = dtypeAttribute(call, "output_dtype", "uint8");
  return [tensor(hasInput(call, 2) ? dtypeOf(call, 2) : fallback, shapeOf(call, 0))];
};

export const dequantize: ShapeRule = (call) => [
  tensor(dtypeAttribute(call, "output_dtype", dtypeOf(call, 1)), shapeOf(call, 0)),
];

const dynamicQuantize: ShapeRule = (call) => [
  tensor("uint8", shapeOf(call, 0)),
  tensor("float32", []),
  tensor("uint8", []),
];

export const NORMALIZATION: RuleTable = {
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  SimplifiedLayerNormalization: layerNormalization,
  RMSNormalization: sameAsInput,
  GroupNormalization: sameAsInput,
  InstanceNormalization: sameAsInput,
  RotaryEmbedding: sameAsInput,
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  DynamicQuantizeLinear: dynamicQuantize,
};
