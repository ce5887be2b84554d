/**
 * What an error says that Redis gives as the answer to a script: whether the script's own data are wrong for ever, so that the next
 * try would end the same way; or whether Redis can't now, whatever the reason, and may later.
 *
 * Only what is known to be for ever is final. An error that nobody here has seen is none: to try again costs time, to give up
 * costs a settlement.
 *
 * The same errors are phrased in two ways (`HASH` is the script's digest, 3 a line of it):
 *
 *     WRONGTYPE Operation against …                                                    of a command; Redis 7 and later
 *     ERR Error running script (call to f_HASH): @user_script:3: WRONGTYPE Operation … before
 *     ERR user_script:3: attempt to index …                                            of Lua; Redis 7 and later
 *     ERR Error running script (call to f_HASH): @user_script:3: user_script:3: attempt to index …    before
 *
 * Redis 7 adds ` script: HASH, on @user_script:3.` What the older ones refuse to a script before the command is run stands behind
 * `@user_script: 3: ` and begins with a dash: `-READONLY You can't write against a read only replica.`
 */

const find = string.find;
const match = string.match;

/** What commands say about a key that holds something else than what the scripts put there. */
const FINAL = [
  "WRONGTYPE ",
  "ERR hash value is not an integer",
  "ERR hash value is not a float",
  "ERR value is not an integer or out of range",
  "ERR value is not a valid float",
  "ERR increment or decrement would overflow",
];

/** The error in the words of Redis 7. */
function plain_error(text: string): string {
  const [wrapped] = match(text, "^ERR Error running script %(call to f_%x+%): (.*)$");
  if (wrapped === undefined) {
    return text;
  }
  const [inner] = match(wrapped, "^@user_script: ?%d+: %-?(.*)$");
  // Lua's own errors name their place once more.
  return inner === undefined ? wrapped : find(inner, "^user_script:%d+: ")[0] !== undefined ? `ERR ${inner}` : inner;
}

/** Whether an error, as Redis answers it to a script, would be the same at every other try. */
function is_final(text: string): boolean {
  const plain = plain_error(text);
  if (find(plain, "^ERR user_script:%d+: ")[0] !== undefined) {
    return true;
  }
  for (const words of FINAL) {
    if (find(plain, words, 1, true)[0] === 1) {
      return true;
    }
  }
  return false;
}

export { is_final };
