// Public face of the room `errors`; depends on its own files.
export { closestName, suggestNames } from "./closest-name.ts";
export { ERROR_CATALOG, EXIT, type ErrorCode, type ExitCode } from "./catalog.ts";
export {
  LightfootError,
  asLightfootError,
  errorFromDocument,
  formatPlace,
  type ErrorDocument,
  type Finding,
  type LightfootErrorOptions,
  type Place,
} from "./lightfoot-error.ts";
