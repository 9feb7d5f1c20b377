// Shape rules of convolutions, pooling and what samples images; may depend on the call, attributes and dimension arithmetic.
import { floatAttribute, intAttribute, intsAttribute, stringAttribute } from "../../attributes.ts";
import {
  cannotTell,
  contradiction,
  dtypeOf,
  elementsOf,
  freshShape,
  hasInput,
  numbersOf,
  sameSize,
  shapeOf,
  shapeOfRank,
  tensor,
  type OperatorCall,
  type RuleTable,
  type ShapeRule,
  type Sizes,
} from "../call.ts";
import { add, ceilDivide, floorDivide, floorSize, multiply, productOf, subtract, type Size } from "../expression.ts";
import { dtypeAttribute } from "./elementwise.ts";

const filled = (count: number, value: number): number[] => Array.from({ length: count }, () => value);

/** Output sizes of a sliding window over spatial sizes; formula of the ONNX operator texts for Conv and pooling. */
export function windowed(call: OperatorCall, spatial: Sizes, kernel: Sizes): Sizes {
  const { node } = call;
  const rank = spatial.length;
  if (kernel.length !== rank) throw contradiction(`a kernel of ${kernel.length} axes over ${rank} spatial axes`);
  const strides = intsAttribute(node, "strides") ?? filled(rank, 1);
  const dilations = intsAttribute(node, "dilations") ?? filled(rank, 1);
  const pads = intsAttribute(node, "pads") ?? filled(2 * rank, 0);
  const automatic = stringAttribute(node, "auto_pad", "NOTSET");
  const ceil = intAttribute(node, "ceil_mode", 0) === 1;
  return spatial.map((size, i) => {
    const stride = strides[i] ?? 1;
    if (automatic.startsWith("SAME")) return ceilDivide(size, stride);
    const before = automatic === "VALID" ? 0 : (pads[i] ?? 0);
    const padding = automatic === "VALID" ? 0 : before + (pads[i + rank] ?? 0);
    const extent = add(multiply(subtract(kernel[i], 1), dilations[i] ?? 1), 1);
    const travel = subtract(add(size, padding), extent);
    const steps = add((ceil ? ceilDivide : floorDivide)(travel, stride), 1);
    if (typeof steps === "number" && steps < 0) throw contradiction(`a window of ${extent} does not fit into ${size}`);
    // In ceil mode a last window that would start in the padding behind the data is dropped.
    if (!ceil || typeof steps !== "number" || typeof size !== "number") return steps;
    return (steps - 1) * stride >= size + before ? steps - 1 : steps;
  });
}

function channelsAgree(call: OperatorCall, channels: Size, weight: Size): void {
  const group = intAttribute(call.node, "group", 1);
  sameSize(channels, multiply(weight, group), "channels of the data and of the weight");
}

/** `Conv` and its kin: data at one input, weight `[M, C/group, k…]` at another. */
export const convolution =
  (dataAt: number, weightAt: number, dtype?: (call: OperatorCall) => ReturnType<typeof dtypeOf>): ShapeRule =>
  (call) => {
    const data = shapeOfRank(call, dataAt, 3, true);
    const weight = shapeOfRank(call, weightAt, data.length);
    channelsAgree(call, data[1], weight[1]);
    const spatial = windowed(call, data.slice(2), weight.slice(2));
    return [tensor(dtype?.(call) ?? dtypeOf(call, dataAt), [data[0], weight[0], ...spatial])];
  };

/** The same with channels last, as `NhwcConv` has it; the weight keeps `[M, C/group, k…]`. */
export const channelsLastConvolution: ShapeRule = (call) => {
  const data = shapeOfRank(call, 0, 3, true);
  const weight = shapeOfRank(call, 1, data.length);
  const spatial = windowed(call, data.slice(1, -1), weight.slice(2));
  return [tensor(dtypeOf(call, 0), [data[0], ...spatial, weight[0]])];
};

