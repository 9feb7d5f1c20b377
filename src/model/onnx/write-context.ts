// Small messages that several ONNX writers share; may depend on io.
import { MessageWriter } from "../../io/protobuf.ts";
import { ENTRY, OPSET } from "./fields.ts";

/** A map as StringStringEntryProto messages. */
export function writeEntries(
  writer: MessageWriter,
  field: number,
  entries: ReadonlyMap<string, string> | undefined,
): void {
  for (const [key, value] of entries ?? []) {
    const entry = new MessageWriter();
    entry.string(ENTRY.key, key);
    entry.string(ENTRY.value, value);
    writer.message(field, entry);
  }
}

export function writeOpsets(writer: MessageWriter, field: number, opsets: ReadonlyMap<string, number>): void {
  for (const [domain, version] of opsets) {
    const opset = new MessageWriter();
    opset.string(OPSET.domain, domain);
    opset.integer(OPSET.version, version);
    writer.message(field, opset);
  }
}

export function writeText(writer: MessageWriter, field: number, text: string | undefined): void {
  if (text !== undefined && text !== "") writer.string(field, text);
}
