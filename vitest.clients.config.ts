import { defineConfig } from "vitest/config";

// Real clients against a real gateway (`make test-clients`). They come as programs of their own, of which one at a time suits two cores.
export default defineConfig({
  test: {
    include: ["spec/clients/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 1,
    testTimeout: 120000,
    hookTimeout: 120000,
    teardownTimeout: 60000,
  },
});
