/**
 * The memory of responses: who made which, where, and with which account, so that only its maker's tenant gets at it, and at
 * the place where it is. The same record lies under the id of the response, of its conversation, and of each item of its
 * output.
 *
 * An id is kept under its tenant: another tenant's is as unknown as one that never was. What was blocked, cut or deleted stays
 * as a record that says so, in case another worker or node still has an older one.
 */

const find = string.find;
const format = string.format;
const gsub = string.gsub;
const match = string.match;

interface ResponseRecord {
  /** The API key that made it. */
  key: string;
  /** The model that answered, and the name that was asked for. */
  model: string;
  asked: string;
  pool: string;
  /** The endpoint's name, and the account's id. */
  endpoint: string;
  account: string;
  /** `due`: what it costs is not charged yet, for it is made in the background. */
  state: "kept" | "due" | "gone";
  /** Tokens of one that is due which were charged already. */
  paid_input: number;
  paid_output: number;
}

/** What is kept of ids: by tenant and id. Nothing but texts, so that workers and nodes can share it. */
interface ResponseStore {
  get(this: void, key: string): string | undefined;
  set(this: void, key: string, value: string): void;
  /** Writes what isn't there yet. Returns whether it wasn't. */
  add(this: void, key: string, value: string): boolean;
}

/** How long an id is known, in seconds: OpenAI keeps responses for thirty days. */
const KEPT_SECONDS = 2592000;

function escaped(this: void, character: string): string {
  return format("%%%02X", string.byte(character));
}

function unescaped(this: void, digits: string): string {
  return string.char(tonumber(digits, 16)!);
}

/** A word without spaces and without the `|` that ends a script's argument. */
function word(text: string): string {
  return text === "" ? "%" : gsub(text, "[^%w._:/@-]", escaped)[0];
}

function text_of(part: string): string {
  return part === "%" ? "" : gsub(part, "%%(%x%x)", unescaped)[0];
}

/** The record as one text. */
function encode_record(record: ResponseRecord): string {
  const { account, asked, endpoint, key, model, paid_input, paid_output, pool, state } = record;
  return format(
    "%s %s %s %s %s %s %s %.0f %.0f", state, word(key), word(model), word(asked), word(pool), word(endpoint), word(account), paid_input,
    paid_output);
}

/** The record that a text is; undefined: it is none. */
function decode_record(text: string): ResponseRecord | undefined {
  const [state, key, model, asked, pool, endpoint, account, input, output] = match(
    text, "^(%l+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%d+) (%d+)$");
  if (state === undefined) {
    return undefined;
  }
  return {
    state: state as ResponseRecord["state"],
    key: text_of(key!),
    model: text_of(model!),
    asked: text_of(asked!),
    pool: text_of(pool!),
    endpoint: text_of(endpoint!),
    account: text_of(account!),
    paid_input: tonumber(input)!,
    paid_output: tonumber(output)!,
  };
}

/**
 * What an id of a tenant's is kept under in this node's memory. Neither a tenant's name nor an id has a slash or a space in it.
 */
function place_of(tenant: string, id: string): string {
  return `${tenant} ${id}`;
}

/** Whether two records are of answers that were made with the same account at the same endpoint. */
function same_place(one: ResponseRecord, other: ResponseRecord): boolean {
  return one.pool === other.pool && one.endpoint === other.endpoint && one.account === other.account;
}

/** Whether a text, as it was kept, says that there is nothing any more. */
function is_gone(text: string): boolean {
  return find(text, "gone ", 1, true)[0] === 1;
}

export { KEPT_SECONDS, decode_record, encode_record, is_gone, place_of, same_place };
export type { ResponseRecord, ResponseStore };
