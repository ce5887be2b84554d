// Writes what each of Unicode's 1,114,112 code points folds to, and which marks it has or is, as the Lua module that
// src/sluice/guard/fold.ts and traits.ts load.
//
//   node tools/make_fold.mjs OUTPUT [--classes]
//
// With --classes the largest classes of Chinese characters are printed: what is one character to the guard should be one
// character to a reader.
//
// The Unicode data is Node's own, so a newer Node knows more characters. Which Chinese characters are one comes from
// OpenCC's dictionaries of single characters: simplified and traditional, and the standards of Taiwan, Hong Kong and Japan.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

import japaneseToOld from "opencc-js/dict/JPShinjitaiCharacters";
import oldToJapanese from "opencc-js/dict/JPShinjitaiCharactersRev";
import hongKong from "opencc-js/dict/HKVariants";
import hongKongBack from "opencc-js/dict/HKVariantsRev";
import simplifiedToTraditional from "opencc-js/dict/STCharacters";
import traditionalToSimplified from "opencc-js/dict/TSCharacters";
import taiwan from "opencc-js/dict/TWVariants";
import taiwanBack from "opencc-js/dict/TWVariantsRev";

const CODE_POINTS = 0x110000;
const PAGE_SIZE = 128;
const IGNORED = -1;
const SEPARATOR = -2;
const FIRST_EXPANSION = -3;

/** FULL BLOCK, which the guard writes over what it masks: masked text must never match, nor vanish between two words. */
const MASK = "\u2588";

/** Arabic's tatweel stretches a word and is none of its letters. */
const IGNORED_CHARACTER = /[\p{Default_Ignorable_Code_Point}\p{Mn}\p{Me}\p{Cf}\u0640]/u;
const DEFAULT_IGNORABLE = /\p{Default_Ignorable_Code_Point}/u;
const MARK = /[\p{Mn}\p{Me}]/u;

/** A class of characters: those of the scripts, and what else is given. */
function ofScripts(names, more = "") {
  return new RegExp(`[${names.split(" ").map((name) => `\\p{Script=${name}}`).join("")}${more}]`, "u");
}

/**
 * Scripts in which words are the same with and without their marks, or whose marks make letters that `traits` tells apart; and
 * marks of no script. In all other scripts that have marks (Thai, Devanagari and their like) marks are vowels, tones and
 * ends of syllables: letters like the others.
 */
const WITHOUT_MARKS = ofScripts("Zinh Zyyy Latn Grek Cyrl Arab Hebr Syrc Samr Mand Ethi Copt Glag Perm Mong Tfng Hani Hira Kana Hang Bopo Armn Geor Dupl Sgnw");
const LETTER_OR_MARK = /[\p{L}\p{Mn}\p{Mc}]/u;
const CONTROL = /\p{Cc}/u;
const WHITE_SPACE = /\p{White_Space}/u;
/** Lone surrogates are no characters; where a text has one, something ended. */
const SEPARATING = /[\p{P}\p{S}\p{Z}\p{Cs}]/u;

const WORD_CHARACTER = /[\p{Alphabetic}\p{N}\p{Mc}]/u;
/** Scripts that don't set words apart by spaces, and Hangul, whose words take endings without one. */
const SPACELESS = new RegExp(
  `[${"Hani Hira Kana Bopo Hang Thai Laoo Khmr Mymr Tibt Yiii Tang Nshu Kits Java Bali Talu Tale Lana Tavt Phag"
    .split(" ").map((script) => `\\p{Script_Extensions=${script}}`).join("")}]`, "u");

/**
 * Letters that a reader takes for Latin ones, by the Latin one; in lower case, since case is folded before. Where only the
 * capital looks alike (as the capital of ν does) it still counts, as case makes them one. Then letters with a stroke, which
 * Unicode does not take apart, and small capitals.
 */
