/** What the patterns tell apart: a class for each character, and the bits by which a machine asks to be woken for one. */

const enum CharacterClass {
  Other = 0,
  /** An ASCII letter, but X. */
  Letter = 1,
  /** The last place of an identity number may be an X. */
  X = 2,
  At = 3,
  Dot = 4,
  /** Any dash. */
  Hyphen = 5,
  /** One white space character, but those that end a line. */
  Space = 6,
  /** One of `_ % +`. */
  Sign = 7,
  /** A letter or digit beyond ASCII, of a script that sets words apart by spaces. */
  Word = 8,
  /** Any other punctuation, symbol or line end. */
  Separator = 9,
  /** The digit 0; the others follow. */
  Zero = 16,
}

/** Bits above those of `Entry`. A machine is handed a character if one of the bits is in its `wake`. */
const enum Wake {
  Digit = 0x8000000,
  /** May stand in the local part of an e-mail address. */
  Local = 0x10000000,
  /** Every other character: one of these two bits is set for each. */
  Nonlocal = 0x20000000,
}

/** Whether a code point is a hyphen, a dash or a minus sign of any width. */
function is_dash(code_point: number): boolean {
  return (
    code_point === 0x2d ||
    (code_point >= 0x2010 && code_point <= 0x2015) ||
    code_point === 0x2212 ||
    code_point === 0x2e3a ||
    code_point === 0x2e3b ||
    code_point === 0xfe58 ||
    code_point === 0xfe63 ||
    code_point === 0xff0d
  );
}

/** Whether a code point is white space (White_Space of the Unicode Character Database) that doesn't end a line. */
function is_blank(code_point: number): boolean {
  return (
    code_point === 0x20 ||
    code_point === 9 ||
    code_point === 0xa0 ||
    code_point === 0x1680 ||
    (code_point >= 0x2000 && code_point <= 0x200a) ||
    code_point === 0x202f ||
    code_point === 0x205f ||
    code_point === 0x3000
  );
}

/** An ASCII punctuation character, or the one that a full-width form (U+FF01 to U+FF5E) stands for; else the code point. */
function narrow(code_point: number): number {
  return code_point >= 0xff01 && code_point <= 0xff5e ? code_point - 0xfee0 : code_point;
}

/**
 * The class of a character. `representative`: the code point it folds to, whatever it is if `is_separator`; `is_word`: it
 * belongs to a script that sets words apart by spaces; `original`: the code point itself, which decides among separators.
 */
function class_of(representative: number, is_separator: boolean, is_word: boolean, original: number): number {
  const mark = narrow(original);
  if (mark === 0x40) {
    return CharacterClass.At;
  }
  if (mark === 0x2e) {
    return CharacterClass.Dot;
  }
  if (mark === 0x5f || mark === 0x25 || mark === 0x2b) {
    return CharacterClass.Sign;
  }
  if (is_dash(original)) {
    return CharacterClass.Hyphen;
  }
  if (is_blank(original)) {
    return CharacterClass.Space;
  }
  if (is_separator) {
    return CharacterClass.Separator;
  }
  if (representative >= 48 && representative <= 57) {
    return CharacterClass.Zero + representative - 48;
  }
  if (representative === 120 || representative === 88) {
    return CharacterClass.X;
  }
  if ((representative >= 97 && representative <= 122) || (representative >= 65 && representative <= 90)) {
    return CharacterClass.Letter;
  }
  return is_word ? CharacterClass.Word : CharacterClass.Other;
}

/** The bits of a class: for which states of the machines it is of interest. */
function wake_of(character_class: number): number {
  if (character_class >= CharacterClass.Zero) {
    return Wake.Digit + Wake.Local;
  }
  const is_local =
    character_class === CharacterClass.Letter ||
    character_class === CharacterClass.X ||
    character_class === CharacterClass.Dot ||
    character_class === CharacterClass.Hyphen ||
    character_class === CharacterClass.Sign;
  return is_local ? Wake.Local : Wake.Nonlocal;
}

export { CharacterClass, Wake, class_of, wake_of };
