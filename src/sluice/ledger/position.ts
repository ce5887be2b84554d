/** How far a file of a journal has been read. It holds for the file's content, under whatever name and on whatever disk it is found. */
interface Position {
  /** What tells the file from others: how many of its first bytes were hashed, a colon, their hash. Empty while nothing was read. */
  fingerprint: string;
  /** The file's number on its disk, in decimal; it has up to 64 bits. */
  inode: string;
  /** Where the first line begins that was not read, in bytes. */
  offset: number;
  /** Whether the journal's path led to this file when it was last read. */
  current: boolean;
}

export type { Position };
