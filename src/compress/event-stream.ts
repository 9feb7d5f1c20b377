// Turns work that reports through a callback into an async generator, so that a search can pass its events on; may depend on nothing.

/** Runs `work` and yields what it emits, in order, while it goes on; returns its result or throws its error. */
export async function* streaming<Event, Result>(
  work: (emit: (event: Event) => void) => Promise<Result>,
): AsyncGenerator<Event, Result> {
  const queue: Event[] = [];
  let wake: (() => void) | undefined;
  let done = false;
  const finished = work((event) => {
    queue.push(event);
    wake?.();
  }).finally(() => {
    done = true;
    wake?.();
  });
  // The error is thrown by the last line; without this a rejection in the meantime counts as unhandled.
  finished.catch(() => undefined);
  while (true) {
    for (let event = queue.shift(); event !== undefined; event = queue.shift()) yield event;
    if (done) return finished;
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (done || queue.length > 0) resolve();
    });
  }
}
