// The rules of the house that neither the compiler nor the lint can see: which room may name nginx, which may import
// which, what the emitted Lua may lean on, and that every module is tested.
//
//   node tools/check_house.mjs [ROOT]
//
// Prints each violation as `file:line: message`; exit status 1 if there is one.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";

import ts from "typescript";

/** Rooms that may name nginx. */
const NGINX_ROOMS = ["phases", "edge"];

/** Rooms that run before the first request or on a command line: they may import other rooms and use the Lua library. */
const ASSEMBLING_ROOMS = ["config", "cli"];

/** Modules that no spec reaches, one a line as `room/module`, because only a running gateway shows what they do. */
const COVERED_BY_E2E = "tools/covered_by_e2e.txt";

const ROOMS_FOLDER = "src/sluice";
const SCHEMA_FILE = "nginx/sluice.schema.json";

function filesBelow(folder, ending) {
  if (!existsSync(folder)) return [];
  const found = [];
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) found.push(...filesBelow(path, ending));
    else if (name.endsWith(ending)) found.push(path);
  }
  return found;
}

/** What an import or export statement names, and whether only types come through it. */
function importsOf(source) {
  const found = [];
  const visit = (node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      if (node.moduleSpecifier !== undefined) {
        const clause = ts.isImportDeclaration(node) ? node.importClause : node;
        const named = ts.isImportDeclaration(node) ? clause?.namedBindings : node.exportClause;
        const allNamedAreTypes = named !== undefined && named.elements !== undefined && named.elements.length > 0
          && clause.name === undefined && named.elements.every((element) => element.isTypeOnly);
        const onlyTypes = clause !== undefined && (clause.isTypeOnly === true || allNamedAreTypes);
        found.push({ node, specifier: node.moduleSpecifier.text, onlyTypes });
      }
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) && ts.isStringLiteral(node.argument.literal)) {
      found.push({ node, specifier: node.argument.literal.text, onlyTypes: true });
    } else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
      found.push({ node, specifier: node.moduleReference.expression.text, onlyTypes: node.isTypeOnly });
    } else if (ts.isCallExpression(node) && node.arguments.length === 1 && ts.isStringLiteralLike(node.arguments[0])
      && (node.expression.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(node.expression) && node.expression.text === "require"))) {
      found.push({ node, specifier: node.arguments[0].text, onlyTypes: false });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Why a room may not import another; `undefined` if it may. */
function objection(from, to, onlyTypes) {
  if (from === to) return undefined;
  if (to === "phases") return "nobody imports phases: what they need is an argument";
  if (to === "cli") return "nobody imports the command line";
  if (from === "wire") return "wire imports nothing but wire";
  if (to === "wire" || from === "phases" || from === "cli") return undefined;
  if (from === "edge") return onlyTypes ? undefined : `edge imports rooms only as types; ${to} is a room`;
  if (to === "edge") return "a room never imports edge: what it needs from outside is an argument";
  if (onlyTypes || from === "config") return undefined;
  return `a room imports another only as types (import type); ${to} is another room`;
}

/** Whether a file declares types and nothing that runs. */
function hasOnlyTypes(source) {
  return source.statements.every((statement) =>
    ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)
    || (ts.isImportDeclaration(statement) && statement.importClause?.isTypeOnly === true)
    || (ts.isExportDeclaration(statement) && statement.isTypeOnly)
    || (ts.isEnumDeclaration(statement) && statement.modifiers?.some((modifier) => modifier.kind === ts.SyntaxKind.ConstKeyword) === true));
}

function checkNames(source, room, report) {
  if (NGINX_ROOMS.includes(room)) return;
  const visit = (node) => {
    if (ts.isIdentifier(node) && node.text === "ngx") report(node, `only ${NGINX_ROOMS.join(" and ")} may name ngx`);
    ts.forEachChild(node, visit);
  };
  visit(source);
}