const transposedConvolution: ShapeRule = (call) => {
  const { node } = call;
  const data = shapeOfRank(call, 0, 3, true);
  const weight = shapeOfRank(call, 1, data.length);
  sameSize(data[1], weight[0], "channels of the data and of the weight");
  const rank = data.length - 2;
  const strides = intsAttribute(node, "strides") ?? filled(rank, 1);
  const dilations = intsAttribute(node, "dilations") ?? filled(rank, 1);
  const pads = intsAttribute(node, "pads") ?? filled(2 * rank, 0);
  const extra = intsAttribute(node, "output_padding") ?? filled(rank, 0);
  const given = intsAttribute(node, "output_shape");
  const automatic = stringAttribute(node, "auto_pad", "NOTSET");
  const spatial = data.slice(2).map((size, i): Size => {
    if (given !== undefined) return given[given.length - rank + i];
    if (automatic.startsWith("SAME")) return multiply(size, strides[i]);
    const padding = automatic === "VALID" ? 0 : pads[i] + pads[i + rank];
    const extent = add(multiply(subtract(weight[i + 2], 1), dilations[i]), 1);
    return subtract(add(add(multiply(subtract(size, 1), strides[i]), extra[i]), extent), padding);
  });
  const channels = multiply(weight[1], intAttribute(node, "group", 1));
  return [tensor(dtypeOf(call, 0), [data[0], channels, ...spatial])];
};

const deformable: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const weight = shapeOf(call, 1);
  return [tensor(dtypeOf(call, 0), [data[0], weight[0], ...windowed(call, data.slice(2), weight.slice(2))])];
};

export const pooling: ShapeRule = (call) => {
  const last = intAttribute(call.node, "channels_last", 0) === 1;
  const data = shapeOfRank(call, 0, 3, true);
  const kernel = intsAttribute(call.node, "kernel_shape");
  if (kernel === undefined) throw contradiction("attribute 'kernel_shape' is missing");
  const spatial = windowed(call, last ? data.slice(1, -1) : data.slice(2), kernel);
  const shape = last ? [data[0], ...spatial, data.at(-1)!] : [data[0], data[1], ...spatial];
  return [tensor(dtypeOf(call, 0), shape), tensor("int64", shape)];
};

export const globalPooling: ShapeRule = (call) => {
  const data = shapeOfRank(call, 0, 2, true);
  const channelsAt = intAttribute(call.node, "channels_last", 0) === 1 ? data.length - 1 : 1;
  return [
    tensor(
      dtypeOf(call, 0),
      data.map((size, i) => (i === 0 || i === channelsAt ? size : 1)),
    ),
  ];
};

const unpooling: ShapeRule = (call) => {
  const data = shapeOfRank(call, 0, 3, true);
  if (hasInput(call, 2)) {
    const shape = elementsOf(call, 2) ?? freshShape(call, 0, data.length);
    return [
      tensor(
        dtypeOf(call, 0),
        shape.map((size, i) => size ?? call.fresh(0, i)),
      ),
    ];
  }
  const rank = data.length - 2;
  const kernel = intsAttribute(call.node, "kernel_shape") ?? filled(rank, 1);
  const strides = intsAttribute(call.node, "strides") ?? filled(rank, 1);
  const pads = intsAttribute(call.node, "pads") ?? filled(2 * rank, 0);
  const spatial = data.slice(2).map((size, i) => {
    const padding = pads[i] + pads[i + rank];
    return subtract(add(multiply(subtract(size, 1), strides[i]), kernel[i]), padding);
  });
  return [tensor(dtypeOf(call, 0), [data[0], data[1], ...spatial])];
};

/** Exact for numbers as the runtime computes it, in 32-bit floats: 0.6 · 5 must not become 2.9999 → 2 by luck of width. */
function scaled(size: Size, scale: number): Size {
  if (typeof size === "number") return Math.floor(Math.fround(Math.fround(size) * Math.fround(scale)));
  return floorSize(multiply(size, scale));
}

