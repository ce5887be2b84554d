/**
 * The `Content-Type` of an answer that is scanned (RFC 9110, section 8.3). What is scanned is UTF-8, the only encoding that JSON
 * (RFC 8259, section 8.1) and event streams have. A client that is told of another one would read other characters from
 * the same bytes.
 */

const find = string.find;

/**
 * The type to send in place of the upstream's, which is of that media type: undefined if that one says of no other encoding
 * than UTF-8.
 */
function utf8_type(type: string, media_type: string): string | undefined {
  const lower = string.lower(type);
  const says_any = find(lower, "charset", 1, true)[0] !== undefined;
  // Some clients take a list for its last member.
  const is_list = find(lower, ",", 1, true)[0] !== undefined;
  if (!says_any && !is_list) {
    return undefined;
  }
  const [is_utf8] = find(lower, '^[^;,]*;[ \t]*charset="?utf%-?8"?[ \t]*$');
  return is_utf8 !== undefined ? undefined : `${media_type}; charset=utf-8`;
}

export { utf8_type };
