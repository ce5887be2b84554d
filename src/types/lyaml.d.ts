/** @noSelfInFile */

/** A place in a YAML text. Line and column count from 0. */
declare interface YamlMark {
  readonly line: number;
  readonly column: number;
  /** Characters, not bytes, before it. */
  readonly index: number;
}

/** One event of libyaml's parser: https://pyyaml.org/wiki/LibYAML */
declare interface YamlEvent {
  readonly type:
    | "STREAM_START"
    | "STREAM_END"
    | "DOCUMENT_START"
    | "DOCUMENT_END"
    | "ALIAS"
    | "SCALAR"
    | "SEQUENCE_START"
    | "SEQUENCE_END"
    | "MAPPING_START"
    | "MAPPING_END";
  readonly start_mark: YamlMark;
  readonly end_mark: YamlMark;
  readonly anchor?: string;
  readonly tag?: string;
  readonly value?: string;
  readonly style?: "PLAIN" | "SINGLE_QUOTED" | "DOUBLE_QUOTED" | "LITERAL" | "FOLDED" | "BLOCK" | "FLOW";
}

/**
 * The event parser that lyaml is built on (the module `yaml` of the same package).
 * @noResolution
 */
declare module "yaml" {
  /** An iterator over the events of `text`. A call of it throws a string when the text is not YAML. */
  export function parser(this: void, text: string): (this: void) => YamlEvent | undefined;
}
