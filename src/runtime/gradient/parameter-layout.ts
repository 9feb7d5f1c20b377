// How parameters lie in the state tensors that an optimizer updates; may depend on the emitter.
import * as attribute from "../../model/attributes.ts";
import { elementCount, type Emitter } from "./emitter.ts";

/** Parameters this large are updated as they are; smaller ones share one vector, since each operator call costs microseconds. */
const ALONE_FROM_ELEMENTS = 32_768;

export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Parameters that share one state tensor, laid one behind the other. */
export interface ParameterGroup {
  readonly id: string;
  /** Shape of the state tensor: the parameter's own for a single large one, else `[elements]`. */
  readonly shape: readonly number[];
  readonly members: readonly (Parameter & { readonly offset: number; readonly length: number })[];
}

/** Groups in an order that depends on the parameters alone, not on the batch size. */
export function layOut(parameters: readonly Parameter[]): ParameterGroup[] {
  const isLarge = ({ shape }: Parameter): boolean => elementCount(shape) >= ALONE_FROM_ELEMENTS && shape.length > 0;
  const groups = parameters.filter(isLarge).map((parameter, index): ParameterGroup => {
    const length = elementCount(parameter.shape);
    return { id: String(index), shape: parameter.shape, members: [{ ...parameter, offset: 0, length }] };
  });
  const small = parameters.filter((parameter) => !isLarge(parameter));
  if (small.length === 0) return groups;
  let offset = 0;
  const members = small.map((parameter) => {
    const { name, shape } = parameter;
    const length = elementCount(shape);
    offset += length;
    return { name, shape, offset: offset - length, length };
  });
  return [...groups, { id: "small", shape: [offset], members }];
}

/** True when the state tensor is the parameter itself. */
export const isWhole = (group: ParameterGroup): boolean => group.id !== "small";

/** Emits nodes that give every member its own value, under its own name, from the group's vector. */
export function unpackGroup(emit: Emitter, group: ParameterGroup, vector: string): void {
  const sizes = group.members.map((member) => member.length);
  const pieces =
    group.members.length === 1
      ? [vector]
      : emit.multi("Split", [vector, emit.ints(sizes)], sizes.length, { axis: attribute.int(0) });
  for (const [at, member] of group.members.entries()) {
    emit.node("Reshape", [pieces[at], emit.ints(member.shape)], [member.name]);
  }
}

/** The gradients of the members as one tensor of the group's shape. */
export function packGradients(emit: Emitter, group: ParameterGroup, gradients: ReadonlyMap<string, string>): string {
  if (isWhole(group)) return gradients.get(group.members[0].name)!;
  const flat = group.members.map((member) => emit.reshape(gradients.get(member.name)!, [member.length]));
  return flat.length === 1 ? flat[0] : emit.op("Concat", flat, { axis: attribute.int(0) });
}
