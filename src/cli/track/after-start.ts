// What `track` loads while the command already runs, named in one place so that the build can join it into one file; may depend on this room.
export { follow } from "./follow.ts";
export { openRun } from "./open-run.ts";