const resize: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const dtype = dtypeOf(call, 0);
  const modern = call.node.opType === "Resize" && call.opset >= 11;
  const sizesAt = 3;
  const axes = (intsAttribute(call.node, "axes") ?? data.map((_, i) => i)).map((a) => (a < 0 ? a + data.length : a));
  const attribute = call.node.attributes.get("scales");
  const scales = attribute?.type === "floats" ? attribute.value : numbersOf(call, modern ? 2 : 1);
  const result = [...data];
  if (scales !== undefined && scales.length > 0) {
    axes.forEach((axis, i) => (result[axis] = scaled(data[axis], scales[i])));
  } else if (modern && hasInput(call, sizesAt)) {
    const sizes = elementsOf(call, sizesAt);
    axes.forEach((axis, i) => (result[axis] = sizes?.[i] ?? call.fresh(0, axis)));
    keepAspect(call, data, axes, result);
  } else {
    axes.forEach((axis) => (result[axis] = call.fresh(0, axis)));
  }
  return [tensor(dtype, result)];
};

function keepAspect(call: OperatorCall, data: Sizes, axes: readonly number[], result: Size[]): void {
  const policy = stringAttribute(call.node, "keep_aspect_ratio_policy", "stretch");
  if (policy === "stretch") return;
  const ratios = axes.map((axis) => Number(result[axis]) / Number(data[axis]));
  const factor = policy === "not_larger" ? Math.min(...ratios) : Math.max(...ratios);
  for (const axis of axes) {
    const size = data[axis];
    result[axis] =
      typeof size === "number" && Number.isFinite(factor) ? Math.round(size * factor) : call.fresh(0, axis);
  }
}

const upsampleOld: ShapeRule = (call) => {
  if (call.opset >= 7) return resize(call);
  const [height, width] = ["height_scale", "width_scale"].map((name) => floatAttribute(call.node, name, 1));
  const [n, c, h, w] = shapeOfRank(call, 0, 4) as [Size, Size, Size, Size];
  return [tensor(dtypeOf(call, 0), [n, c, scaled(h, height), scaled(w, width)])];
};

const regions: ShapeRule = (call) => {
  const data = shapeOfRank(call, 0, 4);
  const height = intAttribute(call.node, "output_height", 1);
  const width = intAttribute(call.node, "output_width", 1);
  return [tensor(dtypeOf(call, 0), [shapeOf(call, 1)[0], data[1], height, width])];
};

const maxRegions: ShapeRule = (call) => {
  const pooled = intsAttribute(call.node, "pooled_shape") ?? [];
  return [tensor(dtypeOf(call, 0), [shapeOf(call, 1)[0], shapeOfRank(call, 0, 4)[1], ...pooled])];
};

const gridSample: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  return [tensor(dtypeOf(call, 0), [data[0], data[1], ...shapeOf(call, 1).slice(1, -1)])];
};

const affineGrid: ShapeRule = (call) => {
  const size = elementsOf(call, 1);
  if (size === undefined) throw cannotTell("the output size comes from data");
  const known = size.map((entry, i) => entry ?? call.fresh(0, i));
  return [tensor(dtypeOf(call, 0), [known[0], ...known.slice(2), known.length - 2])];
};

const columnsToImage: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const image = elementsOf(call, 1);
  const block = elementsOf(call, 2);
  if (image === undefined || block === undefined) throw cannotTell("the image or block shape comes from data");
  const channels = floorDivide(data[1], productOf(block.map((size, i) => size ?? call.fresh(0, i))));
  return [tensor(dtypeOf(call, 0), [data[0], channels, ...image.map((size, i) => size ?? call.fresh(0, i + 2))])];
};

const depthToSpace: ShapeRule = (call) => {
  const block = intAttribute(call.node, "blocksize", 1);
  const [n, c, h, w] = shapeOfRank(call, 0, 4) as [Size, Size, Size, Size];
  const shape = [n, floorDivide(c, block * block), multiply(h, block), multiply(w, block)];
  return [tensor(dtypeOf(call, 0), shape)];
};

const spaceToDepth: ShapeRule = (call) => {
  const block = intAttribute(call.node, "blocksize", 1);
  const [n, c, h, w] = shapeOfRank(call, 0, 4) as [Size, Size, Size, Size];
  return [tensor(dtypeOf(call, 0), [n, multiply(c, block * block), floorDivide(h, block), floorDivide(w, block)])];
};

