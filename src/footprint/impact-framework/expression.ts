// Arithmetic expressions in a manifest (`=2*energy`), parsed and never evaluated as code; may depend on errors.
import { LightfootError } from "../../errors/lightfoot-error.ts";

/** An expression as a tree; names stand for parameters of an observation. */
export type Expression =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "operation"; readonly operator: Operator; readonly left: Expression; readonly right: Expression };
type Operator = "+" | "-" | "*" | "/";

// A name may hold hyphens when a letter or digit follows directly; with a slash or a space it stands in quotes.
const TOKEN = /\s*(?:(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)|([A-Za-z_](?:[\w]|-(?=\w))*)|"([^"]+)"|'([^']+)'|([-+*/()]))/y;
const PLAIN_ARITHMETIC = /^\s*\d+(\.\d+)?(\s*[-+*/]\s*\d+(\.\d+)?)*\s*$/;
const MAX_DEPTH = 200;
const MAX_TOKENS = 1_000;

/** Text that the framework reads as an expression: `=…`, or numbers and operators alone. */
export const isExpression = (text: string): boolean => text.includes("=") || PLAIN_ARITHMETIC.test(text);

/**
 * Reads `=…` or plain arithmetic such as `2*3`: + - * / with the usual precedence, brackets, names, quoted names.
 *
 * @throws LightfootError E_IMPACT with what could not be read
 * @example evaluate(parseExpression('=2 * "cpu/energy"'), () => 21) // 42
 */
export function parseExpression(text: string): Expression {
  const source = text.replace("=", "");
  const tokens = tokenize(source, text);
  let at = 0;
  const fail = (): never => {
    const found = tokens[at] === undefined ? "its end" : `'${tokens[at].text}'`;
    throw new LightfootError("E_IMPACT", `the expression '${text}' makes no sense at ${found}`, {
      hint: 'Write for example =2*energy or =2*"cpu/energy": numbers, names and + - * /.',
    });
  };
  const sum = (depth: number): Expression => chain(depth, product, "+", "-");
  const product = (depth: number): Expression => chain(depth, factor, "*", "/");
  const chain = (
    depth: number,
    operand: (depth: number) => Expression,
    ...operators: readonly Operator[]
  ): Expression => {
    let left = operand(depth);
    for (;;) {
      const operator = operators.find((each) => tokens[at]?.kind === "sign" && tokens[at]?.text === each);
      if (operator === undefined) return left;
      at++;
      left = { kind: "operation", operator, left, right: operand(depth) };
    }
  };
  const factor = (depth: number): Expression => {
    if (depth > MAX_DEPTH) return fail();
    const token = tokens[at];
    if (token === undefined) return fail();
    at++;
    if (token.kind === "number") return { kind: "number", value: Number(token.text) };
    if (token.kind === "name") return { kind: "name", name: token.text };
    if (token.text === "-") {
      return { kind: "operation", operator: "-", left: { kind: "number", value: 0 }, right: factor(depth + 1) };
    }
    if (token.text === "(") {
      const inner = sum(depth + 1);
      if (tokens[at]?.text !== ")") return fail();
      at++;
      return inner;
    }
    at--;
    return fail();
  };
  const whole = sum(0);
  return at === tokens.length ? whole : fail();
}

interface Token {
  readonly kind: "number" | "name" | "sign";
  readonly text: string;
}

function tokenize(source: string, text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (source.slice(TOKEN.lastIndex).trim() !== "") {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (match === null) {
      throw new LightfootError(
        "E_IMPACT",
        `the expression '${text}' cannot be read at '${source.slice(from).trim()}'`,
        {
          hint: "Expressions take numbers, names and the operators + - * /.",
        },
      );
    }
    const [, number, name, double, single, sign] = match;
    if (number !== undefined) tokens.push({ kind: "number", text: number });
    else if (sign !== undefined) tokens.push({ kind: "sign", text: sign });
    else tokens.push({ kind: "name", text: name ?? double ?? single });
    if (tokens.length > MAX_TOKENS) {
      throw new LightfootError("E_IMPACT", `an expression has more than ${MAX_TOKENS} parts`);
    }
  }
  return tokens;
}

/** The value of an expression, given the value of each name. */
export function evaluate(expression: Expression, valueOf: (name: string) => number): number {
  if (expression.kind === "number") return expression.value;
  if (expression.kind === "name") return valueOf(expression.name);
  const left = evaluate(expression.left, valueOf);
  const right = evaluate(expression.right, valueOf);
  return OPERATIONS[expression.operator](left, right);
}

const OPERATIONS: Readonly<Record<Operator, (left: number, right: number) => number>> = {
  "+": (left, right) => left + right,
  "-": (left, right) => left - right,
  "*": (left, right) => left * right,
  "/": (left, right) => left / right,
};

/** The names that an expression uses. */
export function namesIn(expression: Expression): string[] {
  if (expression.kind === "name") return [expression.name];
  return expression.kind === "number" ? [] : [...namesIn(expression.left), ...namesIn(expression.right)];
}
