/** The text of each schema file, by file name. */
export function schemaTexts(): Promise<Record<string, string>>;
