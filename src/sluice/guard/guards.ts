/** A guard as requests meet it: what it looks for, and where. */

import type { Lexicon } from "./lexicon";

interface Guard {
  name: string;
  on_prompt: boolean;
  on_completion: boolean;
  /** All its lists in one. */
  lexicon: Lexicon;
  /** What reports call its lists, in the order of their numbers. */
  lists: string[];
  /** Bits of `Pattern`: those it looks for, and those of them that are masked or blocked. */
  patterns: number;
  held_patterns: number;
  /** By `Pattern`: its `Action`. */
  pattern_actions: LuaTable<number, number>;
}

export type { Guard };
