/** Pictures of every page and of every state that a page can be in, light and dark, at 1440 and 390, into ui/screenshots:
 *  `npm run screenshots`. What is on them has really run. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "@playwright/test";
import { withFleet } from "./fleet.ts";
import { settled } from "./pages.ts";
import { type Scenes, scenes } from "./scenes.ts";
import { expect, steady, test, World } from "./world.ts";

const OUT = join(import.meta.dirname, "../screenshots");
const LOOKS = [1440, 390].flatMap((width) =>
  (["light", "dark"] as const).map((scheme) => ({ width, scheme })),
);

let all: Scenes;
test.beforeAll(async ({ world }) => {
  test.setTimeout(900_000);
  all = await scenes(world);
});

function addresses(of: Scenes): Record<string, string> {
  const [done, runs] = [`/projects/${of.done}`, `/projects/${of.runs}`];
  const output = `${done}/files?path=stages%2F0005-analyse%2Foutput`;
  return {
    login: "/login",
    projects: "/projects",
    "projects-grouped": "/projects?group=tag",
    "projects-none": "/projects?q=tag%3Anothing",
    new: "/projects/new?example=first-steps",
    inbox: "/inbox",
    "inbox-failure": `/inbox?at=${of.failed}`,
    inputs: "/inputs",
    nodes: "/nodes",
    pipelines: "/pipelines",
    "pipelines-one": "/pipelines/first-steps",
    "pipelines-edit": "/pipelines/edit?name=first-steps",
    statistics: "/statistics",
    profile: "/settings",
    notifications: "/settings/notifications",
    tokens: "/settings/tokens",
    people: "/settings/people",
    groups: "/settings/groups",
    installation: "/settings/installation",
    audit: "/settings/audit",
    project: done,
    "project-gate": `/projects/${of.asks}`,
    "project-choice": `/projects/${of.chooses}`,
    "project-values": `/projects/${of.values}`,
    "project-failed": `/projects/${of.failed}`,
    "project-twelve-failures": `/projects/${of.twelve}`,
    "project-running": runs,
    "project-forty-stages": `/projects/${of.forty}`,
    "project-cannot-start": `/projects/${of.never}`,
    "project-long-name": `/projects/${of.odd}`,
    "project-idle": `/projects/${of.idle}`,
    "project-missing": "/projects/pNOTHINGTHERE",
    history: `${done}/history`,
    compare: `${done}/compare?stages=2,7`,
    "compare-sweep": `/projects/${of.chooses}/compare?stages=1,2,3,4,5`,
    events: `${done}/events`,
    logs: `${runs}/logs`,
    "logs-found": `${runs}/logs?find=id+switch`,
    "logs-failed": `/projects/${of.failed}/logs`,
    files: `${done}/files?path=stages`,
    "files-table": `${output}&file=counts.csv`,
    "files-video": `${output}&file=annotated.mp4`,
    "files-picture": `${output}&file=heatmap.png`,
    "files-report": `${output}&file=report.html`,
    charts: `${done}/charts`,
    environment: `${done}/environment`,
    pipeline: `${done}/pipeline`,
    space: `${done}/space`,
    "space-failed": `/projects/${of.twelve}/space`,
    redo: `${done}/run?redo=6`,
    run: `${done}/run`,
  };
}

test("no address of the application is without a picture", () => {
  const router = readFileSync(join(import.meta.dirname, "../src/app/router.tsx"), "utf-8");
  const paths = [...router.matchAll(/getParentRoute: \(\) => (\w+),\s+path: "([^"]+)"/g)].map(
    ([, parent, path]) =>
      `${parent === "project" ? "/projects/ID" : parent === "settings" ? "/settings" : ""}${path}`.replace(
        "$project",
        "ID",
      ),
  );
  const known = Object.values(addresses({ ...all, done: "ID", runs: "ID" })).map(
    (each) => each.split("?")[0],
  );
  expect(paths.length).toBeGreaterThan(20);
  expect(
    paths
      .map((path) => path.replace(/(.)\/$/, "$1").replace("$name", "first-steps"))
      .filter((path) => path !== "/" && !known.includes(path)),
  ).toEqual([]);
});

async function open(
  browser: Browser,
  world: World,
  width: number,
  scheme: "light" | "dark",
  more: BrowserContextOptions = {},
): Promise<Page> {
  const phone = width === 390;
  const context = await browser.newContext({
    baseURL: world.url,
    viewport: { width, height: phone ? 844 : 1000 },
    colorScheme: scheme,
    reducedMotion: "reduce",
    isMobile: phone,
    hasTouch: phone,
    ...more,
  });
  await world.enter(context);
  return steady(await context.newPage());
}

for (const { width, scheme } of LOOKS) {
  test(`${width} ${scheme}`, async ({ browser, world }) => {
    test.setTimeout(600_000);
    const page = await open(browser, world, width, scheme);
    const picture = (name: string) => page.screenshot({ path: join(OUT, `${name}-${width}-${scheme}.png`) });
    for (const [name, address] of Object.entries(addresses(all))) {
      await page.goto(address);
      await settled(page);
      if (name === "project-running") await page.waitForTimeout(12_000); // meters need some readings
      await picture(name);
    }
    await withFleet(page);
    await page.goto("/nodes");
    await settled(page);
    await picture("nodes-fleet");

    // what is still on its way, and what does not come
    await page.route("**/api/v1/projects?*", () => undefined);
    await page.route("**/api/v1/inbox*", (route) => route.abort());
    await page.goto("/inbox");
    await page.locator(".problem").waitFor({ timeout: 60_000 });
    await picture("failing");
    await page.goto("/projects");
    await page.waitForTimeout(1_000);
    await picture("loading");
    await page.context().close();
  });
}

test("before anything is there", async ({ browser }) => {
  test.setTimeout(300_000);
  const world = new World();
  try {
    await world.start();
    for (const { width, scheme } of LOOKS) {
      const page = await open(browser, world, width, scheme);
      for (const name of ["projects", "inbox", "pipelines", "inputs", "statistics"]) {
        await page.goto(`/${name}`);
        await settled(page);
        await page.screenshot({ path: join(OUT, `empty-${name}-${width}-${scheme}.png`) });
      }
      await page.context().close();
    }
  } finally {
    await world.end();
  }
});
