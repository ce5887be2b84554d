/**
 * Records that are used again and again, with members that may be absent. LuaJIT compiles an access to a member for the place that its
 * key has in the table. A key without a value gives its place up to another one, so that records that were made alike differ after a
 * while, and what is compiled for one does not fit the next: a worker then compiles the same paths for ever. A key that has had a
 * value keeps its place when the value goes.
 */

/** Stands in a new record where nothing is yet. It is of every type, since it never leaves `lasting`. */
const ABSENT = {} as unknown as undefined;

/** The record, whose members are all there, with nothing where `ABSENT` stands. */
function lasting<Kind extends object>(record: Kind): Kind {
  for (const [key, value] of pairs(record)) {
    if ((value as unknown) === ABSENT) {
      record[key] = undefined as unknown as Kind[keyof Kind];
    }
  }
  return record;
}

export { ABSENT, lasting };
