// The inside of a pool's worker thread, started as compiled JavaScript: runs one task after another and leaves when told; may depend on errors and its room.
import { parentPort } from "node:worker_threads";
import { asLightfootError, LightfootError } from "../errors/index.ts";
import type { FromWorker, Task, TaskContext, TaskFunction, ToWorker } from "./task-runner.ts";

if (parentPort === null) throw new LightfootError("E_INTERNAL", "task-worker is no program of its own");
const port = parentPort;

const send = (message: FromWorker, memory: ArrayBuffer[] = []): void => port.postMessage(message, memory);

async function execute(task: Task, stopFlag: SharedArrayBuffer): Promise<void> {
  const flag = new Int32Array(stopFlag);
  const handedOver: ArrayBuffer[] = [];
  const context: TaskContext = {
    signal: {
      get aborted() {
        return Atomics.load(flag, 0) === 1;
      },
    },
    progress: (value) => send({ kind: "progress", value }),
    transfer: (memory) => void handedOver.push(memory),
  };
  try {
    const loaded = (await import(task.module)) as Record<string, TaskFunction<unknown, unknown> | undefined>;
    const name = task.function ?? "run";
    const perform = loaded[name];
    if (perform === undefined) throw new LightfootError("E_INTERNAL", `${task.module} exports no '${name}'`);
    send({ kind: "done", result: await perform(task.input, context) }, handedOver);
  } catch (thrown) {
    send({ kind: "failed", error: asLightfootError(thrown).toJSON() });
  }
}

port.on("message", (message: ToWorker) => {
  if (message.kind === "run") void execute(message.task, message.stopFlag);
  else port.close(); // with its port closed nothing keeps the thread alive, and it ends by itself
});
