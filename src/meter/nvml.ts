// NVIDIA's management library through koffi: energy counters and power of each card; may depend on koffi (optional) and Node.

/** One graphics card. Numbers are undefined where the card or the driver has none. */
export interface NvmlDevice {
  readonly index: number;
  readonly name: string;
  readonly uuid: string;
  /** W, the highest limit that can be set. */
  readonly mostWatts?: number;
  /** mJ since the driver was loaded (Volta and newer). */
  energyMillijoules(): bigint | undefined;
  /** W now: the instantaneous field where there is one, else `nvmlDeviceGetPowerUsage` (a 1 s average on Ampere and newer, save GA100). */
  powerWatts(): number | undefined;
}

export interface Nvml {
  readonly devices: readonly NvmlDevice[];
  close(): void;
}

export type NvmlResult = { readonly nvml: Nvml } | { readonly error: string; readonly lacksKoffi?: boolean };

const SUCCESS = 0;
const POWER_INSTANT = 186; // NVML_FI_DEV_POWER_INSTANT
const MOST_DEVICES = 256;
// nvmlFieldValue_t: fieldId u32, scopeId u32, timestamp i64, latencyUsec i64, valueType i32, nvmlReturn i32, value u64.
const FIELD_BYTES = 40;
const FIELD_RETURN = 28;
const FIELD_TYPE = 24;
const FIELD_VALUE = 32;
const TYPE_UNSIGNED_INT = 1;

/** @throws Error when koffi is not installed */
async function loadKoffi() {
  const { default: koffi } = await import("koffi");
  return koffi;
}

type Koffi = Awaited<ReturnType<typeof loadKoffi>>;

/**
 * Opens the library; koffi is loaded only here.
 *
 * @param library `libnvidia-ml.so.1`, `nvml.dll`, or a path
 */
export async function openNvml(library: string): Promise<NvmlResult> {
  let koffi: Koffi;
  try {
    koffi = await loadKoffi();
  } catch {
    return { error: "the optional package koffi is not installed", lacksKoffi: true };
  }
  try {
    return { nvml: bind(koffi, library) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

function bind(koffi: Koffi, library: string): Nvml {
  const loaded = koffi.load(library);
  const init = loaded.func("int nvmlInit_v2()");
  const shutdown = loaded.func("int nvmlShutdown()");
  const errorString = loaded.func("const char *nvmlErrorString(int)");
  const getCount = loaded.func("int nvmlDeviceGetCount_v2(_Out_ uint32_t *)");
  const getHandle = loaded.func("int nvmlDeviceGetHandleByIndex_v2(uint32_t, _Out_ void **)");
  const getName = loaded.func("int nvmlDeviceGetName(void *, uint8_t *, uint32_t)");
  const getUuid = loaded.func("int nvmlDeviceGetUUID(void *, uint8_t *, uint32_t)");
  const getEnergy = loaded.func("int nvmlDeviceGetTotalEnergyConsumption(void *, _Out_ uint64_t *)");
  const getPower = loaded.func("int nvmlDeviceGetPowerUsage(void *, _Out_ uint32_t *)");
  const getLimits = loaded.func(
    "int nvmlDeviceGetPowerManagementLimitConstraints(void *, _Out_ uint32_t *, _Out_ uint32_t *)",
  );
  const getFields = optional(() => loaded.func("int nvmlDeviceGetFieldValues(void *, int, uint8_t *)"));

  const check = (code: number, what: string): void => {
    if (code !== SUCCESS) throw new Error(`${what}: ${String(errorString(code))} (NVML ${code})`);
  };
  const textOf = (get: (handle: unknown, buffer: Buffer, length: number) => number, handle: unknown): string => {
    const buffer = Buffer.alloc(96);
    if (get(handle, buffer, buffer.length) !== SUCCESS) return "";
    const end = buffer.indexOf(0);
    return buffer.toString("utf8", 0, end < 0 ? buffer.length : end);
  };

  check(init(), "nvmlInit_v2");
  const count: number[] = [0];
  check(getCount(count), "nvmlDeviceGetCount_v2");
  const devices = Array.from({ length: Math.min(count[0], MOST_DEVICES) }, (_, index) => device(index));

  function device(index: number): NvmlDevice {
    const handles: unknown[] = [null];
    check(getHandle(index, handles), `card ${index}`);
    const [handle] = handles;
    const [energy, power]: [(number | bigint)[], number[]] = [[0], [0]];
    const [least, most]: [number[], number[]] = [[0], [0]];
    const hasLimits = getLimits(handle, least, most) === SUCCESS && most[0] > 0;
    // A field is asked for with its id filled in; the same buffer serves every call.
    const field = Buffer.alloc(FIELD_BYTES);
    let hasInstant = getFields !== undefined;
    const instantWatts = (): number | undefined => {
      field.fill(0).writeUInt32LE(POWER_INSTANT, 0);
      if (getFields === undefined || getFields(handle, 1, field) !== SUCCESS) return undefined;
      if (field.readInt32LE(FIELD_RETURN) !== SUCCESS || field.readInt32LE(FIELD_TYPE) !== TYPE_UNSIGNED_INT)
        return undefined;
      return field.readUInt32LE(FIELD_VALUE) / 1e3;
    };
    return {
      index,
      name: textOf(getName, handle),
      uuid: textOf(getUuid, handle),
      ...(hasLimits ? { mostWatts: most[0] / 1e3 } : {}),
      energyMillijoules: () => (getEnergy(handle, energy) === SUCCESS ? BigInt(energy[0]) : undefined),
      powerWatts() {
        const watts = hasInstant ? instantWatts() : undefined;
        hasInstant = watts !== undefined;
        return watts ?? (getPower(handle, power) === SUCCESS ? power[0] / 1e3 : undefined);
      },
    };
  }

  return { devices, close: () => void shutdown() };
}

/** A function that older drivers do not have. */
function optional<T>(load: () => T): T | undefined {
  try {
    return load();
  } catch {
    return undefined;
  }
}
