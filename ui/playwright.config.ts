import { defineConfig } from "@playwright/test";

/** Debian's own browser; none is downloaded. */
const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export default defineConfig({
  testDir: "e2e",
  projects: [
    { name: "e2e", testMatch: /\.spec\.ts$/ },
    { name: "pictures", testMatch: /pictures\.ts$/ },
    { name: "bench", testMatch: /bench\.ts$/ },
  ],
  workers: 1,
  retries: 0,
  timeout: 60_000,
  expect: { timeout: 15_000 }, // machines that do other things at the same time are slow
  reporter: [["list"]],
  use: {
    viewport: { width: 1440, height: 900 },
    trace: "off",
    launchOptions: { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args },
  },
});
