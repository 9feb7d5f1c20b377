// The node's power from its management controller, through `ipmitool dcmi power reading`; may depend on its room.
import { join } from "node:path";
import type { Commands } from "./command.ts";
import type { MeterEnvironment, Opened } from "./environment.ts";
import { polledSource, type Polled } from "./polled.ts";
import { namesIn } from "./small-files.ts";
import type { Domain, Remedy } from "./source.ts";

const ARGUMENTS = ["dcmi", "power", "reading"];
/** Where `ipmitool` looks for the controller. */
const DEVICES = [
  { folder: ".", name: "ipmi0" },
  { folder: "ipmi", name: "0" },
  { folder: "ipmidev", name: "0" },
];
const LIMIT_SECONDS = 1.8;
/** Controllers average over a second or more, and each question starts a process. */
const EVERY_SECONDS = 5;
const NODE_WATTS = 20_000;

const NODE: Domain = {
  id: "ipmi:node",
  label: "node (management controller)",
  kind: "node",
  method: "measured",
  countsTowardsTotal: true,
  power: { mostWatts: NODE_WATTS, longestStepSeconds: 30 },
  sources: ["IPMI/DCMI instantaneous power reading, whole watts"],
};

/**
 * Watts in the text of `ipmitool dcmi power reading`.
 *
 * @example parseDcmi("    Instantaneous power reading:                   190 Watts") // { watts: 190 }
 */
export function parseDcmi(text: string): Polled {
  const found = /^\s*Instantaneous power reading:\s*(\d{1,7}) Watts\s*$/m.exec(text);
  if (found === null) return { error: "ipmitool printed no instantaneous power reading" };
  if (/Power reading state is:\s*deactivated/i.test(text))
    return { error: "the controller's power reading is switched off" };
  const watts = Number(found[1]);
  // Controllers without the sensor answer 0; a node that runs this program does not draw 0 W.
  return watts === 0 ? { error: "the controller reads 0 W, so it has no power sensor" } : { watts };
}

async function ask(commands: Commands): Promise<Polled & { readonly isMissing?: boolean }> {
  const { stdout, error, isMissing = false } = await commands.run("ipmitool", ARGUMENTS, LIMIT_SECONDS);
  return error === undefined ? parseDcmi(stdout) : { error, isMissing };
}

/** Opens the controller when `ipmitool` gives a power. */
export async function openIpmi({ commands, clock, files, devRoot }: MeterEnvironment): Promise<Opened> {
  const hasController = DEVICES.some(({ folder, name }) => namesIn(files, join(devRoot, folder)).includes(name));
  if (!hasController) {
    const message = `no management controller below ${devRoot} (ipmi0)`;
    return { problems: [{ source: "ipmi", code: "absent", message, remedies: [LOAD_DRIVER] }] };
  }
  const first = await ask(commands);
  if ("error" in first) {
    const isDenied = /could not open device|permission/i.test(first.error);
    return {
      problems: [
        {
          source: "ipmi",
          code: first.isMissing === true ? "absent" : isDenied ? "permission" : "broken",
          message: first.error,
          remedies: first.isMissing === true ? INSTALL : isDenied ? PERMISSION : [],
        },
      ],
    };
  }
  const poll = () => ask(commands);
  return {
    problems: [],
    source: polledSource({ name: "ipmi", domain: NODE, poll, everySeconds: EVERY_SECONDS, clock }),
  };
}

const LOAD_DRIVER: Remedy = {
  what: "On a server that has one, load its driver and install the tool",
  command: "sudo modprobe -a ipmi_devintf ipmi_si && sudo apt-get install ipmitool",
};
const INSTALL: readonly Remedy[] = [
  { what: "Install the tool that asks the controller", command: "sudo apt-get install ipmitool" },
];
const PERMISSION: readonly Remedy[] = [
  {
    what: "Let a group use the controller (it may also switch the machine off: prefer the other sources)",
    command: `echo 'KERNEL=="ipmi*", GROUP="energy", MODE="0660"' | sudo tee /etc/udev/rules.d/71-ipmi.rules && sudo udevadm control --reload && sudo udevadm trigger`,
  },
];
