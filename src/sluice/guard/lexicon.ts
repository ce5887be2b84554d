/**
 * A compiled lexicon as it lies in memory: one block of bytes, which is also the file's content, so that it is
 * mapped, checked and used without being read into anything else, and shared by all workers.
 *
 * It begins with a header of 32-bit integers in the machine's order: the magic number, the format, the size in bytes, a checksum, the
 * version of the fold, and by section its offset and its count of elements. All sections are int32 but for the classes, columns and
 * names, which are bytes, and the cells, which are int16. A file that was cut off, altered, made by another version or by something else is refused.
 */

import * as bits from "bit";
import * as ffi from "ffi";
import { new_tables } from "./tables";
import type { Tables } from "./tables";

const band = bits.band;
const bxor = bits.bxor;
const rol = bits.rol;
const tobit = bits.tobit;

/** "SLEX", read as a little-endian integer; a file from a machine of the other order does not match. */
const MAGIC = 0x58454c53;
/** Raised whenever the layout or the meaning of anything changes. */
const FORMAT = 3;

/** The integers of the header before the sections' offsets and counts. */
const enum Header {
  Magic = 0,
  Format = 1,
  Bytes = 2,
  Checksum = 3,
  /** Sixteen bytes. */
  Fold = 4,
  States = 8,
  Sections = 9,
}

const enum Section {
  Link = 0,
  Check = 1,
  Fail = 2,
  Resume = 3,
  Info = 4,
  Out = 5,
  Next = 6,
  WordBits = 7,
  Gaps = 8,
  Letters = 9,
  Extras = 10,
  Pages = 11,
  Entries = 12,
  Classes = 13,
  Expansions = 14,
  ExpansionEntries = 15,
  ExpansionClasses = 16,
  /** The words themselves, for joining lexicons: where each begins, and their characters. */
  WordStarts = 17,
  WordCharacters = 18,
  /** Names of the lists, each followed by a zero byte. */
  Names = 19,
  /** The table of ASCII characters: its cells (int16), the state of each row, the rows of states, and the columns of characters. */
  Cells = 20,
  RowStates = 21,
  RowPairs = 22,
  Columns = 23,
  Count = 24,
}

const HEADER_INTEGERS = Header.Sections + Section.Count * 2;
const FOLD_BYTES = 16;

interface Lexicon {
  /** Keeps the bytes alive. */
  owner: unknown;
  bytes: number;
  states: number;
  words: number;
  link: Int32Buffer;
  check: Int32Buffer;
  fail: Int32Buffer;
  resume: Int32Buffer;
  info: Int32Buffer;
  out: Int32Buffer;
  next: Int32Buffer;
  word_bits: Int32Buffer;
  gaps: Int32Buffer;
  letters: Int32Buffer;
  extras: Int32Buffer;
  extras_size: number;
  pages: Int32Buffer;
  entries: Int32Buffer;
  classes: Bytes;
  expansions: Int32Buffer;
  expansion_entries: Int32Buffer;
  expansion_classes: Int32Buffer;
  word_starts: Int32Buffer;
  word_characters: Int32Buffer;
  /** The lists' names, in order. */
  names: string[];
  /** What the fast loops look at. */
  tables: Tables;
}

/** A section to be written: its elements, how many, and the bytes of each. */
interface Piece {
  data: unknown;
  count: number;
  width: number;
}

/** Mixes all integers of an image but its checksum. */
function checksum(image: Int32Buffer, count: number): number {
  let first = 0x2545f491;
  let second = count;
  for (const at of $range(0, count - 1)) {
    if (at !== Header.Checksum) {
      first = bxor(rol(first, 5), image[at]!);
      second = tobit(rol(second, 7) + first);
    }
  }
  return bxor(first, second);
}

/** The address of a byte of a block. */
function pointer_at(block: Bytes, offset: number): unknown {
  return (block as unknown as number) + offset;
}

function aligned(bytes: number): number {
  return math.ceil(bytes / 4) * 4;
}

/** An image made of its sections, in the order of `Section`. Returns its bytes and how many there are. */
function write_image(pieces: Piece[], states: number, fold_version: string): LuaMultiReturn<[image: Bytes, bytes: number]> {
  let bytes = HEADER_INTEGERS * 4;
  for (const piece of pieces) {
    bytes += aligned(piece.count * piece.width);
  }
  const image = ffi.new<Bytes>("uint8_t[?]", bytes);
  const header = ffi.cast<Int32Buffer>("int32_t *", image);
  header[Header.Magic] = MAGIC;
  header[Header.Format] = FORMAT;
  header[Header.Bytes] = bytes;
  header[Header.States] = states;
  const version = string.sub(`${fold_version}${string.rep("\0", FOLD_BYTES)}`, 1, FOLD_BYTES);
  for (const index of $range(1, FOLD_BYTES)) {
    image[Header.Fold * 4 + index - 1] = string.byte(version, index)!;
  }
  let offset = HEADER_INTEGERS * 4;
  let section = 0;
  for (const piece of pieces) {
    header[Header.Sections + section * 2] = offset;
    header[Header.Sections + section * 2 + 1] = piece.count;
    const length = piece.count * piece.width;
    if (length > 0) {
      ffi.copy(pointer_at(image, offset), piece.data, length);
    }
    offset += aligned(length);
    section += 1;
  }
  header[Header.Checksum] = checksum(header, bytes / 4);
  return $multi(image, bytes);
}


