/**
 * Headers of a request that came on several lines. They mean the same as one line of all values with commas between (RFC 9110,
 * section 5.3). nginx joins them itself since 1.23 (`$http_name`); before that it has only the first line.
 */

const FIRST_JOINING = 1023000;

/** Whether nginx's variables have all lines of a header. */
const joins = ngx.config.nginx_version >= FIRST_JOINING;

/** Reads a header's value by its name in lower case, several lines of it joined; undefined: there is none. */
type ReadHeader = (this: void, name: string) => string | undefined;

/** The lines of a header as one. Empty ones say nothing. */
function joined(value: string | string[] | undefined): string | undefined {
  if (typeof value !== "object") {
    return value;
  }
  const filled: string[] = [];
  for (const line of value) {
    if (line !== "") {
      filled.push(line);
    }
  }
  return filled.join(", ");
}

/** A reader of all headers of the request at hand, by their names in any case. */
function header_reader(): ReadHeader {
  const [headers] = ngx.req.get_headers(0);
  return (name) => joined(headers.get(string.lower(name)) as string | string[] | undefined);
}

/**
 * The value of a request header, several lines of it joined. `name` is in lower case with `_` for `-`. Where nginx does not
 * join them, a header that is there costs a list of all headers: for those that few requests have.
 */
function list_header(name: string): string | undefined {
  const first = ngx.var.get(`http_${name}`);
  if (first === undefined || joins) {
    return first;
  }
  const [plain] = string.gsub(name, "_", "-");
  return header_reader()(plain) ?? first;
}

/**
 * Lets all lines of `Anthropic-Beta` go upstream, where nginx would send the first one only. Its characters are those that
 * http.conf lets through. In the access phase.
 */
function join_beta(): void {
  if (joins) {
    return;
  }
  const first = ngx.var.get("http_anthropic_beta");
  const all = first !== undefined ? list_header("anthropic_beta") : undefined;
  if (all !== undefined && all !== first) {
    ngx.var.set("sluice_anthropic_beta", string.find(all, "^[%w.,_ -]+$")[0] !== undefined ? all : "");
  }
}

export { header_reader, join_beta, list_header };
