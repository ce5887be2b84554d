/** @noSelfInFile */

/** What argparse makes of the command line: https://argparse.readthedocs.io */
declare interface ArgumentResult {
  [name: string]: string | boolean | string[] | undefined;
}

/** An option or an argument. Its methods return itself. */
declare interface ArgumentElement {
  choices(this: ArgumentElement, values: string[]): ArgumentElement;
  default(this: ArgumentElement, value: string): ArgumentElement;
  argname(this: ArgumentElement, name: string): ArgumentElement;
  target(this: ArgumentElement, name: string): ArgumentElement;
  /** How often it is given, such as `"1"` for one that must be. */
  count(this: ArgumentElement, count: string): ArgumentElement;
  /** Called as soon as the option has been read. */
  action(this: ArgumentElement, action: (this: void) => void): ArgumentElement;
}

/** A parser, or a command of one. */
declare interface ArgumentParser {
  argument(this: ArgumentParser, name: string, description: string): ArgumentElement;
  option(this: ArgumentParser, name: string, description: string): ArgumentElement;
  flag(this: ArgumentParser, name: string, description: string): ArgumentElement;
  command(this: ArgumentParser, name: string, description: string): ArgumentParser;
  command_target(this: ArgumentParser, name: string): ArgumentParser;
  epilog(this: ArgumentParser, text: string): ArgumentParser;
  /** Parses without ending the process for an error; `--help` still prints and ends it with 0. */
  pparse(this: ArgumentParser, values: string[]): LuaMultiReturn<[ok: boolean, result: ArgumentResult | string]>;
  get_usage(this: ArgumentParser): string;
}

/** @noResolution */
declare module "argparse" {
  function make(this: void, name: string, description?: string, epilog?: string): ArgumentParser;
  export = make;
}