const LOOK_ALIKES = {
  a: "\u0430\u03b1\u0251\u2c65\u1d00",
  b: "\u0432\u03b2\u0180\u0299",
  c: "\u0441\u023c\u1d04",
  d: "\u0501\u0111\u1d05",
  e: "\u0435\u03b5\u212e\u0247\u1d07",
  f: "\u0192\ua730",
  g: "\u050d\u0261\u01e5\u0262",
  h: "\u043d\u04bb\u03b7\u0127\u029c",
  i: "\u0456\u03b9\u0131\u0268\u026a",
  j: "\u0458\u03f3\u0237\u0249\u1d0a",
  k: "\u043a\u03ba\ua741\u1d0b",
  l: "\u04cf\u0142\u029f",
  m: "\u043c\u03bc\u1d0d",
  n: "\u03bd\u0274",
  o: "\u043e\u03bf\u0585\u00f8\u1d0f",
  p: "\u0440\u03c1\u1d7d\u1d18",
  q: "\u051b",
  r: "\u024d\u0280",
  s: "\u0455\ua731",
  t: "\u0442\u03c4\u0167\u2c66\u1d1b",
  u: "\u057d\u0289\u1d1c",
  v: "\u0475\u1d20",
  w: "\u051d\u1d21",
  x: "\u0445\u03c7",
  y: "\u0443\u04af\u03c5\u024f\u028f",
  z: "\u03b6\u01b6\u1d22",
  ae: "\u00e6\u04d5",
  oe: "\u0153",
};

/** Those of them that are the Latin letter with a stroke: a mark, though Unicode does not take it off. */
const STROKED = "\u2c65\u0180\u023c\u0111\u0247\u01e5\u0127\u0268\u0249\ua741\u0142\u00f8\u1d7d\u024d\u0167\u2c66\u0289\u024f\u01b6";
const DOTLESS = "\u0131";
/** Cyrillic letters that look like a Latin letter which another Cyrillic one (н, у) looks like too. */
const SECOND_ALIKE = "\u04bb\u04af";

/** The marks that make letters of Cyrillic ones and of kana, each with its bit; and the bit of `SECOND_ALIKE`. */
const LETTER_MARKS = new Map([["\u0306", 1], ["\u0308", 2], ["\u0304", 4], ["\u030b", 8], ["\u0301", 16], ["\u3099", 32], ["\u309a", 64]]);
const SECOND = 128;

/** Numbers of what counts as a mark and has no code point of its own: a mark that belongs on other scripts' letters, and two more. */
const FOREIGN_MARK = 1;
const STROKE = 2;
const NO_DOT = 3;
const OF_NO_OTHER_SCRIPT = ofScripts("Zinh Zyyy Latn Grek Cyrl");

/** In the order of `Script` in traits.ts, from 1. */
const SCRIPTS = [ofScripts("Latn"), ofScripts("Grek"), ofScripts("Cyrl"), ofScripts("Hira Kana")];

/** Radicals that Unicode does not call compatible with the characters that they are. They come out of PDF files. */
const RADICALS = {
  "\u2e81": "厂", "\u2ea0": "民", "\u2ea9": "王", "\u2ebc": "肉", "\u2ec1": "虎", "\u2ec4": "西", "\u2ec5": "见", "\u2ec6": "角",
  "\u2ec8": "讠", "\u2ec9": "贝", "\u2ecb": "车", "\u2ed0": "钅", "\u2ed1": "長", "\u2ed3": "长", "\u2ed4": "门", "\u2ed7": "雨",
  "\u2ed8": "青", "\u2ed9": "韦", "\u2eda": "页", "\u2edb": "风", "\u2edc": "飞", "\u2edd": "食", "\u2ee0": "饣", "\u2ee1": "首",
  "\u2ee2": "马", "\u2ee3": "骨", "\u2ee4": "鬼", "\u2ee5": "鱼", "\u2ee6": "鸟", "\u2ee7": "卤", "\u2ee8": "麦", "\u2ee9": "黄",
  "\u2eea": "黾", "\u2eeb": "斉", "\u2eec": "齐", "\u2eed": "歯", "\u2eee": "齿", "\u2eef": "竜", "\u2ef0": "龙", "\u2ef2": "亀",
};

