import argparse = require("argparse");
import { decode } from "cjson.safe";
import { capture } from "../config/environment";
import { json_schema } from "../config/json_schema";
import type { SnapshotTools } from "../config/snapshot";
import * as crypto from "../edge/crypto";
import { read_file } from "../edge/file";
import { memory_store } from "../guard/store";
import { new_slots } from "../pool/slots";
import { NO_SINK, check, walker } from "../wire/json";
import { compile } from "../wire/shape";
import { text } from "./argument";
import { check_file } from "./check";
import { print_new_key } from "./key";
import { add_lexicon_commands, run_lexicon } from "./lexicon";
import { Status, terminal } from "./terminal";
import { ALGORITHM_NAMES, print_token } from "./token";
import { add_usage_commands, run_usage } from "./usage";
import { VERSION } from "./version";

/**
 * The `sluice` command. LuaJIT runs it, with the gateway's own code: what `sluice check` accepts, the gateway does.
 *
 * Answers go to standard output, errors to standard error. Exit status: 0 all is well, 1 the answer is no, 2 bad use.
 */

/** What reading a configuration takes outside of nginx: nothing waits, nothing is fetched. */
function snapshot_tools(): SnapshotTools {
  const walk = walker(compile({}), NO_SINK, undefined);
  return {
    read_file,
    environment: capture(),
    sha256_hex: crypto.sha256_hex,
    pause: () => {},
    reader: { cryptography: crypto, strict_check: (text) => check(walk, text), decode },
    fetching: undefined,
    slots: new_slots(),
    now: os.clock,
    previous: undefined,
    lexicons: memory_store(),
  };
}

function make_parser(): ArgumentParser {
  const parser = argparse("sluice", "An LLM gateway inside nginx: its configuration, keys and tokens.");
  parser.epilog("Exit status: 0 all is well, 1 the answer is no, 2 bad use.");
  parser.command_target("command");
  parser.flag("--version", "Print the version and exit.").action(() => {
    terminal.print(`sluice ${VERSION}`);
    os.exit(Status.Good);
  });

  const check_command = parser.command("check", "Check a configuration and every file that it names.");
  check_command.argument("file", "The YAML file.").argname("FILE");
  parser.command("schema", "Print the configuration's JSON Schema, for editors.");

  const key = parser.command("key", "API keys.");
  key.command_target("action");
  const key_new = key.command("new", "Make an API key: the key is printed once, its hash is for the configuration.");
  key_new.option("--tenant", "Whose key it is.").argname("TENANT").count("1");
  key_new.option("--id", "What logs call the key. Without it a name is made.").argname("ID");

  add_lexicon_commands(parser);
  add_usage_commands(parser);

  const token = parser.command("token", "JSON Web Tokens, for trials.");
  token.command_target("action");
  const mint = token.command("mint", "Make a signed token.");
  mint.option("--issuer", "The iss claim.").argname("ISSUER").count("1");
  mint.option("--audience", "The aud claim.").argname("AUDIENCE").count("1");
  mint.option("--tenant", "The claim that names the tenant.").argname("TENANT").count("1");
  mint.option("--tenant-claim", "What that claim is called.").argname("NAME").default("tenant").target("tenant_claim");
  mint.option("--subject", "The sub claim.").argname("SUBJECT");
  mint.option("--expires", "How long the token is good for.").argname("DURATION").default("1h");
  mint.option("--algorithm", "The signature algorithm.").choices(ALGORITHM_NAMES).count("1");
  mint.option("--typ", "The typ in the header.").argname("TYPE").default("JWT");
  mint.option("--key-id", "The kid in the header.").argname("ID").target("key_id");
  mint.option("--key-file", "A private key in PEM, for RS, PS, ES and EdDSA.").argname("FILE").target("key_file");
  mint.option("--secret-env", "The environment variable that holds the secret, for HS.").argname("NAME").target("secret_env");
  return parser;
}

/** Runs what was asked for. */
function run(result: ArgumentResult): Status {
  if (result.command === "check") {
    return check_file(text(result, "file") ?? "", snapshot_tools(), terminal);
  }
  if (result.command === "schema") {
    io.stdout.write(json_schema());
    return Status.Good;
  }
  if (result.command === "lexicon") {
    return run_lexicon(result);
  }
  if (result.command === "usage") {
    return run_usage(result);
  }
  if (result.command === "key") {
    return print_new_key(text(result, "tenant") ?? "", text(result, "id"), crypto, terminal);
  }
  return print_token(
    {
      issuer: text(result, "issuer") ?? "",
      audience: text(result, "audience") ?? "",
      tenant: text(result, "tenant") ?? "",
      tenant_claim: text(result, "tenant_claim") ?? "tenant",
      subject: text(result, "subject"),
      expires: text(result, "expires") ?? "",
      algorithm: text(result, "algorithm") ?? "",
      typ: text(result, "typ") ?? "JWT",
      key_id: text(result, "key_id"),
      key_file: text(result, "key_file"),
      secret_env: text(result, "secret_env"),
    },
    { now: os.time(), environment: os.getenv, read_file, hmac: crypto.hmac },
    terminal,
  );
}

/** Runs a command line, given without the program's name. `--help` and `--version` end the process themselves. */
function main(values: string[]): Status {
  const [understood, result] = make_parser().pparse(values);
  if (!understood || typeof result === "string") {
    terminal.complain(`sluice: ${tostring(result)}`);
    terminal.complain("Try: sluice --help");
    return Status.BadUse;
  }
  return run(result);
}

export { main };
