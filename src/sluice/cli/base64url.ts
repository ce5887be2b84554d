const byte = string.byte;

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** base64url without padding (RFC 4648, section 5). */
function encode_base64url(data: string): string {
  const characters: string[] = [];
  let bits = 0;
  let count = 0;
  for (const index of $range(1, data.length)) {
    bits = bits * 256 + byte(data, index);
    count = count + 8;
    while (count >= 6) {
      count = count - 6;
      const value = math.floor(bits / 2 ** count);
      bits = bits % 2 ** count;
      characters.push(string.sub(ALPHABET, value + 1, value + 1));
    }
  }
  if (count > 0) {
    const value = bits * 2 ** (6 - count);
    characters.push(string.sub(ALPHABET, value + 1, value + 1));
  }
  return characters.join("");
}

export { encode_base64url };
