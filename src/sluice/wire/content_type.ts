/**
 * The `Content-Type` of an answer that is read (RFC 9110, section 8.3), and what its body is in truth. Servers send JSON and
 * event streams without a type, as text, or as bytes (DeepSeek's errors). Then the body's beginning tells.
 *
 * What is scanned is UTF-8, the only encoding that JSON (RFC 8259, section 8.1) and event streams have. A client that is told
 * of another one would read other characters from the same bytes.
 */

const byte = string.byte;
const find = string.find;
const lower = string.lower;
const match = string.match;
const sub = string.sub;

/** What an answer is, or may be. */
const enum AnswerKind {
  /** Not known yet: more of the body is needed. */
  Unknown = 0,
  Json = 1,
  Events = 2,
  /** Neither, such as a page, an image or sound. */
  Other = 3,
}

/** Types that say nothing of what a body is. */
const VAGUE = new LuaSet<string>();
for (const type of ["", "text/plain", "application/octet-stream", "binary/octet-stream", "application/x-ndjson", "application/jsonl", "text/json"]) {
  VAGUE.add(type);
}

/** The media type of a `Content-Type`, in lower case and without parameters. */
function media_type_of(type: string): string {
  return match(lower(type), "^[ \t]*([^;, \t]*)")[0] ?? "";
}

/** What an answer with that `Content-Type` is, "" if it has none. Unknown: its body tells. */
function kind_of_type(type: string): AnswerKind {
  if (sub(type, 1, 17) === "text/event-stream") {
    return AnswerKind.Events;
  }
  if (sub(type, 1, 16) === "application/json") {
    return AnswerKind.Json;
  }
  const media_type = media_type_of(type);
  if (VAGUE.has(media_type)) {
    return AnswerKind.Unknown;
  }
  if (media_type === "text/event-stream") {
    return AnswerKind.Events;
  }
  return media_type === "application/json" || find(media_type, "^application/.+%+json$")[0] !== undefined ? AnswerKind.Json : AnswerKind.Other;
}

/** The beginnings of an event stream's lines (WHATWG HTML, section 9.2.6): `data` and `event` may end there. */
const FIELDS = ["data", "event", "id", "retry"];
/** The byte order mark in UTF-8. */
const MARK = string.char(0xef, 0xbb, 0xbf);

/** Whether the text begins with a field's name: Unknown, if more of it is needed. */
function kind_of_line(text: string): AnswerKind {
  for (const field of FIELDS) {
    const length = field.length;
    if (sub(text, 1, length) === field) {
      const after = byte(text, length + 1) as number | undefined;
      if (after === undefined) {
        return AnswerKind.Unknown;
      }
      return after === 58 || after === 10 || after === 13 ? AnswerKind.Events : AnswerKind.Other;
    }
    if (text.length < length && sub(field, 1, text.length) === text) {
      return AnswerKind.Unknown;
    }
  }
  return AnswerKind.Other;
}

/** What a body is that begins with this text, by what stands behind its blanks. */
function kind_of_body(text: string): AnswerKind {
  const [at] = find(text, "[^ \t\r\n]");
  if (at === undefined) {
    return AnswerKind.Unknown;
  }
  const first = byte(text, at);
  if (first === 123 || first === 91) {
    return AnswerKind.Json;
  }
  if (first === 58) {
    return AnswerKind.Events;
  }
  if (first !== 0xef) {
    return kind_of_line(sub(text, at, at + 6));
  }
  // A byte order mark may stand before events. JSON must not have one.
  const mark = sub(text, at, at + 2);
  if (mark.length < 3) {
    return mark === sub(MARK, 1, mark.length) ? AnswerKind.Unknown : AnswerKind.Other;
  }
  if (mark !== MARK) {
    return AnswerKind.Other;
  }
  const rest = sub(text, at + 3, at + 9);
  const [blanks] = find(rest, "^[\r\n:]");
  return rest === "" ? AnswerKind.Unknown : blanks !== undefined ? AnswerKind.Events : kind_of_line(rest);
}

/**
 * The type to send in place of the upstream's, which is of that media type: undefined if that one says of no other encoding
 * than UTF-8.
 */
function utf8_type(type: string, media_type: string): string | undefined {
  const lowered = lower(type);
  const says_any = find(lowered, "charset", 1, true)[0] !== undefined;
  // Some clients take a list for its last member.
  const is_list = find(lowered, ",", 1, true)[0] !== undefined;
  if (!says_any && !is_list) {
    return undefined;
  }
  const [is_utf8] = find(lowered, '^[^;,]*;[ \t]*charset="?utf%-?8"?[ \t]*$');
  return is_utf8 !== undefined ? undefined : `${media_type}; charset=utf-8`;
}

/** The same for a type that does not tell what the body is. Text of no encoding is anybody's guess, so it gets one. */
function utf8_vague_type(type: string): string | undefined {
  const media_type = media_type_of(type);
  if (media_type === "") {
    return undefined;
  }
  const is_bare_text = sub(media_type, 1, 5) === "text/" && find(lower(type), "charset", 1, true)[0] === undefined;
  return is_bare_text ? `${media_type}; charset=utf-8` : utf8_type(type, media_type);
}

export { AnswerKind, kind_of_body, kind_of_type, utf8_type, utf8_vague_type };
