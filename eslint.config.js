// The lint. `src` becomes Lua, where parts of the language don't exist and others are slow: what compiles there but fails
// or hurts when it runs is refused here. What a linter can't see (imports, names, the emitted Lua) is in
// tools/check_house.mjs.

import tseslint from "typescript-eslint";

const ABSENT = "does not exist in Lua";

/** Syntax that TypeScriptToLua miscompiles, can't compile, or compiles into a slow library. */
const SYNTAX = [
  ["ClassDeclaration, ClassExpression", "Plain functions and interfaces instead of classes."],
  ["TSEnumDeclaration[const=false]", "A plain enum becomes a table; use const enum."],
  ["Literal[raw='null'], TSNullKeyword", "Lua has one nil: use undefined."],
  ["Literal[regex]", `A regular expression ${ABSENT}: use string.match and the like.`],
  ["SpreadElement", "Spread becomes a library call."],
  [":matches(FunctionDeclaration, FunctionExpression, ArrowFunctionExpression) > RestElement, ArrayPattern > RestElement, ObjectPattern > RestElement",
    "Rest becomes a library call."],
  ["UnaryExpression[operator='delete']", "delete becomes a library call: set undefined, or LuaTable.delete."],
  ["ForInStatement", "for-in becomes a library call: use $range, for-of, or pairs."],
  ["MemberExpression[optional=true][property.name='length'], ChainExpression MemberExpression[property.name='length']",
    "Optional chaining to length miscompiles to a field of that name, which is nil on strings."],
  ["MemberExpression[object.name='Object'][property.name=/^(keys|values|entries|assign|fromEntries)$/]", "Object's functions become library calls: use LuaTable."],
  ["CallExpression[callee.name='Number'], CallExpression[callee.name='String'], CallExpression[callee.name='parseInt'], CallExpression[callee.name='parseFloat']",
    "Becomes a library call: use tonumber, or a template."],
].map(([selector, message]) => ({ selector, message }));

/** Not where something runs per request. */
const HOT_SYNTAX = [
  ["TryStatement", "Errors are values: return $multi(undefined, reason)."],
  ["ThrowStatement", "Errors are values: return $multi(undefined, reason)."],
  ["CallExpression > MemberExpression[property.name=/^(charAt|charCodeAt|codePointAt|slice|substring|split|includes|startsWith|endsWith|trim|trimStart|trimEnd|replace|replaceAll|padStart|padEnd|repeat)$/]",
    "Becomes a library call: use Lua's string functions."],
  ["CallExpression > MemberExpression[property.name=/^(map|filter|forEach|reduce|some|every|find|findIndex|flat|flatMap|sort|reverse|concat|shift|unshift|splice)$/]:not([object.name=/^(string|table)$/]):not([object.property.name='timer'])",
    "Becomes a library call: use a loop, or Lua's table functions."],
].map(([selector, message]) => ({ selector, message }));

const GLOBALS = [
  ...["JSON", "Date", "RegExp", "Promise", "Map", "Set", "WeakMap", "WeakSet", "Symbol", "Proxy", "Reflect", "console", "setTimeout"]
    .map((name) => ({ name, message: `${name} ${ABSENT}, or not without a library.` })),
  { name: "ffi", message: 'Import it: import * as ffi from "ffi".' },
];

const TYPED = {
  extends: [...tseslint.configs.recommendedTypeChecked],
  languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
};

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", "bench/node_modules/", ".run/", "**/*.d.ts"] },
  {
    files: ["**/*.{js,mjs}"],
    extends: [...tseslint.configs.recommended],
  },
  {
    files: ["spec/**/*.ts", "bench/**/*.ts", "*.ts"],
    ...TYPED,
    rules: {
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/consistent-type-imports": "error",
    },
  },
  {
    files: ["src/**/*.ts"],
    ...TYPED,
    rules: {
      "no-restricted-syntax": ["error", ...SYNTAX, ...HOT_SYNTAX],
      "no-restricted-globals": ["error", ...GLOBALS],
      "max-lines": ["error", { max: 300, skipBlankLines: true, skipComments: true }],
      eqeqeq: "error",
      "prefer-const": "error",
      "no-var": "error",
      // noImplicitSelf makes a plain function have no self, which this rule can't know.
      "@typescript-eslint/unbound-method": "off",
      // A number in a template is what Lua writes too.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/no-empty-object-type": "off",
      // What the checker fills in, and what Lua returns, is known better here than in the declarations.
      "@typescript-eslint/no-unnecessary-type-assertion": "off",
      "@typescript-eslint/no-explicit-any": "off",
      // Bytes are compared with the members of a const enum, which are numbers once compiled.
      "@typescript-eslint/no-unsafe-enum-comparison": "off",
      // for (const _ of $range(1, n)): a loop that doesn't ask for its index.
      "@typescript-eslint/no-unused-vars": ["error", { varsIgnorePattern: "^_$" }],
      "@typescript-eslint/consistent-type-imports": "error",
    },
  },
  {
    // These run before the first request or on a command line.
    files: ["src/sluice/config/**/*.ts", "src/sluice/cli/**/*.ts"],
    rules: {
      "no-restricted-syntax": ["error", ...SYNTAX],
      // Lua's require, of a module that only exists on the edge server.
      "@typescript-eslint/no-require-imports": "off",
    },
  },
);
