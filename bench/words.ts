/**
 * The list of words that the guard looks for. BENCH_WORDS names one, a text in UTF-8 with a word a line. Without it one
 * is made, the same in every run and about as long as lists that are in use: words of two to five common Chinese
 * characters, and some of ASCII letters. None of them is in the texts that are scanned, so that what is measured is
 * reading on without a find.
 */
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { working_directory } from "./processes.ts";
import { pick, random_numbers, shuffled } from "./random.ts";
import { TEXTS } from "./texts.ts";

const CHINESE_WORDS = 64841;
const ASCII_WORDS = 300;
const CHARACTERS = 3000;
/** How many words the short list has. */
const FEW = 1000;

interface WordFiles {
  /** The list, and every so many of its words. */
  many: string;
  few: string;
  /** What there is to say of it. */
  description: string;
}

/** The first level of GB 2312: the 3,755 characters that most Chinese text is made of. */
function common_characters(): string[] {
  const bytes: number[] = [];
  for (let row = 0xb0; row <= 0xd7; row++) {
    for (let cell = 0xa1; cell <= (row === 0xd7 ? 0xf9 : 0xfe); cell++) {
      bytes.push(row, cell);
    }
  }
  return [...new TextDecoder("gbk").decode(Uint8Array.from(bytes))];
}

/** Without what may stand between the characters of a find. */
function letters_of(text: string): string {
  return text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");
}

/** As many different words as asked for, none of them in the text. */
function make_words(count: number, avoided: string, make: () => string): string[] {
  const words = new Set<string>();
  while (words.size < count) {
    const word = make();
    if (!avoided.includes(word)) {
      words.add(word);
    }
  }
  return [...words];
}

function made_list(): string[] {
  const random = random_numbers(65000);
  const characters = shuffled(common_characters(), random).slice(0, CHARACTERS);
  const letters = [..."abcdefghijklmnopqrstuvwxyz"];
  const several = (from: string[], least: number, most: number): string => {
    const length = least + Math.floor(random() * (most - least + 1));
    return Array.from({ length }, () => pick(from, random)).join("");
  };
  const avoided = letters_of(`${TEXTS.Chinese}\n${TEXTS.English}`);
  return shuffled(
    [
      ...make_words(CHINESE_WORDS, avoided, () => several(characters, 2, 5)),
      ...make_words(ASCII_WORDS, avoided, () => several(letters, 4, 9)),
    ],
    random,
  );
}

/** The entries of a list, without comments and repetitions. */
function entries_in(file: string): string[] {
  const lines = readFileSync(file, "utf8").split(/\r?\n/);
  return [...new Set(lines.map((line) => line.trim()).filter((line) => line !== "" && !/^(#|\/\/)/.test(line)))];
}

/** The words of a list, without options. */
function words_in(file: string): string[] {
  return [...new Set(entries_in(file).map((entry) => entry.replace(/\t.*/, "")))];
}

/** Writes the list, and a short one of words from all over it, into the temporary directory. */
function make_word_files(): WordFiles {
  const many = join(working_directory(), "many.txt");
  const few = join(working_directory(), "few.txt");
  const given = process.env.BENCH_WORDS ?? "";
  if (given === "") {
    writeFileSync(many, `${made_list().join("\n")}\n`);
  } else {
    copyFileSync(given, many);
  }
  const entries = entries_in(many);
  const step = Math.max(1, entries.length / FEW);
  const chosen = entries.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step));
  writeFileSync(few, `${chosen.join("\n")}\n`);
  const origin = given === "" ? "made for this benchmark" : "given by BENCH_WORDS";
  return { many, few, description: `${entries.length.toLocaleString("en")} words, ${origin}` };
}

export { make_word_files, words_in, type WordFiles };
