import { defineConfig } from "vitest/config";

// Each file starts its own gateway and mock on free ports. They wait for most of their time, so that four at a time suit two cores. The
// limits are there for what hangs: no test is to fail because the machine is busy.
export default defineConfig({
  test: {
    include: ["spec/e2e/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 4,
    testTimeout: 120000,
    hookTimeout: 120000,
    teardownTimeout: 60000,
  },
});
