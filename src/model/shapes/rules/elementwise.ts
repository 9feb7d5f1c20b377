// Shape rules of operators that work element by element; may depend on the call and dtype.
import { intAttribute } from "../../attributes.ts";
import { dtypeFromCode, type DType } from "../../dtype.ts";
import {
  broadcast,
  dtypeOf,
  sameAsInput,
  shapeOf,
  tensor,
  tensorOf,
  contradiction,
  type OperatorCall,
  type RuleTable,
  type ShapeRule,
} from "../call.ts";

/** All names with one rule. */
export const each = (names: string, rule: ShapeRule): RuleTable =>
  Object.fromEntries(names.split(/\s+/).map((name) => [name, rule]));

export function dtypeAttribute(call: OperatorCall, name: string, fallback: DType): DType {
  const code = intAttribute(call.node, name, 0);
  if (code === 0) return fallback;
  const dtype = dtypeFromCode(code);
  if (dtype === undefined) throw contradiction(`attribute '${name}' is ${code}, which is no element type`);
  return dtype;
}

/** Before opset 7 broadcasting was one-directional, switched on by an attribute: the result has the left shape. */
const pairwise =
  (dtype?: DType): ShapeRule =>
  (call) => {
    const type = dtype ?? dtypeOf(call, 0);
    if (call.node.domain === "" && call.opset < 7) return [tensor(type, shapeOf(call, 0))];
    return [tensor(type, broadcast(shapeOf(call, 0), shapeOf(call, 1)))];
  };

const variadic: ShapeRule = (call) => [
  tensor(dtypeOf(call, 0), broadcast(...call.node.inputs.map((_, i) => shapeOf(call, i)))),
];

const where: ShapeRule = (call) => [
  tensor(dtypeOf(call, 1), broadcast(shapeOf(call, 0), shapeOf(call, 1), shapeOf(call, 2))),
];

const test: ShapeRule = (call) => [tensor("bool", tensorOf(call, 0).shape as never)];

const dropout: ShapeRule = (call) => {
  const data = tensorOf(call, 0);
  return [data, { ...data, dtype: call.opset < 10 ? data.dtype : "bool" }];
};

const cast: ShapeRule = (call) => {
  const data = tensorOf(call, 0);
  return [{ ...data, dtype: dtypeAttribute(call, "to", data.dtype) }];
};

const castLike: ShapeRule = (call) => [{ ...tensorOf(call, 0), dtype: dtypeOf(call, 1) }];

/** `Bernoulli`, `RandomNormalLike`, …: the input's shape, an element type by attribute. */
const drawnLike: ShapeRule = (call) => {
  const data = tensorOf(call, 0);
  return [{ ...data, dtype: dtypeAttribute(call, "dtype", data.dtype) }];
};

const softmaxLoss: ShapeRule = (call) => {
  const scores = shapeOf(call, 0);
  const perSample = [...scores.slice(0, 1), ...scores.slice(2)];
  const reduced = call.node.attributes.get("reduction");
  const none = reduced?.type === "string" && reduced.value === "none";
  return [tensor(dtypeOf(call, 0), none ? perSample : []), tensor(dtypeOf(call, 0), scores)];
};

export const ELEMENTWISE_UNARY =
  "Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil Celu Clip Cos Cosh CumSum CumProd Elu Erf Exp Floor Gelu HardSigmoid " +
  "HardSwish Hardmax LeakyRelu Log LogSoftmax LpNormalization LRN MeanVarianceNormalization Mish Neg Not PRelu Reciprocal Relu " +
  "Round Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Affine " +
  "ImageScaler ParametricSoftplus Scale ScaledTanh Crop";

/** Moments of the preview training operators: inputs R, T, then the tensors in groups; outputs the groups that change. */
const optimizer =
  (groupsIn: number, groupsOut: number): ShapeRule =>
  (call) => {
    const count = (call.node.inputs.length - 2) / groupsIn;
    const states = Array.from({ length: count * (groupsOut - 1) }, (_, i) => tensorOf(call, 2 + 2 * count + i));
    return [...Array.from({ length: count }, (_, i) => tensorOf(call, 2 + i)), ...states];
  };

export const ELEMENTWISE: RuleTable = {
  ...each(ELEMENTWISE_UNARY, sameAsInput),
  ...each("Add Sub Mul Div Pow Mod BitShift BitwiseAnd BitwiseOr BitwiseXor", pairwise()),
  ...each("And Or Xor Equal Greater GreaterOrEqual Less LessOrEqual", pairwise("bool")),
  ...each("Max Min Sum Mean", variadic),
  ...each("IsInf IsNaN", test),
  ...each("Bernoulli RandomNormalLike RandomUniformLike", drawnLike),
  ...each("SoftmaxCrossEntropyLoss NegativeLogLikelihoodLoss", softmaxLoss),
  Where: where,
  Dropout: dropout,
  Cast: cast,
  CastLike: castLike,
};

export const TRAINING: RuleTable = {
  Adagrad: optimizer(3, 2),
  Momentum: optimizer(3, 2),
  Adam: optimizer(4, 3),
};