/** How many elements of what width fit where a section says it lies; a sound image has no section beyond its end. */
function is_inside(header: Int32Buffer, bytes: number): boolean {
  for (const section of $range(0, Section.Count - 1)) {
    const offset = header[Header.Sections + section * 2]!;
    const count = header[Header.Sections + section * 2 + 1]!;
    const width = section === Section.Classes || section === Section.Columns || section === Section.Names ? 1 : section === Section.Cells ? 2 : 4;
    if (offset < HEADER_INTEGERS * 4 || band(offset, 3) !== 0 || count < 0 || offset + count * width > bytes) {
      return false;
    }
  }
  return true;
}

/** The header's text of the fold's version. */
function fold_of(header: Int32Buffer): string {
  const [text] = string.gsub(ffi.string(pointer_at(header as unknown as Bytes, Header.Fold), FOLD_BYTES), "%z+$", "");
  return text;
}

/** Why a block of bytes is no lexicon that could be used here; undefined if it is one. */
function objection(block: Bytes, bytes: number, fold_version: string): string | undefined {
  const header = ffi.cast<Int32Buffer>("int32_t *", block);
  if (bytes < HEADER_INTEGERS * 4 || header[Header.Magic] !== MAGIC) {
    return "it is not a compiled lexicon";
  }
  if (header[Header.Format] !== FORMAT) {
    return "it was compiled by another version of Sluice; compile it again";
  }
  if (header[Header.Bytes] !== bytes) {
    return `it is incomplete: it has ${bytes} of ${header[Header.Bytes]} bytes`;
  }
  if (header[Header.Checksum] !== checksum(header, bytes / 4) || !is_inside(header, bytes)) {
    return "it is damaged: its checksum does not fit";
  }
  if (fold_of(header) !== string.sub(fold_version, 1, FOLD_BYTES)) {
    return "it was compiled with another character table; compile it again";
  }
  return undefined;
}

/** Whether a file's content is meant to be a compiled lexicon. */
function is_image(content: string): boolean {
  return string.sub(content, 1, 4) === "SLEX";
}

function split_names(text: string): string[] {
  const names: string[] = [];
  for (const [name] of string.gmatch(text, "([^%z]*)%z")) {
    names.push(name!);
  }
  return names;
}

/**
 * The lexicon in a block of bytes, which must begin at a multiple of 4 and stay as it is; `owner` keeps it so. Returns
 * undefined and a reason if it is none.
 */
function open_image(
  block: Bytes,
  bytes: number,
  fold_version: string,
  owner: unknown,
): LuaMultiReturn<[lexicon: Lexicon | undefined, reason: string | undefined]> {
  const reason = objection(block, bytes, fold_version);
  if (reason !== undefined) {
    return $multi(undefined, reason);
  }
  const header = ffi.cast<Int32Buffer>("int32_t *", block);
  const section = (number: Section): Int32Buffer =>
    ffi.cast<Int32Buffer>("int32_t *", pointer_at(block, header[Header.Sections + number * 2]!));
  const count = (number: Section): number => header[Header.Sections + number * 2 + 1]!;
  const lexicon: Lexicon = {
    owner,
    bytes,
    states: header[Header.States]!,
    words: count(Section.WordBits) - 1,
    link: section(Section.Link),
    check: section(Section.Check),
    fail: section(Section.Fail),
    resume: section(Section.Resume),
    info: section(Section.Info),
    out: section(Section.Out),
    next: section(Section.Next),
    word_bits: section(Section.WordBits),
    gaps: section(Section.Gaps),
    letters: section(Section.Letters),
    extras: section(Section.Extras),
    extras_size: count(Section.Extras),
    pages: section(Section.Pages),
    entries: section(Section.Entries),
    classes: pointer_at(block, header[Header.Sections + Section.Classes * 2]!) as Bytes,
    expansions: section(Section.Expansions),
    expansion_entries: section(Section.ExpansionEntries),
    expansion_classes: section(Section.ExpansionClasses),
    word_starts: section(Section.WordStarts),
    word_characters: section(Section.WordCharacters),
    tables: new_tables(),
    names: split_names(ffi.string(pointer_at(block, header[Header.Sections + Section.Names * 2]!), count(Section.Names))),
  };
  const { tables } = lexicon;
  tables.link = lexicon.link;
  tables.check = lexicon.check;
  tables.fail = lexicon.fail;
  tables.resume = lexicon.resume;
  tables.info = lexicon.info;
  tables.pages = lexicon.pages;
  tables.entries = lexicon.entries;
  tables.cells = ffi.cast<Int32Buffer>("int16_t *", pointer_at(block, header[Header.Sections + Section.Cells * 2]!));
  tables.row_states = section(Section.RowStates);
  tables.row_pairs = section(Section.RowPairs);
  tables.columns = pointer_at(block, header[Header.Sections + Section.Columns * 2]!) as Bytes;
  return $multi(lexicon, undefined);
}

export { Section, is_image, open_image, write_image };
export type { Lexicon, Piece };
