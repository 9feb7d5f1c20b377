// The child's side of `node-child`: its task from standard input, its answer to standard output; may depend on node-child.
import { text } from "node:stream/consumers";
import type { ChildAnswer } from "./node-child.ts";

/** What the parent sent. */
export async function readTask<Task>(): Promise<Task> {
  return JSON.parse(await text(process.stdin)) as Task;
}

/** The one thing the child prints. */
export function answerParent(answer: ChildAnswer<unknown>): void {
  process.stdout.write(JSON.stringify(answer));
}
