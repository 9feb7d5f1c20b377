// The closed catalogue of error codes, each with its exit code and meaning; may depend on nothing.

/** What the process exits with; the numbers are part of the command-line contract. */
export const EXIT = {
  ok: 0,
  checkFailed: 1,
  usage: 2,
  badInput: 3,
  hardware: 4,
  network: 5,
  internal: 70,
  // What shells, `env` and `timeout` exit with when they cannot start a command.
  notExecutable: 126,
  notFound: 127,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

interface CatalogEntry {
  readonly exit: ExitCode;
  readonly meaning: string;
}

/** Every code the program can throw. A new failure gets a new line here before it gets a `throw`. */
export const ERROR_CATALOG = {
  E_USAGE: { exit: EXIT.usage, meaning: "the command line is wrong" },
  E_RANGE: { exit: EXIT.badInput, meaning: "a number lies outside the range the formula is defined on" },
  E_UNIT: { exit: EXIT.badInput, meaning: "two figures of different units were combined, or a unit is unknown" },
  E_BASIS: { exit: EXIT.badInput, meaning: "two figures with different bases (task, data, boundary) were compared" },
  E_FILE_NOT_FOUND: { exit: EXIT.badInput, meaning: "a file that was named does not exist" },
  E_FILE_READ: { exit: EXIT.badInput, meaning: "a file exists and cannot be read" },
  E_FILE_WRITE: { exit: EXIT.badInput, meaning: "a file cannot be written" },
  E_FILE_CHANGED: { exit: EXIT.badInput, meaning: "a file changed while it was being read" },
  E_FORMAT_UNKNOWN: { exit: EXIT.badInput, meaning: "the file is of no format that Lightfoot reads" },
  E_PROTOBUF: { exit: EXIT.badInput, meaning: "the protobuf encoding is broken or truncated" },
  E_CONTAINER: { exit: EXIT.badInput, meaning: "a container of lightfoot pack is damaged or breaks the format" },
  E_LIMIT: { exit: EXIT.badInput, meaning: "the input exceeds a safety limit" },
  E_ONNX: { exit: EXIT.badInput, meaning: "the ONNX model breaks a rule of the format" },
  E_ONNX_CYCLE: { exit: EXIT.badInput, meaning: "the graph's nodes depend on each other in a circle" },
  E_EXTERNAL_DATA: { exit: EXIT.badInput, meaning: "an external data reference is unsafe or does not fit its file" },
  E_TENSOR: { exit: EXIT.badInput, meaning: "a tensor's bytes, type and shape do not agree" },
  E_SHAPE: { exit: EXIT.badInput, meaning: "tensor shapes do not fit together" },
  E_SHAPE_UNKNOWN: { exit: EXIT.badInput, meaning: "a shape depends on data or on an operator without a rule" },
  E_OPERATOR: { exit: EXIT.badInput, meaning: "an operator or a combination of its attributes is not supported here" },
  E_DATA: { exit: EXIT.badInput, meaning: "a data set is malformed or does not fit the model" },
  E_DATA_PACKAGE: { exit: EXIT.badInput, meaning: "a data set comes from an npm package that is not installed" },
  E_SERIES: { exit: EXIT.badInput, meaning: "an intensity series is malformed or leaves time uncovered" },
  E_IMPACT: { exit: EXIT.badInput, meaning: "an Impact Framework manifest is malformed or cannot be run as written" },
  E_IMPACT_FINDINGS: {
    exit: EXIT.checkFailed,
    meaning: "--check was given and an Impact Framework manifest gives numbers that are wrong",
  },
  E_NOT_ALLOWED: {
    exit: EXIT.usage,
    meaning: "the input asks for something that runs only when a flag allows it, such as a command or a download",
  },
  E_METRIC: { exit: EXIT.badInput, meaning: "a metric is unknown or cannot be computed from this data" },
  E_MANIFEST: { exit: EXIT.badInput, meaning: "the manifest has mistakes" },
  E_SCENARIO: { exit: EXIT.badInput, meaning: "the scenario of a what-if has mistakes" },
  E_POLICY: { exit: EXIT.badInput, meaning: "a rule pack or the evidence for it has mistakes" },
  E_POLICY_FAILED: { exit: EXIT.checkFailed, meaning: "a rule fails, or under --strict its evidence is missing" },
  E_SCAN: {
    exit: EXIT.checkFailed,
    meaning: "a scan found code or identifiers, or could not look at everything",
  },
  E_RUNTIME: { exit: EXIT.badInput, meaning: "the inference engine refused or failed on the model" },
  E_MODEL_CHECK: {
    exit: EXIT.checkFailed,
    meaning: "a model was examined and runs slower or less accurately than it could",
  },
  E_GRADIENT: {
    exit: EXIT.badInput,
    meaning: "no gradient rule exists for something between the loss and a trainable tensor",
  },
  E_TRAIN_DIVERGED: { exit: EXIT.checkFailed, meaning: "training reached a loss that is not finite" },
  E_CHECKPOINT: { exit: EXIT.badInput, meaning: "a checkpoint is damaged or belongs to another run" },
  E_BUDGET: { exit: EXIT.checkFailed, meaning: "no candidate meets the accuracy budget" },
  E_VERIFY: { exit: EXIT.checkFailed, meaning: "a report that was verified has numbers that do not hold" },
  E_HARDWARE_UNKNOWN: { exit: EXIT.usage, meaning: "the device is not in the catalogue" },
  E_HARDWARE_DATA: {
    exit: EXIT.usage,
    meaning: "the device is of a kind, or lacks a published figure, that the estimate cannot do with",
  },
  E_MODEL_CONFIG: { exit: EXIT.badInput, meaning: "a model's config.json lacks a size or contradicts itself" },
  E_PLACE_UNKNOWN: { exit: EXIT.usage, meaning: "no place has this name, or several have" },
  E_FACT_UNKNOWN: { exit: EXIT.usage, meaning: "no fact has this id" },
  E_LEDGER: { exit: EXIT.checkFailed, meaning: "the ledger is not as it was written" },
  E_LEDGER_RUN: { exit: EXIT.usage, meaning: "the ledger has no such run, or several that begin alike" },
  E_SQL: { exit: EXIT.usage, meaning: "the query is wrong, or does something else than read the ledger" },
  E_ASSUMPTIONS: { exit: EXIT.checkFailed, meaning: "--strict was given and the result rests on assumptions" },
  E_DEPENDENCY: { exit: EXIT.hardware, meaning: "an optional package or system library is missing" },
  E_PERMISSION: { exit: EXIT.hardware, meaning: "the system denies access that the task needs" },
  E_CREDENTIALS: { exit: EXIT.network, meaning: "a web service refuses the credentials, or what they may see" },
  E_NETWORK: { exit: EXIT.network, meaning: "a network request failed" },
  E_WORKER: { exit: EXIT.internal, meaning: "a worker stopped without an answer" },
  E_COMMAND_NOT_EXECUTABLE: { exit: EXIT.notExecutable, meaning: "the command to track exists and cannot be started" },
  E_COMMAND_NOT_FOUND: { exit: EXIT.notFound, meaning: "the command to track does not exist" },
  E_INTERRUPTED: { exit: EXIT.interrupted, meaning: "the user stopped the run" },
  E_INTERNAL: { exit: EXIT.internal, meaning: "a defect of Lightfoot" },
} as const satisfies Record<string, CatalogEntry>;

export type ErrorCode = keyof typeof ERROR_CATALOG;