/** Pairs of the Japanese dictionary whose first character is another one in Chinese. */
const DIFFERENT_IN_CHINESE = new Set(["予豫", "弁辨", "弁瓣", "弁辯", "欠缺", "糸絲", "缶罐", "沪濾", "芸藝", "連聯"]);

/** Characters that the dictionaries leave apart, or leave to phrases, though one is often written for the other. */
const ALSO_ONE = ["了瞭", "借藉", "硷鹼", "侄姪", "你妳", "吞呑", "俞兪", "裸躶", "炮砲", "奶嬭", "只祇", "愈瘉"];

/** What to write in place of a character, beyond what Unicode says. */
function makeReplacements() {
  const replacements = new Map(Object.entries(RADICALS));
  for (const [letters, alike] of Object.entries(LOOK_ALIKES)) {
    for (const character of alike) replacements.set(character, letters);
  }
  // Letters in black circles and squares, and those that make flags: Unicode takes apart the white ones only.
  for (const first of [0x1f150, 0x1f170, 0x1f1e6]) {
    for (let index = 0; index < 26; index += 1) {
      replacements.set(String.fromCodePoint(first + index), String.fromCharCode(97 + index));
    }
  }
  // Numbers in black circles: where they begin, with which number, how many.
  for (const [first, number, count] of [[0x2776, 1, 10], [0x2780, 1, 10], [0x278a, 1, 10], [0x24eb, 11, 10], [0x24f5, 1, 10], [0x24ff, 0, 1],
    [0x1f10b, 0, 1], [0x1f10c, 0, 1]]) {
    for (let index = 0; index < count; index += 1) {
      replacements.set(String.fromCodePoint(first + index), String(number + index));
    }
  }
  // Digits of every script: ten in a row, from zero on.
  let value = 0;
  for (let codePoint = 0; codePoint < CODE_POINTS; codePoint += 1) {
    const character = String.fromCodePoint(codePoint);
    if (/\p{Nd}/u.test(character)) {
      if (codePoint > 127) replacements.set(character, String(value % 10));
      value += 1;
    } else {
      if (value % 10 !== 0) throw new Error(`digits before U+${codePoint.toString(16)} are not in rows of ten`);
      value = 0;
    }
  }
  return replacements;
}

/** Full case folding. Upper case takes ß to SS and ı to I; lower case first, since ẞ has no other upper case. */
function foldCase(character) {
  return character.toLowerCase().toUpperCase().toLowerCase();
}

/** Whether a character is a mark that is a letter behind other letters of such scripts. */
function isLetterMark(character) {
  return /\p{Mn}/u.test(character) && !DEFAULT_IGNORABLE.test(character) && !WITHOUT_MARKS.test(character);
}

function isIgnored(character) {
  return IGNORED_CHARACTER.test(character) && !isLetterMark(character);
}

/** Whether a character is any other mark: ignored, but for words that want it. */
function isPlainMark(character) {
  return MARK.test(character) && isIgnored(character) && !DEFAULT_IGNORABLE.test(character);
}

/** Syllables of Hangul are whole; all else stays taken apart, as a text may have it in either form. */
function compose(text) {
  return text.replace(/[\u1100-\u11ff]+/gu, (letters) => letters.normalize("NFC"));
}

/** One character as Unicode and the tables above say, before Chinese characters are united, with its marks. */
function foldByUnicode(character, replacements) {
  let text = character;
  for (;;) {
    let next = "";
    for (const each of text.normalize("NFKD")) {
      if (isPlainMark(each)) {
        next += each;
      } else if (!isIgnored(each)) {
        next += replacements.get(each) ?? [...foldCase(each)].map((cased) => replacements.get(cased) ?? cased).join("");
      }
    }
    next = next.normalize("NFKD");
    if (next === text) return compose(text);
    text = next;
  }
}

