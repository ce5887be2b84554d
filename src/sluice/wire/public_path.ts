/**
 * Paths of other forms that stand for one of this gateway's.
 *
 * A slash at the end is of no account. Clients of Azure's ask below `/openai`: for a deployment by its name
 * (`/openai/deployments/{model}/chat/completions`), in the newer form as OpenAI's do (`/openai/v1/…`), and for what belongs to
 * no deployment without a version (`/openai/responses`, `/openai/models`). See learn.microsoft.com, "Azure OpenAI REST API
 * reference".
 */

/** What deployments are asked for. */
const OF_DEPLOYMENTS = ["/chat/completions", "/completions", "/embeddings"];
const DEPLOYMENTS = "/openai/deployments/";
const MESSAGES = "/v1/messages";
/** As many bytes as the configuration allows. */
const MOST_NAME_BYTES = 128;

/**
 * Whether a name of a path, decoded, can be a model's: the configuration allows printable ASCII without spaces, quotes and
 * backslashes.
 */
function is_model_name(name: string): boolean {
  return name.length <= MOST_NAME_BYTES && string.find(name, "^[!-~]+$")[0] !== undefined && string.find(name, `["'\\]`)[0] === undefined;
}

/**
 * What a path below a deployment asks for, and the deployment. The name may hold slashes, which a client has to send as `%2F`.
 */
function split_deployment(path: string): LuaMultiReturn<[path: string, model: string | undefined]> {
  for (const ending of OF_DEPLOYMENTS) {
    const name_end = path.length - ending.length;
    if (string.sub(path, name_end + 1) === ending) {
      const name = string.sub(path, DEPLOYMENTS.length + 1, name_end);
      if (is_model_name(name)) {
        return $multi(`/v1${ending}`, name);
      }
      return $multi("", undefined);
    }
  }
  return $multi("", undefined);
}

/**
 * The path of this gateway that another path stands for, and the model that it names; the path itself if it stands for none.
 * `path`: decoded, without a query.
 */
function own_path(path: string): LuaMultiReturn<[path: string, model: string | undefined]> {
  const [trimmed] = string.match(path, "^(.+)/$");
  const given = trimmed ?? path;
  if (string.sub(given, 1, 8) !== "/openai/") {
    return $multi(given, undefined);
  }
  if (string.sub(given, 1, DEPLOYMENTS.length) === DEPLOYMENTS) {
    return split_deployment(given);
  }
  const below = string.sub(given, 8);
  return $multi(string.sub(below, 1, 4) === "/v1/" ? below : `/v1${below}`, undefined);
}

/**
 * Whether a path belongs to Anthropic's API, so that errors there are written as Anthropic writes them: also where there is
 * nothing.
 */
function is_of_messages(path: string): boolean {
  return path === MESSAGES || string.sub(path, 1, MESSAGES.length + 1) === `${MESSAGES}/`;
}

export { is_of_messages, own_path };
