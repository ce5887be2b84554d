/**
 * What a guard knows of a character: one 32-bit integer, found with two loads from the code point. The low bits are the
 * symbol that the character folds to (0: it is in no word), the others say how the scanner has to take it. Together with
 * the mask that the scanner keeps they let it pass over a character in which nothing can begin with one comparison.
 *
 * The bits for patterns (`Wake` in pattern_class) lie above all but the last of these.
 */
const enum Entry {
  /** The symbol; of a character that stands for several, the number of its expansion. */
  Symbol = 0xfffff,
  /** A letter or digit of a script that sets words apart by spaces: whole words end beside others only. */
  Word = 0x100000,
  /** Some word begins with the symbol, */
  Starts = 0x200000,
  /** also right behind a `Word` character. `Starts` shifted left by the `Word` bit of the character before. */
  StartsInside = 0x400000,
  /** A backslash, a quote, or what stands between values: of meaning in JSON that stands inside a JSON string. */
  Inner = 0x800000,
  Separator = 0x1000000,
  Ignored = 0x2000000,
  /** Stands for several symbols. */
  Expands = 0x4000000,
  /**
   * The sign: its traits (`letters`) say what it is. A letter whose marks some word compares, a letter of Hangul, or, with
   * `Ignored`, a mark. Set only where some word of the lexicon asks for it.
   */
  Letter = -0x80000000,
}

/** What a symbol and the bits of words leave of an entry that is taken like any other. */
const TAKEN = 0x7dffffff;

/** What `Word` has to be shifted by to become 1. */
const WORD_SHIFT = 20;

/** Code points in a page of the character table, and the bits that number them. */
const PAGE_SIZE = 128;
const PAGE_BITS = 7;
/** Pages of all planes. */
const PAGE_COUNT = 8704;

export { Entry, TAKEN, PAGE_BITS, PAGE_COUNT, PAGE_SIZE, WORD_SHIFT };
