/** @noSelfInFile */

/**
 * What tools/make_fold.mjs writes. Its texts are whole numbers between blanks; `5*3` stands for 5 5 5.
 * @noResolution
 */
declare module "sluice.guard.fold_data" {
  export const version: string;
  export const page_count: number;
  /** For each 128 code points of all planes: the number of their page. */
  export const index: string;
  /** The entries of all pages, one page after the other. */
  export const pages: string;
  export const expansion_count: number;
  /** Sequences of code points, or -2; `;` ends each. */
  export const expansions: string;
  /** The same of the traits. */
  export const trait_page_count: number;
  export const trait_index: string;
  export const trait_pages: string;
  /** Sets of marks, by number from 0; `;` ends each. */
  export const mark_set_count: number;
  export const mark_sets: string;
}