/** Classes of Chinese characters that are one, by any of their members. */
function makeClasses() {
  const leaders = new Map();
  const leaderOf = (character) => {
    let leader = character;
    while (leaders.has(leader) && leaders.get(leader) !== leader) leader = leaders.get(leader);
    return leader;
  };
  const unite = (first, second) => {
    const [a, b] = [leaderOf(first), leaderOf(second)];
    // The smallest code point leads, in whatever order pairs come.
    const [less, greater] = a.codePointAt(0) <= b.codePointAt(0) ? [a, b] : [b, a];
    leaders.set(less, less);
    leaders.set(greater, less);
  };
  const pairsOf = (dictionary) => dictionary.split("|").map((pair) => pair.split(" ").map((side) => side.normalize("NFKC")));
  const chinese = [simplifiedToTraditional, traditionalToSimplified, hongKong, hongKongBack, taiwan, taiwanBack];
  for (const [first, second] of chinese.flatMap(pairsOf)) unite(first, second);
  const japanese = [...pairsOf(japaneseToOld), ...pairsOf(oldToJapanese).map(([old, modern]) => [modern, old])];
  for (const [first, second] of japanese) {
    if (!DIFFERENT_IN_CHINESE.has(first + second)) unite(first, second);
  }
  for (const [first, second] of ALSO_ONE) unite(first, second);
  const classes = new Map();
  for (const character of leaders.keys()) {
    if ([...character].length !== 1) throw new Error(`${character} is not one character`);
    const leader = leaderOf(character);
    if (!classes.has(leader)) classes.set(leader, []);
    classes.get(leader).push(character);
  }
  return { classes, leaderOf };
}

function classify(character) {
  if (character === MASK) return character.codePointAt(0);
  if (WHITE_SPACE.test(character)) return SEPARATOR;
  if (CONTROL.test(character) || isIgnored(character)) return IGNORED;
  if (SEPARATING.test(character)) return SEPARATOR;
  return character.codePointAt(0);
}

/**
 * The sequence of a folded text: without what is ignored, and with runs of separators as one. The marks of a character that stands for several
 * letters are in it, as only there they can be told from each other's.
 */
function sequenceOf(text, leaderOf) {
  const sequence = [];
  let letters = 0;
  for (const each of text) {
    const value = classify(leaderOf(each));
    if (value === IGNORED) {
      if (isPlainMark(each) && sequence.length > 0 && sequence.at(-1) !== SEPARATOR) sequence.push(each.codePointAt(0));
    } else if (value !== SEPARATOR || sequence.at(-1) !== SEPARATOR) {
      sequence.push(value);
      letters += value === SEPARATOR ? 0 : 1;
    }
  }
  return letters > 1 ? sequence : sequence.filter((value) => value === SEPARATOR || !isPlainMark(String.fromCodePoint(value)));
}

/** The sequence that each code point folds to. */
function foldAll(leaderOf) {
  const replacements = makeReplacements();
  const folded = [];
  for (let codePoint = 0; codePoint < CODE_POINTS; codePoint += 1) {
    const character = String.fromCodePoint(codePoint);
    const text = CONTROL.test(character) || WHITE_SPACE.test(character) ? character : foldByUnicode(character, replacements);
    folded.push(sequenceOf(text, leaderOf));
  }
  for (const [codePoint, sequence] of folded.entries()) {
    for (const value of sequence) {
      if (value !== SEPARATOR && !isPlainMark(String.fromCodePoint(value)) && (folded[value].length !== 1 || folded[value][0] !== value)) {
        throw new Error(`U+${codePoint.toString(16)} folds to U+${value.toString(16)}, which folds to something else`);
      }
    }
  }
  return folded;
}

