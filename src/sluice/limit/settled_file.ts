/** A line that outlives the gateway: up to where of the usage journal all is settled in the store that several nodes share. */

import type { Place } from "./settlement_queue";

const HEAD = "sluice settled 1";

/** `time`: what ended before it is settled too, in seconds since 1970. */
function place_text(place: Place, time: number): string {
  return string.format("%s %.0f %.0f %.3f\n", HEAD, place.file, place.offset, time);
}

/** Reads the file; undefined if it is another one, or incomplete. */
function read_place(text: string): LuaMultiReturn<[place: Place | undefined, time: number]> {
  const [file, offset, time] = string.match(text, `^${HEAD} (%d+) (%d+) (%d+%.%d+)\n$`);
  if (time === undefined) {
    return $multi(undefined, 0);
  }
  return $multi({ file: tonumber(file)!, offset: tonumber(offset)! }, tonumber(time)!);
}

export { place_text, read_place };
