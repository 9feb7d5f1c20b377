// Removes dist/ so that a renamed file leaves no stale twin behind; depends on Node alone.
import { rmSync } from "node:fs";

rmSync(new URL("../dist", import.meta.url), { recursive: true, force: true });