/** Numbers as text, `5*3` for 5 5 5. */
function writeRuns(numbers) {
  const runs = [];
  for (let from = 0; from < numbers.length; ) {
    let to = from + 1;
    while (to < numbers.length && numbers[to] === numbers[from]) to += 1;
    runs.push(to - from === 1 ? `${numbers[from]}` : `${numbers[from]}*${to - from}`);
    from = to;
  }
  return runs.join(" ");
}

/**
 * The tables as fold.ts reads them. An entry's lowest bit: what it folds to is part of words. The next one: clear if the
 * rest is what to add to the code point, set if it is the result itself, which is negative. So most of the planes is zeros.
 */
function makeTables(folded) {
  const expansions = new Map();
  const entries = folded.map((sequence, codePoint) => {
    if (sequence.length === 0) return IGNORED * 4 + 2;
    if (sequence.length === 1) {
      if (sequence[0] === SEPARATOR) return SEPARATOR * 4 + 2;
      const character = String.fromCodePoint(sequence[0]);
      const isWord = (WORD_CHARACTER.test(character) || isLetterMark(character)) && !SPACELESS.test(character);
      return (sequence[0] - codePoint) * 4 + (isWord ? 1 : 0);
    }
    const key = sequence.join(" ");
    if (!expansions.has(key)) expansions.set(key, FIRST_EXPANSION - expansions.size);
    return expansions.get(key) * 4 + 2;
  });
  return { ...makePages(entries), expansions: [...expansions.keys()] };
}

/** Numbers by code point as pages, each of which is there once, and the page of each 128 code points. */
function makePages(entries) {
  const pages = new Map();
  const index = [];
  for (let from = 0; from < CODE_POINTS; from += PAGE_SIZE) {
    const page = writeRuns(entries.slice(from, from + PAGE_SIZE));
    if (!pages.has(page)) pages.set(page, pages.size);
    index.push(pages.get(page));
  }
  return { index, pages: [...pages.keys()] };
}

/** By representative: the bits of the marks that make another letter of it, in Cyrillic or kana. */
function makeTakes(folded) {
  const takes = new Map();
  for (const [codePoint, sequence] of folded.entries()) {
    const character = String.fromCodePoint(codePoint);
    const parts = [...character.normalize("NFD")];
    const bit = SECOND_ALIKE.includes(character) ? SECOND : parts.length === 2 ? LETTER_MARKS.get(parts[1]) : undefined;
    if (bit !== undefined && sequence.length === 1 && (SCRIPTS[2].test(character) || SCRIPTS[3].test(character))) {
      takes.set(sequence[0], (takes.get(sequence[0]) ?? 0) | bit);
    }
  }
  return takes;
}

/** The numbers of the marks that a character has, or is: see STROKE and its like. */
function marksOf(character) {
  const marks = [];
  let base = "";
  for (const each of character.toLowerCase().normalize("NFKD")) {
    if (MARK.test(each)) {
      // The dot of i and j is no mark.
      if (!DEFAULT_IGNORABLE.test(each) && !(each === "\u0307" && /[ij]/u.test(base))) {
        marks.push(OF_NO_OTHER_SCRIPT.test(each) ? each.codePointAt(0) : FOREIGN_MARK);
      }
    } else {
      base = each;
      if (STROKED.includes(each)) marks.push(STROKE);
      if (each === DOTLESS) marks.push(NO_DOT);
    }
  }
  return marks.sort((a, b) => a - b);
}

/**
 * What there is to know of a character beyond what it folds to, as traits.ts reads it: the bits of the marks that make it the letter that it is,
 * the bits of those that would make its representative another one, its script, whether it is a mark, whether marks behind it are
 * letters (of a mark: whether it is one), and above that the number of its set of marks.
 */
