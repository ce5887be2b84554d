/**
 * Lists of networks, and the address a request really comes from.
 *
 * A network is four words and four masks; an address belongs if all its masked words are the network's. IPv4
 * is kept apart from IPv6, so that `::/0` says nothing about IPv4; an IPv4 address written as IPv6
 * (`::ffff:10.0.0.1`) is the IPv4 address. A network whose host bits are set is an error, since one of its two
 * numbers must be a mistake.
 *
 * What was decided about an address is remembered, up to 1,000 of them; then all are forgotten at once. A
 * list is searched from its beginning: thousands of networks cost microseconds, once for each new address.
 */

import { Family, is_address, read_address, words } from "./address";

const byte = string.byte;
const find = string.find;
const match = string.match;
const sub = string.sub;

/** One network: its words and masks; an IPv4 network has one of each. */
interface Network {
  words: number[];
  masks: number[];
}

interface AddressList {
  version4: Network[];
  version6: Network[];
  remembered: LuaTable<string, boolean | undefined>;
  remembered_count: number;
}

/** Something wrong with the entry of that number, counted from 0. */
interface EntryProblem {
  index: number;
  message: string;
}

const REMEMBERED = 1000;

/** The mask of the first `bits` bits of a word; below 0 is none, above 32 all. */
function mask_of(bits: number): number {
  if (bits <= 0) {
    return 0;
  }
  return bits >= 32 ? -1 : 0xffffffff << (32 - bits);
}

/** Reads `address` or `address/bits` and adds it to a list. Returns what is wrong with it, or undefined. */
function add_network(list: AddressList, entry: string): string | undefined {
  const [slash] = find(entry, "/", 1, true);
  const address = slash === undefined ? entry : sub(entry, 1, slash - 1);
  const family = read_address(address);
  if (family === Family.None) {
    return "expected an IPv4 or IPv6 network such as 10.0.0.0/8 or 2001:db8::/32";
  }
  const [is_colon] = find(address, ":", 1, true);
  const written_bits = is_colon === undefined ? 32 : 128;
  let bits = written_bits;
  if (slash !== undefined) {
    const [digits] = match(entry, "^(%d%d?%d?)$", slash + 1);
    const number = tonumber(digits);
    if (digits === undefined || number === undefined || number > written_bits || (digits.length > 1 && byte(digits) === 48)) {
      return `expected a number of bits from 0 to ${written_bits} after the slash`;
    }
    bits = number;
  }
  if (family === Family.Version4 && written_bits === 128) {
    if (bits < 96) {
      return "expected at least 96 bits for an IPv4 network written as IPv6";
    }
    bits -= 96;
  }

  const network: Network = { words: [], masks: [] };
  for (const index of $range(0, family === Family.Version4 ? 0 : 3)) {
    const mask = mask_of(bits - 32 * index);
    const word = words[index]!;
    if ((word & mask) !== (word | 0)) {
      return `expected no bits set after the first ${bits}`;
    }
    network.words.push(word);
    network.masks.push(mask);
  }
  (family === Family.Version4 ? list.version4 : list.version6).push(network);
  return undefined;
}

/** Makes a list of networks, and tells of every entry that is none. */
function address_list(entries: readonly string[]): LuaMultiReturn<[list: AddressList, problems: EntryProblem[]]> {
  const list: AddressList = {
    version4: [],
    version6: [],
    remembered: new LuaTable<string, boolean | undefined>(),
    remembered_count: 0,
  };
  const problems: EntryProblem[] = [];
  for (const index of $range(0, entries.length - 1)) {
    const message = add_network(list, entries[index]!);
    if (message !== undefined) {
      problems.push({ index, message });
    }
  }
  return $multi(list, problems);
}

/** Whether the address in `words` lies in one of the networks. */
function lies_in(networks: Network[]): boolean {
  for (const network of networks) {
    let same = true;
    for (const index of $range(0, network.words.length - 1)) {
      same = same && (words[index]! & network.masks[index]!) === network.words[index];
    }
    if (same) {
      return true;
    }
  }
  return false;
}

/** Whether an address lies in one of the list's networks. What is no address (`unix:`, say) lies in none. */
function contains_address(list: AddressList, address: string): boolean {
  const known = list.remembered.get(address);
  if (known !== undefined) {
    return known;
  }
  const family = read_address(address);
  if (family === Family.None) {
    return false;
  }
  const inside = lies_in(family === Family.Version4 ? list.version4 : list.version6);
  if (list.remembered_count === REMEMBERED) {
    list.remembered = new LuaTable<string, boolean | undefined>();
    list.remembered_count = 0;
  }
  list.remembered.set(address, inside);
  list.remembered_count += 1;
  return inside;
}

/** The text from `from` to `to` without the spaces and tabs around it. */
function trimmed(text: string, from: number, to: number): string {
  let begin = from;
  let end = to;
  while (begin <= end && is_blank(byte(text, begin))) {
    begin += 1;
  }
  while (end >= begin && is_blank(byte(text, end))) {
    end -= 1;
  }
  return sub(text, begin, end);
}

function is_blank(code: number): boolean {
  return code === 32 || code === 9;
}

/** Takes the port and the brackets off an entry of X-Forwarded-For; undefined if it is no address then. */
function bare_address(entry: string): string | undefined {
  if (is_address(entry)) {
    return entry;
  }
  let [bare] = match(entry, "^%[([%x:.]+)%]$");
  if (bare === undefined) {
    [bare] = match(entry, "^%[([%x:.]+)%]:%d%d?%d?%d?%d?$");
  }
  if (bare === undefined) {
    [bare] = match(entry, "^([%d.]+):%d%d?%d?%d?%d?$");
  }
  return bare !== undefined && is_address(bare) ? bare : undefined;
}

/**
 * The address a request comes from. `peer` is who opened the connection; `forwarded_for` the X-Forwarded-For
 * header, in which every proxy has added, on the right, who connected to it.
 *
 * The header is believed only as far as trusted proxies wrote it: read from the right, the first address that
 * is not a trusted proxy's is the client. An entry that is no address ends the walk, and the proxy that wrote
 * it is taken for the client; so does the header's beginning.
 */
function client_address(peer: string, forwarded_for: string | undefined, trusted: AddressList | undefined): string {
  if (trusted === undefined || forwarded_for === undefined || !contains_address(trusted, peer)) {
    return peer;
  }
  let client = peer;
  let end = forwarded_for.length;
  for (;;) {
    let begin = end;
    while (begin > 0 && byte(forwarded_for, begin) !== 44) {
      begin -= 1;
    }
    const address = bare_address(trimmed(forwarded_for, begin + 1, end));
    if (address === undefined) {
      return client;
    }
    client = address;
    if (begin === 0 || !contains_address(trusted, address)) {
      return client;
    }
    end = begin - 1;
  }
}

export { address_list, client_address, contains_address, is_address };
export type { AddressList, EntryProblem };
