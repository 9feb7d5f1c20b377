// Coupling of operators that treat every position by itself, after broadcasting; may depend on its folder's call.
import { broadcastAxes, type CouplingRule, type CouplingRules } from "../coupling-call.ts";

const aligned: CouplingRule = (call) => {
  const inputs = call.node.inputs.flatMap((name, input) => {
    if (name === "") return [];
    const [axes, sizes] = [call.axes(input), call.sizes(input)];
    return [axes === undefined || sizes === undefined ? undefined : { axes, sizes }];
  });
  if (!inputs.every((input) => input !== undefined)) return undefined;
  const axes = broadcastAxes(call, inputs);
  return call.node.outputs.map(() => axes);
};

const NAMES =
  `Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast Ceil Celu Clip
  Cos Cosh Div Dropout Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN
  LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid
  Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor`.split(/\s+/);

export const ELEMENTWISE: CouplingRules = Object.fromEntries(NAMES.map((name) => [name, aligned]));

/** The same of the runtime's own domain. */
export const CONTRIB_ELEMENTWISE: CouplingRules = Object.fromEntries(
  ["Gelu", "FastGelu", "BiasGelu", "QuickGelu"].map((name) => [name, aligned]),
);