function makeTraits(folded) {
  const takes = makeTakes(folded);
  const sets = new Map([["", 0]]);
  const entries = folded.map((sequence, codePoint) => {
    const character = String.fromCodePoint(codePoint);
    const parts = [...character.normalize("NFKD")];
    const isMark = parts.every((each) => MARK.test(each)) && !DEFAULT_IGNORABLE.test(character);
    const script = SCRIPTS.findIndex((each) => each.test(parts[0])) + 1;
    const single = sequence.length === 1 && sequence[0] >= 0 && !isMark;
    let has = 0;
    let marks = "";
    if (isMark || (single && script > 0)) {
      for (const each of parts) has |= LETTER_MARKS.get(each) ?? 0;
      if (SECOND_ALIKE.includes(character.toLowerCase())) has |= SECOND;
      marks = marksOf(character).join(" ");
    }
    if (!sets.has(marks)) sets.set(marks, sets.size);
    const counts = LETTER_OR_MARK.test(character) && !WITHOUT_MARKS.test(character);
    const taken = single ? takes.get(sequence[0]) ?? 0 : 0;
    return has + taken * 2 ** 8 + (single ? script : 0) * 2 ** 16 + (isMark ? 2 ** 19 : 0) + (counts ? 2 ** 20 : 0) + sets.get(marks) * 2 ** 21;
  });
  // The number of a set has ten bits, so that a trait is a positive integer of 32.
  if (sets.size > 1024) throw new Error(`there are ${sets.size} sets of marks`);
  return { ...makePages(entries), sets: [...sets.keys()] };
}

function quote(text, width = 110) {
  const lines = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line.length + word.length >= width) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return `[[${[...lines, line].join("\n")}]]`;
}

/** The version of OpenCC's data. */
function openccVersion() {
  return JSON.parse(readFileSync(new URL("../node_modules/opencc-js/package.json", import.meta.url), "utf8")).version;
}

function main(output, showClasses) {
  const { classes, leaderOf } = makeClasses();
  if (showClasses) {
    const largest = [...classes.values()].sort((a, b) => b.length - a.length).slice(0, 60);
    console.log(`${classes.size} classes; the largest: ${largest.map((members) => members.join("")).join(" ")}`);
  }
  const folded = foldAll(leaderOf);
  const { index, pages, expansions } = makeTables(folded);
  const traits = makeTraits(folded);
  const body = [
    `    page_count = ${pages.length},`,
    `    index = ${quote(writeRuns(index))},`,
    `    pages = ${quote(pages.join(" "))},`,
    `    expansion_count = ${expansions.length},`,
    `    expansions = ${quote(expansions.map((sequence) => `${sequence} ;`).join(" "))},`,
    `    trait_page_count = ${traits.pages.length},`,
    `    trait_index = ${quote(writeRuns(traits.index))},`,
    `    trait_pages = ${quote(traits.pages.join(" "))},`,
    `    mark_set_count = ${traits.sets.length},`,
    `    mark_sets = ${quote(traits.sets.map((marks) => `${marks} ;`.trim()).join(" "))},`,
  ].join("\n");
  const hash = createHash("sha256").update(body).digest("hex").slice(0, 12);
  const version = `Unicode ${process.versions.unicode}, opencc-js ${openccVersion()}, ${hash}`;
  mkdirSync(dirname(output), { recursive: true });
  const header = [
    "-- Written by tools/make_fold.mjs; src/sluice/guard/fold.ts and traits.ts say how it is read.",
    "-- Which Chinese characters are one is from OpenCC, https://github.com/BYVoid/OpenCC, under the Apache License 2.0.",
  ].join("\n");
  writeFileSync(output, `${header}\nreturn {\n    version = "${version}",\n${body}\n}\n`);
}

const [output, option] = process.argv.slice(2);
if (output === undefined || (option !== undefined && option !== "--classes")) {
  console.error("usage: node tools/make_fold.mjs OUTPUT [--classes]");
  process.exitCode = 2;
} else {
  main(output, option === "--classes");
}
