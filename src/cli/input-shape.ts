// The repeatable option `--input name=shape`; may depend on commander.
import { InvalidArgumentError } from "commander";

export type InputShapes = Readonly<Record<string, readonly number[]>>;

/** Adds `name=1x3x224x224` to the shapes before it. @throws InvalidArgumentError */
export function collectShape(text: string, before: InputShapes): InputShapes {
  const at = text.lastIndexOf("=");
  const sizes =
    at < 0 || text.slice(at + 1) === ""
      ? []
      : text
          .slice(at + 1)
          .split(/[x,]/)
          .map(Number);
  if (at < 1 || !sizes.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw new InvalidArgumentError("Expected name=shape, e.g. x=1x3x224x224.");
  }
  return { ...before, [text.slice(0, at)]: sizes };
}
