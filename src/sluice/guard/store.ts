/**
 * Where compiled lexicons are kept. What a lexicon was compiled from is in its key, so a lexicon that is found
 * under a key is the one that compiling again would make.
 */

import { FOLD_VERSION } from "./fold";
import { open_image } from "./lexicon";
import type { Lexicon } from "./lexicon";

/** @noSelf */
interface LexiconStore {
  /**
   * The lexicon that is kept under a key, and the text that was kept with it. Undefined if there is none; with a
   * complaint, if there was one that is no good and is gone now.
   */
  open(key: string): LuaMultiReturn<[lexicon: Lexicon | undefined, text_or_complaint: string | undefined]>;
  /**
   * Keeps what was compiled, and a text. The lexicon can be used even if it couldn't be kept; then a complaint
   * says why. Undefined and the reason if the image is none.
   */
  keep(
    key: string,
    image: Bytes,
    bytes: number,
    text: string,
  ): LuaMultiReturn<[lexicon: Lexicon | undefined, complaint: string | undefined]>;
  /** Whether another process compiles what the key stands for: then it is worth waiting. Else `release` comes later. */
  acquire(key: string): boolean;
  release(key: string): void;
}

/** A store that only this process knows, for as long as it lives. */
function memory_store(): LexiconStore {
  const kept = new LuaTable<string, Lexicon>();
  const texts = new LuaTable<string, string>();
  return {
    open: (key) => $multi(kept.get(key) as Lexicon | undefined, texts.get(key) as string | undefined),
    keep: (key, image, bytes, text) => {
      const [lexicon, reason] = open_image(image, bytes, FOLD_VERSION, image);
      if (lexicon !== undefined) {
        kept.set(key, lexicon);
        texts.set(key, text);
      }
      return $multi(lexicon, reason);
    },
    acquire: () => true,
    release: () => {},
  };
}

export { memory_store };
export type { LexiconStore };
