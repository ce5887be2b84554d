import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { countTokens } from "gpt-tokenizer/encoding/o200k_base";
import { describe, expect, it } from "vitest";
import { TEXTS } from "../../bench/texts.ts";
import { ROOT } from "../support/processes.ts";

/** Estimates the text on standard input as the gateway does: as a string of a JSON body, on the walk. */
const PROGRAM = `
  local estimate, json, shape = require("sluice.wire.estimate"), require("sluice.wire.json"), require("sluice.wire.shape")
  local total = estimate.new_estimate()
  local walk = json.walker(shape.compile({ text = true }), estimate.ESTIMATOR, total)
  assert(json.check(walk, json.encode_string(io.read("*a"))) == nil)
  print(estimate.tokens(total))
`;

function estimated(text: string): number {
  const path = join(process.env.SLUICE_LUA ?? join(ROOT, "dist/lua"), "?.lua");
  const options = { input: text, encoding: "utf8", env: { ...process.env, LUA_PATH: path } } as const;
  return Number(execFileSync("luajit", ["-e", PROGRAM], options));
}

function read(...path: string[]): string {
  return readFileSync(join(ROOT, ...path), "utf8");
}

const english = ["README.md", ...readdirSync(join(ROOT, "docs")).map((name) => join("docs", name))].map((path) => read(path)).join("\n");
const code = [
  ...readdirSync(join(ROOT, "src/sluice/wire")).map((name) => read("src/sluice/wire", name)),
  ...readdirSync(join(ROOT, "spec/unit/wire")).filter((name) => name.endsWith(".lua")).map((name) => read("spec/unit/wire", name)),
  read("tools/install"), read("nginx/sluice.yaml"), read("package.json"),
].join("\n");

const cases: [string, string, number][] = [
  ["English", `${english}\n${TEXTS.English}`, 0.15],
  ["Chinese", TEXTS.Chinese, 0.15],
  ["code", code, 0.15],
  // As much of each, in tokens or so.
  ["all three, mixed", [english.slice(0, 40000), TEXTS.Chinese.slice(0, 12000), code.slice(0, 40000)].join("\n"), 0.15],
];

describe("the estimate of tokens, beside the tokenizer o200k_base", () => {
  it.each(cases)("of %s", (name, text, most) => {
    const ratio = estimated(text) / countTokens(text);
    console.log(`estimate ÷ tokens, ${name}: ${ratio.toFixed(3)}`);
    expect(Math.abs(ratio - 1)).toBeLessThanOrEqual(most);
  });
});
