// Gradient rules of matrix products: Gemm, MatMul, Einsum; may depend on the rule interface and node attributes.
import { LightfootError } from "../../../errors/lightfoot-error.ts";
import * as attribute from "../../../model/attributes.ts";
import { floatAttribute, intAttribute, stringAttribute } from "../../../model/attributes.ts";
import { broadcastShape, elementCount, range } from "../emitter.ts";
import { firstGradient, type GradientRule, type RuleContext } from "../rule.ts";

/** Y = α·A'B' + β·C, where ' is the optional transposition. */
const gemm: GradientRule = (context) => {
  const { emit, node } = context;
  const [a, b, c] = context.inputs as [string, string, string | undefined];
  const dy = firstGradient(context);
  const alpha = floatAttribute(node, "alpha", 1);
  const transA = intAttribute(node, "transA", 0) !== 0;
  const transB = intAttribute(node, "transB", 0) !== 0;
  const dA = (): string =>
    transA ? emit.gemm(b, dy, { transA: transB, transB: true, alpha }) : emit.gemm(dy, b, { transB: !transB, alpha });
  const dB = (): string =>
    transB ? emit.gemm(dy, a, { transA: true, transB: transA, alpha }) : emit.gemm(a, dy, { transA: !transA, alpha });
  const dC = (name: string): string => {
    const summed = emit.unbroadcast(dy, context.shape(context.outputs[0]), context.shape(name));
    return emit.scale(summed, floatAttribute(node, "beta", 1));
  };
  return [
    context.wants(0) ? dA() : undefined,
    context.wants(1) ? dB() : undefined,
    c !== undefined && context.wants(2) ? dC(c) : undefined,
  ];
};

const swapLastTwo = (rank: number): number[] => [...range(rank - 2), rank - 1, rank - 2];

/**
 * Batched product with NumPy's rules: a vector on the left is a row, on the right a column, leading axes broadcast.
 *
 * A matrix on the right of a stack is the common case (a dense layer over tokens): the stack is flattened so that its
 * weight gradient is one Gemm instead of a product for each matrix and a sum over them.
 */
const matMul: GradientRule = (context) => {
  const { emit } = context;
  const [left, right] = context.inputs as [string, string];
  const [leftShape, rightShape] = [context.shape(left), context.shape(right)];
  const aShape = leftShape.length === 1 ? [1, ...leftShape] : leftShape;
  const bShape = rightShape.length === 1 ? [...rightShape, 1] : rightShape;
  const a = leftShape.length === 1 ? emit.reshape(left, aShape) : left;
  const b = rightShape.length === 1 ? emit.reshape(right, bShape) : right;
  const batch = broadcastShape(aShape.slice(0, -2), bShape.slice(0, -2));
  const [rows, inner] = aShape.slice(-2) as [number, number];
  const columns = bShape.at(-1)!;
  const dyShape = [...batch, rows, columns];
  const isMatrixProduct = leftShape.length >= 2 && rightShape.length >= 2;
  const dy = isMatrixProduct ? firstGradient(context) : emit.reshape(firstGradient(context), dyShape);

  if (bShape.length === 2) {
    const flatRows = elementCount(dyShape) / columns;
    const flat = (name: string, width: number, rank: number): string =>
      rank === 2 ? name : emit.reshape(name, [flatRows, width]);
    const flatDy = flat(dy, columns, dyShape.length);
    const dA = (): string => {
      const product = emit.gemm(flatDy, b, { transB: true });
      return leftShape.length === 2 ? product : emit.reshape(product, leftShape);
    };
    const dB = (): string => {
      const product = emit.gemm(flat(a, inner, aShape.length), flatDy, { transA: true });
      return rightShape.length === 2 ? product : emit.reshape(product, rightShape);
    };
    return [context.wants(0) ? dA() : undefined, context.wants(1) ? dB() : undefined];
  }

  const toShape = (
    product: string,
    productShape: readonly number[],
    matrix: readonly number[],
    shape: readonly number[],
  ) => {
    const summed = emit.unbroadcast(product, productShape, matrix);
    return matrix.length === shape.length ? summed : emit.reshape(summed, shape);
  };
  const dA = (): string => {
    const product = emit.op("MatMul", [dy, emit.transpose(b, swapLastTwo(bShape.length))]);
    return toShape(product, [...batch, rows, inner], aShape, leftShape);
  };
  const dB = (): string => {
    const product = emit.op("MatMul", [emit.transpose(a, swapLastTwo(aShape.length)), dy]);
    return toShape(product, [...batch, inner, columns], bShape, rightShape);
  };
  return [context.wants(0) ? dA() : undefined, context.wants(1) ? dB() : undefined];
};

function einsumTerms(context: RuleContext): { inputs: string[]; output: string } {
  const equation = stringAttribute(context.node, "equation", "").replaceAll(" ", "");
  const [left = "", output] = equation.split("->");
  const inputs = left.split(",");
  const repeats = [...inputs, output ?? ""].some((term) => new Set(term).size !== term.length);
  if (output === undefined || equation.includes(".") || repeats) {
    const message = `Einsum '${context.node.name}' has the equation '${equation}'; a gradient exists for explicit outputs without '...' and without a letter twice in one term`;
    throw new LightfootError("E_GRADIENT", message, {
      hint: "Rewrite the equation with '->' and one letter per axis, or freeze the weights before this node.",
      where: { path: context.node.name },
    });
  }
  return { inputs, output };
}

/** The gradient of one factor is the product of the output's gradient with the other factors, summed to its letters. */
const einsum: GradientRule = (context) => {
  const { emit } = context;
  const { inputs, output } = einsumTerms(context);
  return inputs.map((term, input) => {
    if (!context.wants(input)) return undefined;
    const others = range(inputs.length).filter((other) => other !== input);
    const known = new Set([output, ...others.map((other) => inputs[other])].join(""));
    // A letter that only this factor has was summed away: its gradient is the same all along that axis.
    const present = term
      .split("")
      .filter((letter) => known.has(letter))
      .join("");
    const equation = `${[output, ...others.map((other) => inputs[other])].join(",")}->${present}`;
    const factors = [firstGradient(context), ...others.map((other) => context.inputs[other])];
    const product = emit.op("Einsum", factors, { equation: attribute.string(equation) });
    if (present === term) return product;
    const shape = context.shape(context.inputs[input]);
    const aligned = shape.map((size, axis) => (known.has(term[axis]) ? size : 1));
    return emit.expand(emit.reshape(product, aligned), shape);
  });
};

export const linear: Readonly<Record<string, GradientRule>> = { Gemm: gemm, MatMul: matMul, Einsum: einsum };
