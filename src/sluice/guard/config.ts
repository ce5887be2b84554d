/**
 * The `guards` section of the configuration.
 */

import type { Schema } from "../config/schema";

type ActionName = "block" | "mask" | "flag";
type WholeWords = "ascii" | "always" | "never";
type Separators = "auto" | "ignore" | "exact";

interface LexiconConfiguration {
  file: string;
  /** What reports call it; filled in from the file's name if it was left out. */
  name?: string;
  action: ActionName;
  /** Left out: what `DEFAULT_WHOLE_WORDS` and `DEFAULT_SEPARATORS` say. A compiled list has them in itself. */
  whole_words?: WholeWords;
  separators?: Separators;
}

/** By the name of a pattern (`PATTERN_NAMES`). */
type PatternsConfiguration = LuaTable<string, ActionName | "off" | undefined>;

interface GuardConfiguration {
  name: string;
  on: ("prompt" | "completion")[];
  lexicons?: LexiconConfiguration[];
  patterns?: PatternsConfiguration;
}

/** Words of ASCII letters match whole words only; separators within a word are passed over where the list says so. */
const DEFAULT_WHOLE_WORDS: WholeWords = "ascii";
const DEFAULT_SEPARATORS: Separators = "auto";

/** As many lists as a word's `WordBits.List` can tell apart. */
const MOST_LISTS = 256;

const LEXICON_SCHEMA: Schema = {
  description: "A list of words.",
  type: "object",
  required: ["file"],
  properties: {
    file: {
      description: "A text file with one word a line, or what `sluice lexicon build` made of one.",
      type: "string",
      format: "path",
    },
    name: {
      description: "What reports call the list; the file's name, if left out.",
      type: "string",
      format: "identifier",
    },
    action: {
      description: "What is done about a match: refuse or end the answer, put blocks (█) in its place, or only count it.",
      type: "string",
      enum: ["block", "mask", "flag"],
      default: "block",
    },
    whole_words: {
      description:
        "Which words match only where no letter or digit stands beside them: those of ASCII letters (ascii, the default), all, none.",
      type: "string",
      enum: ["ascii", "always", "never"],
    },
    separators: {
      description:
        "Whether spaces and punctuation within a match are passed over: but in ASCII words (auto, the default), always, or never.",
      type: "string",
      enum: ["auto", "ignore", "exact"],
    },
  },
};

/** What is done about a pattern of that kind. */
function pattern(description: string): Schema {
  return { description, type: "string", enum: ["block", "mask", "flag", "off"] };
}

/** The `guards` section. */
const GUARDS_SCHEMA: Schema = {
  description: "What is looked for in prompts and answers. A guard works for the tenants that name it.",
  type: "array",
  default: [],
  items: {
    description: "A guard.",
    type: "object",
    required: ["name"],
    properties: {
      name: { description: "What tenants, logs and metrics call it.", type: "string", format: "identifier" },
      on: {
        description: "Where it looks.",
        type: "array",
        minItems: 1,
        items: { description: "What clients send, or what models answer.", type: "string", enum: ["prompt", "completion"] },
        default: ["prompt", "completion"],
      },
      lexicons: {
        description: "Its lists of words.",
        type: "array",
        maxItems: MOST_LISTS,
        items: LEXICON_SCHEMA,
      },
      patterns: {
        description: "Numbers and addresses of persons that it looks for, and what is done about each.",
        type: "object",
        properties: {
          cn_mobile: pattern("Mobile phone numbers of mainland China."),
          cn_id_card: pattern("Identity numbers of the People's Republic of China, by their check digit."),
          payment_card: pattern("Numbers of payment cards, by their check digit (Luhn)."),
          us_ssn: pattern("Social security numbers of the United States."),
          email: pattern("Email addresses."),
        },
      },
    },
  },
};

export { DEFAULT_SEPARATORS, DEFAULT_WHOLE_WORDS, GUARDS_SCHEMA };
export type { ActionName, GuardConfiguration, LexiconConfiguration, PatternsConfiguration, Separators, WholeWords };
