/** What was given for an argument or an option of a command, if it was given. */
function text(result: ArgumentResult, name: string): string | undefined {
  const value = result[name];
  return typeof value === "string" ? value : undefined;
}

export { text };
