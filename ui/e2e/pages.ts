/** Every page there is, with something on it to see. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { ROOT, type World } from "./world.ts";

const FAILS = `winslow: 1
name: late-shift
title: Night shift
parameters:
  VIDEO: {type: string, default: bellevue.mp4, title: Video}
stages:
  - id: detect
    command: [sh, -c, "echo 320 frames; sleep 1; echo 'Traceback: no frame at 00:41:07' >&2; exit 3"]
  - id: track
    command: [sh, -c, "echo tracked"]
`;

const RUNS = `winslow: 1
name: long-watch
title: Long watch
parameters:
  EVERY: {type: integer, default: 1, title: Seconds between lines}
stages:
  - id: watch
    command: [sh, -c, "i=0; while [ $i -lt 600 ]; do i=$((i+1)); echo line $i; echo $((i / 6)) > $WINSLOW_PROGRESS; sleep $EVERY; done"]
  - id: report
    command: [sh, -c, "echo done"]
`;

export interface Seeded {
  done: string;
  asks: string;
  failed: string;
  runs: string;
}

/** One project of each kind: done and redone, waiting for a person, failed, running. */
export async function seed(world: World): Promise<Seeded> {
  const done = await world.project("crossing at noon", { start: true, tags: ["b14", "rush-hour"] });
  const asks = await world.project("crossing at six", { start: true, tags: ["b14"] });
  const failed = await world.project("tunnel, second camera", { start: true, text: FAILS });
  const runs = await world.project("bridge", { start: true, text: RUNS, tags: ["long"] });
  const go = async (times: number) => {
    const shown = await world.waits(done, (p) => (p.gates as unknown[]).length > 0);
    const [gate] = shown.gates as { id: string }[];
    await world.command(done, { kind: "answer_gate", gate: gate?.id, answer: "go", values: {}, stage: 0 });
    await world.waits(
      done,
      (p) => (p.stages as { state: string }[]).filter((s) => s.state === "succeeded").length > times,
    );
  };
  await world.call("POST", "/api/v1/pipelines", { text: FAILS, comment: "a first one" });
  await go(1);
  await world.waits(asks, (p) => (p.gates as unknown[]).length > 0);
  await world.waits(failed, (p) => (p.failures as unknown[]).length > 0);
  await world.waits(runs, (p) => p.state === "running");
  return { done, asks, failed, runs };
}

export function addresses({ done, asks, failed, runs }: Seeded): Record<string, string> {
  return {
    projects: "/projects",
    "projects-grouped": "/projects?group=tag",
    "projects-none": "/projects?q=tag%3Anothing",
    new: "/projects/new?example=first-steps",
    inbox: "/inbox",
    inputs: "/inputs",
    nodes: "/nodes",
    pipelines: "/pipelines",
    shelf: "/pipelines/late-shift",
    "pipelines-edit": "/pipelines/edit?example=first-steps",
    statistics: "/statistics",
    profile: "/settings",
    notifications: "/settings/notifications",
    tokens: "/settings/tokens",
    people: "/settings/people",
    groups: "/settings/groups",
    installation: "/settings/installation",
    audit: "/settings/audit",
    project: `/projects/${done}`,
    gate: `/projects/${asks}`,
    failure: `/projects/${failed}`,
    running: `/projects/${runs}`,
    history: `/projects/${done}/history`,
    compare: `/projects/${done}/compare?stages=1,2`,
    events: `/projects/${done}/events`,
    logs: `/projects/${runs}/logs`,
    "logs-failed": `/projects/${failed}/logs`,
    files: `/projects/${done}/files?path=stages`,
    preview: `/projects/${done}/files?path=stages%2F0001-make%2Foutput&file=numbers.csv`,
    charts: `/projects/${done}/charts`,
    environment: `/projects/${done}/environment`,
    pipeline: `/projects/${done}/pipeline`,
    space: `/projects/${failed}/space`,
    redo: `/projects/${done}/run?redo=2`,
    missing: "/projects/pNOTHINGTHERE",
  };
}

/** The paths of all pages as the application itself names them: "/projects/$project/logs". */
export function routes(): string[] {
  const source = readFileSync(join(ROOT, "ui/src/app/router.tsx"), "utf-8");
  const made = /const (\w+) = createRoute\(\{\s*getParentRoute: \(\) => (\w+),\s*(?:path|id): "([^"]+)"/g;
  const parts = new Map([...source.matchAll(made)].map(([, name, parent, path]) => [name, { parent, path }]));
  const whole = (name: string | undefined): string => {
    const own = parts.get(name);
    if (!own) return "";
    return whole(own.parent) + (own.path?.startsWith("/") ? own.path : "");
  };
  const found = [...parts.keys()].map((name) => whole(name).replace(/\/+$/, "") || "/");
  if (found.length < 20) throw new Error("the routes are written in another way than they are read here");
  return [...new Set(found)];
}

/** One address for each path. */
export function onePerRoute(all: Seeded): [string, string][] {
  const open = new Map(Object.entries({ ...addresses(all), "log-in": "/login" }).reverse());
  return routes()
    .filter((route) => route !== "/") // leads on to /projects
    .map((route) => {
      const shape = new RegExp(
        `^${route.replace("$project", "p(?!NOTHING)\\w+").replace("$name", "(?!edit$)[\\w-]+")}$`,
      );
      const [found] = [...open.values()].filter((address) => shape.test(address.split("?")[0] ?? ""));
      return [route, found ?? ""];
    });
}

/** Shown whole: nothing is being fetched, no place-holder stands for anything, and the letters are there. */
export async function settled(page: Page): Promise<void> {
  await page.locator("main, .log-in").first().waitFor();
  await page.waitForFunction(
    () => !document.querySelector(".skeleton, [aria-busy=true]") && document.fonts.status === "loaded",
    undefined,
    { timeout: 15_000 },
  );
  await page.waitForLoadState("networkidle", { timeout: 2_000 }).catch(() => undefined); // some ask on and on
}
