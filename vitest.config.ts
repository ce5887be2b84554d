import { defineConfig } from "vitest/config";

// Each file starts its own gateway and mock on free ports. Two at a time leave a core for them on small machines.
export default defineConfig({
  test: {
    include: ["spec/e2e/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30000,
    hookTimeout: 60000,
    teardownTimeout: 20000,
  },
});
