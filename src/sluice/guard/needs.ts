/** Which characters the scanner has to look at more closely because of a lexicon's words (`Entry.Letter`): none for most lists in English or Chinese. */

import * as bits from "bit";
import { is_hangul } from "./jamo";
import { counts } from "./traits";
import { LetterBits, WordBits } from "./words";
import type { Automaton } from "./automaton";
import type { Words } from "./words";

const band = bits.band;
const bor = bits.bor;

interface Needs {
  /** Whether there is any. */
  any: boolean;
  /** Marks are added to the letters before them. */
  marks: boolean;
  /** Marks behind characters of scripts where they count are characters of words. */
  counting: boolean;
  /** Letters of Hangul are put together. */
  hangul: boolean;
  /** By representative: its letters' marks are compared. */
  compared: LuaTable<number, true | undefined>;
  /** By representative: the bits `WordBits.Greek` and `WordBits.Cyrillic` of words that want to know whose letter it was. */
  scripts: LuaTable<number, number | undefined>;
}

/** Notes the letters of a word that are compared. */
function add_letters(needs: Needs, words: Words, word: number): void {
  let at = band(words.bits[word]!, WordBits.Compared) !== 0 ? words.letters[word]! : 0;
  while (at !== 0 && words.extras[at] !== 0) {
    const index = band(words.extras[at]!, LetterBits.Index) - 1;
    needs.compared.set(words.characters[words.starts[word]! + index]!, true);
    needs.marks = true;
    at += 2;
  }
}

/** What the words ask for. */
function needs_of(words: Words, automaton: Automaton): Needs {
  const needs: Needs = { any: false, marks: false, counting: false, hangul: false, compared: new LuaTable(), scripts: new LuaTable() };
  for (const symbol of $range(1, automaton.symbol_count)) {
    const character = automaton.characters[symbol]!;
    needs.counting = needs.counting || counts(character);
    needs.hangul = needs.hangul || is_hangul(character);
  }
  let own = false;
  for (const word of $range(1, words.count)) {
    add_letters(needs, words, word);
    const scripts = band(words.bits[word]!, WordBits.Greek + WordBits.Cyrillic);
    if (scripts !== 0) {
      own = true;
      for (const at of $range(words.starts[word]!, words.starts[word + 1]! - 1)) {
        const character = words.characters[at]!;
        needs.scripts.set(character, bor(needs.scripts.get(character) ?? 0, scripts));
      }
    }
  }
  needs.any = needs.marks || needs.counting || needs.hangul || own;
  return needs;
}

export { needs_of };
export type { Needs };
