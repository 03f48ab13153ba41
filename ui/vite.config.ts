import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const api = process.env.WINSLOW_URL ?? "http://127.0.0.1:8420";
const within = (names: string) => new RegExp(`[\\\\/]node_modules[\\\\/](${names})[\\\\/]`);

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { "@": new URL("./src", import.meta.url).pathname } },
  server: { host: "127.0.0.1", port: 5173, strictPort: true, proxy: { "/api": { target: api, ws: true } } },
  build: {
    target: "es2022",
    outDir: process.env.WINSLOW_UI_OUT ?? "dist",
    emptyOutDir: true,
    reportCompressedSize: false,
    assetsInlineLimit: 0, // the page allows no data: fonts
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: "react", test: within("react|react-dom|scheduler"), priority: 30 },
            // the frame needs the first, and what floats above it the second
            {
              name: "mantine",
              test: within("@mantine[\\\\/](hooks|core[\\\\/]esm[\\\\/]core)"),
              priority: 20,
            },
            {
              name: "floating",
              test: within(
                "@mantine[\\\\/](core|notifications|store)[\\\\/]esm|@floating-ui|react-(remove-scroll|transition-group)",
              ),
              priority: 15,
            },
            {
              name: "tanstack",
              test: within(
                "@tanstack[\\\\/](react-router|router-core|history|react-query|query-core|store|react-store)",
              ),
              priority: 10,
            },
          ],
        },
      },
    },
  },
  test: {
    environment: "happy-dom",
    setupFiles: ["tests/setup.ts"],
    include: ["tests/**/*.test.{ts,tsx}"],
    pool: "threads",
    maxWorkers: 2,
  },
});
