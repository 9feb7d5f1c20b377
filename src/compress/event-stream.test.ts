// Tests of work turned into a stream of events; depends on the file beside it.
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { streaming } from "./event-stream.ts";

async function collect<E, R>(stream: AsyncGenerator<E, R>): Promise<{ events: E[]; result: R }> {
  const events: E[] = [];
  for (let next = await stream.next(); ; next = await stream.next()) {
    if (next.done === true) return { events, result: next.value };
    events.push(next.value);
  }
}

describe("streaming", () => {
  it("passes on every event in order, those of the last moment too, and then the result", async () => {
    const stream = streaming<number, string>(async (emit) => {
      emit(1);
      await setTimeout(1);
      emit(2);
      emit(3);
      return "done";
    });
    expect(await collect(stream)).toEqual({ events: [1, 2, 3], result: "done" });
  });

  it("hands out what came before an error, then throws it", async () => {
    const stream = streaming<number, string>(async (emit) => {
      emit(1);
      await setTimeout(1);
      throw new Error("broken");
    });
    expect((await stream.next()).value).toBe(1);
    await expect(stream.next()).rejects.toThrow("broken");
  });
});