const suppression: ShapeRule = (call) => {
  const perClass = numbersOf(call, 2)?.[0];
  if (perClass === 0 || !hasInput(call, 2)) return [tensor("int64", [0, 3])];
  return [tensor("int64", [call.fresh(0, 0), 3])];
};

const cropOrPad: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const axes = intsAttribute(call.node, "axes") ?? data.map((_, i) => i);
  const target = elementsOf(call, 1);
  const result = [...data];
  axes.forEach((axis, i) => {
    const at = axis < 0 ? axis + data.length : axis;
    result[at] = target?.[i] ?? call.fresh(0, at);
  });
  return [tensor(dtypeOf(call, 0), result)];
};

const decodeImage: ShapeRule = (call) => {
  const channels = stringAttribute(call.node, "pixel_format", "RGB") === "Grayscale" ? 1 : 3;
  return [tensor("uint8", [call.fresh(0, 0), call.fresh(0, 1), channels])];
};

/** Frames of a short-time Fourier transform: signal `[batch, length, 1 or 2]`. */
const shortTimeFourier: ShapeRule = (call) => {
  const signal = shapeOf(call, 0);
  const step = numbersOf(call, 1)?.[0];
  const window = hasInput(call, 2) ? shapeOf(call, 2)[0] : undefined;
  const length = numbersOf(call, 3)?.[0] ?? window;
  if (step === undefined || length === undefined) throw cannotTell("frame step or length comes from data");
  const oneSided = intAttribute(call.node, "onesided", 1) === 1;
  const frames = add(floorDivide(subtract(signal[1], length), step), 1);
  const bins = oneSided ? add(floorDivide(length, 2), 1) : length;
  return [tensor(dtypeOf(call, 0), [signal[0], frames, bins, 2])];
};

const fourier: ShapeRule = (call) => {
  const data = shapeOf(call, 0);
  const axis = call.opset >= 20 ? (numbersOf(call, 2)?.[0] ?? -2) : intAttribute(call.node, "axis", 1);
  const at = axis < 0 ? axis + data.length : axis;
  const result = [...data.slice(0, -1), 2 as Size];
  const oneSided = intAttribute(call.node, "onesided", 0) === 1;
  const inverse = intAttribute(call.node, "inverse", 0) === 1;
  const given = hasInput(call, 1) ? (elementsOf(call, 1)?.[0] ?? call.fresh(0, at)) : undefined;
  if (given !== undefined) result[at] = given;
  else if (oneSided && inverse) result[at] = multiply(subtract(data[at], 1), 2);
  if (oneSided && !inverse) result[at] = add(floorDivide(result[at], 2), 1);
  if (oneSided && inverse) result[result.length - 1] = 1;
  return [tensor(dtypeOf(call, 0), result)];
};

export const CONVOLUTION: RuleTable = {
  Conv: convolution(0, 1),
  ConvInteger: convolution(0, 1, () => "int32"),
  QLinearConv: convolution(0, 3, (call) => dtypeOf(call, 7)),
  ConvTranspose: transposedConvolution,
  DeformConv: deformable,
  MaxPool: pooling,
  AveragePool: pooling,
  LpPool: pooling,
  GlobalAveragePool: globalPooling,
  GlobalMaxPool: globalPooling,
  GlobalLpPool: globalPooling,
  MaxUnpool: unpooling,
  MaxRoiPool: maxRegions,
  RoiAlign: regions,
  Resize: resize,
  Upsample: upsampleOld,
  GridSample: gridSample,
  AffineGrid: affineGrid,
  Col2Im: columnsToImage,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  NonMaxSuppression: suppression,
  CenterCropPad: cropOrPad,
  ImageDecoder: decodeImage,
  STFT: shortTimeFourier,
  DFT: fourier,
};

export const windowFunction: ShapeRule = (call) => {
  const size = elementsOf(call, 0)?.[0] ?? call.fresh(0, 0);
  return [tensor(dtypeAttribute(call, "output_datatype", "float32"), [size])];
};