/** In a record that lasts, `undefined` would give a member's place away: ABSENT keeps it. */
function checkLasting(source, report) {
  const visit = (node) => {
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === "lasting") {
      for (const argument of node.arguments.filter(ts.isObjectLiteralExpression)) {
        for (const property of argument.properties) {
          const value = ts.isPropertyAssignment(property) ? property.initializer : undefined;
          if (value !== undefined && /^undefined\b/.test(value.getText(source))) report(property, "a record that lasts has ABSENT where there is nothing");
        }
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
}

function checkImports(source, room, roomsFolder, report) {
  for (const { node, specifier, onlyTypes } of importsOf(source)) {
    if (specifier.startsWith(".")) {
      const target = relative(roomsFolder, resolve(source.fileName, "..", specifier)).split(sep);
      const reason = target[0] === ".." ? "imports stay inside src/sluice" : objection(room, target[0], onlyTypes);
      if (reason !== undefined) report(node, reason);
    } else if (/^(ngx|resty|nginx)\./.test(specifier) && !NGINX_ROOMS.includes(room)) {
      report(node, `only ${NGINX_ROOMS.join(" and ")} may import ${specifier}`);
    }
  }
}

/** Checks the sources of the rooms. Returns the modules that run, as `room/module`, with the imports that carry a spec's reach. */
function checkSources(root, report) {
  const roomsFolder = join(root, ROOMS_FOLDER);
  const modules = [];
  for (const file of filesBelow(roomsFolder, ".ts")) {
    const parts = relative(roomsFolder, file).split(sep);
    const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
    const reportNode = (node, message) => report(file, source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1, message);
    if (!/^[a-z][a-z0-9_]*(\.d)?\.ts$/.test(parts.at(-1))) report(file, 1, "file names are snake_case");
    if (parts.length < 2) report(file, 1, "a module belongs into a room, not beside the rooms");
    checkNames(source, parts[0], reportNode);
    checkLasting(source, reportNode);
    checkImports(source, parts[0], roomsFolder, reportNode);
    if (file.endsWith(".d.ts") || hasOnlyTypes(source)) continue;
    const imports = importsOf(source)
      .filter((each) => !each.onlyTypes && each.specifier.startsWith("."))
      .map((each) => relative(roomsFolder, resolve(file, "..", each.specifier)).split(sep).join("/"))
      .filter((name) => name.startsWith(`${parts[0]}/`) || (parts[0] === "config" && name.endsWith("/config")));
    modules.push({ name: parts.join("/").replace(/\.ts$/, ""), file, imports });
  }
  return modules;
}

/** No TypeScriptToLua library in what runs per request. */
function checkEmitted(root, report) {
  const folder = join(root, "dist/lua/sluice");
  for (const file of filesBelow(folder, ".lua")) {
    if (ASSEMBLING_ROOMS.includes(relative(folder, file).split(sep)[0])) continue;
    readFileSync(file, "utf8").split("\n").forEach((line, index) => {
      const used = /lualib_bundle|__TS__\w+/.exec(line);
      if (used !== null) report(file, index + 1, `leans on TypeScriptToLua's library: ${used[0]}`);
    });
  }
}

/** The modules that specs reach: those they require, what those import inside their room, and a room's section of the configuration. */
function reachedModules(root, modules) {
  const reached = new Set();
  for (const file of filesBelow(join(root, "spec/unit"), ".lua")) {
    const text = readFileSync(file, "utf8");
    for (const match of text.matchAll(/["']sluice\.([a-z0-9_.]+)["']/g)) reached.add(match[1].replaceAll(".", "/"));
    if (text.includes("bin/sluice")) reached.add("cli/start");
  }
  const byName = new Map(modules.map((module) => [module.name, module]));
  for (const name of reached) {
    for (const imported of byName.get(name)?.imports ?? []) reached.add(imported);
  }
  return reached;
}

/** Every module that runs is reached by a spec, or listed as covered by the end-to-end tests, and not both. */
function checkSpecs(root, modules, report) {
  const reached = reachedModules(root, modules);
  for (const file of filesBelow(join(root, "spec/unit"), ".lua")) {
    if (/^\s*describe\(/m.test(readFileSync(file, "utf8")) && !file.endsWith("_spec.lua")) report(file, 1, "a spec's name ends with _spec.lua, or it doesn't run");
  }
  const listFile = join(root, COVERED_BY_E2E);
  const lines = existsSync(listFile) ? readFileSync(listFile, "utf8").split("\n") : [];
  const listed = new Set();
  lines.forEach((text, index) => {
    const name = text.replace(/#.*/, "").trim();
    if (name === "") return;
    listed.add(name);
    if (!modules.some((module) => module.name === name)) report(listFile, index + 1, `there is no module ${name}`);
    else if (reached.has(name)) report(listFile, index + 1, `${name} is reached by a spec and need not be listed`);
  });
  for (const { name, file } of modules) {
    if (!reached.has(name) && !listed.has(name)) report(file, 1, `no spec reaches sluice.${name.replaceAll("/", ".")}, and ${COVERED_BY_E2E} doesn't list it`);
  }
}

/** The JSON Schema for editors is what the checker's own schemas say. */
function checkSchema(root, report) {
  const command = join(root, "bin/sluice");
  if (!existsSync(command)) return;
  const made = spawnSync(command, ["schema"], { encoding: "utf8", maxBuffer: 16 * 1024 * 1024 });
  if (made.status !== 0) {
    report(command, 1, `sluice schema failed: ${(made.stderr ?? String(made.error)).trim()}`);
    return;
  }
  const file = join(root, SCHEMA_FILE);
  const kept = existsSync(file) ? readFileSync(file, "utf8") : "";
  if (kept === made.stdout) return;
  const keptLines = kept.split("\n");
  const line = made.stdout.split("\n").findIndex((text, index) => text !== keptLines[index]);
  report(file, Math.max(line, 0) + 1, "not what the schemas in src say; make schema writes it");
}

/** An nginx configuration or a template of one looks for Lua's modules nowhere but in directories that it names: an empty entry stands for a list that begins with the current directory. */
function checkSearchPaths(root, report) {
  for (const folder of ["nginx", "bench", "spec"]) {
    for (const file of filesBelow(join(root, folder), "").filter((name) => !name.endsWith(".mjs"))) {
      readFileSync(file, "utf8").split("\n").forEach((line, index) => {
        for (const [, entries] of line.matchAll(/lua_package_c?path\s+["']([^"']*)["']/g)) {
          const wrong = entries.split(";").find((entry) => !/^[/@%$]/.test(entry));
          if (wrong !== undefined) report(file, index + 1, `a search path for Lua's modules holds "${wrong}", which is no directory's own path`);
        }
      });
    }
  }
}

/** Checks a tree. Returns the violations, each as `file:line: message` with the file relative to the tree. */
function checkHouse(root) {
  const violations = [];
  const report = (file, line, message) => violations.push(`${relative(root, file)}:${line}: ${message}`);
  const modules = checkSources(root, report);
  checkEmitted(root, report);
  checkSpecs(root, modules, report);
  checkSchema(root, report);
  checkSearchPaths(root, report);
  return violations;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  const violations = checkHouse(resolve(process.argv[2] ?? join(import.meta.dirname, "..")));
  for (const violation of violations) console.error(violation);
  process.exitCode = violations.length > 0 ? 1 : 0;
}

export { checkHouse };
