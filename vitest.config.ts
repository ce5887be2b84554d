import { defineConfig } from "vitest/config";

// Each file starts its own gateway and mock on free ports. Two at a time leave a core for them on small machines. The limits are there for
// what hangs: no test is to fail because the machine is busy.
export default defineConfig({
  test: {
    include: ["spec/e2e/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120000,
    hookTimeout: 120000,
    teardownTimeout: 60000,
  },
});
