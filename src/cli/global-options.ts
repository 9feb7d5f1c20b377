// Options that every verb takes; depends on nothing.

/** Flag and what it does. */
export const GLOBAL_OPTIONS = [
  ["--json", "print the result as one JSON document, and errors as JSON on stderr"],
  ["--quiet", "no narration on stderr"],
  ["--verbose", "show the stack of an error"],
  ["--strict", "exit 1 when the result rests on assumptions"],
] as const;
