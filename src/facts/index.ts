// Public face of the room `facts`; depends on its own files.
export { matchCpu, type CpuIdentity, type CpuMatch } from "./cpu.ts";
export {
  findHardware,
  listHardware,
  machineProfile,
  parseHardwareId,
  type HardwareListing,
  type HardwareProfile,
  type PeakType,
} from "./hardware.ts";
export { suggestNames } from "./suggest.ts";
