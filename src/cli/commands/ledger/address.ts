// Where a server listens, as people type it; depends on nothing.

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `9464` and `:9464` listen to this machine alone; `0.0.0.0:9464` to everybody. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:(?<host>[^:\s]+|\[[0-9a-fA-F:]+\])?:)?(?<port>\d{1,5})$/.exec(text);
  const port = Number(match?.groups?.["port"]);
  if (match === null || port > 65_535) return undefined;
  return { host: match.groups?.["host"]?.replaceAll(/[[\]]/g, "") ?? "127.0.0.1", port };
}
