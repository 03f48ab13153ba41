/** Everything that can go wrong between a page and its server, on every page: it says what happened, with the request's id
 *  where there was one, and how to go on. Nothing leaves a blank screen. */
import type { Page, Route } from "@playwright/test";
import { onePerRoute, type Seeded, seed, settled } from "./pages.ts";
import { expect, faults, test } from "./world.ts";

let all: Seeded;
test.beforeAll(async ({ world }) => {
  all = await seed(world);
});

const ID = "req-0badc0ffee";
const QUICK = { timeout: 15_000 };
const problem = (status: number, title: string) => ({
  status,
  headers: { "X-Request-ID": ID },
  contentType: "application/problem+json",
  body: JSON.stringify({
    status,
    title,
    code: "test.fault",
    hint: "This is said by a test.",
    request_id: ID,
  }),
});

/** How an answer goes wrong, and what has to be read then. */
const FAULTS: Record<string, { answer: (route: Route) => Promise<void>; said: RegExp; id: boolean }> = {
  "fails inside": {
    answer: (route) => route.fulfill(problem(500, "Something broke in the server.")),
    said: /Something broke in the server/,
    id: true,
  },
  "says no": {
    answer: (route) => route.fulfill(problem(403, "You may not see this.")),
    said: /You may not see this/,
    id: true,
  },
  "knows nothing of it": {
    answer: (route) => route.fulfill(problem(404, "There is no such thing.")),
    said: /There is no such thing|There is nothing here/,
    id: true,
  },
  "sends what is cut off": {
    answer: (route) =>
      route.fulfill({
        status: 200,
        headers: { "X-Request-ID": ID },
        contentType: "application/json",
        body: '{"items": [{"id": "p',
      }),
    said: /could not be read/,
    id: true,
  },
  "sends a page of somebody else's": {
    answer: (route) =>
      route.fulfill({
        status: 200,
        contentType: "text/html",
        body: "<h1>Log in to the hotel's network</h1>",
      }),
    said: /could not be read/,
    id: false,
  },
  "sends something quite different": {
    answer: (route) => route.fulfill({ status: 200, contentType: "application/json", body: "[]" }),
    said: /./,
    id: false,
  },
};

/** Everything but who one is and how many wait: those are asked for by the frame, and have their own tests. */
const OTHERS = /\/api\/v1\/(?!session$|projects\/counts|live)/;

/** What the rail asks for on every page, and tells nothing of where it is not answered. */
const OF_RAIL = /\/api\/v1\/(files\/inputs\/usage|nodes|views)(\?|$)/;

/** Where one is not stuck: something to press or follow, apart from the frame. */
async function waysOn(page: Page): Promise<number> {
  return page.locator("main a[href]:visible, main button:visible:not(:disabled)").count();
}

async function shown(page: Page): Promise<string> {
  return (await page.locator("body").innerText()).replace(/\s+/g, " ");
}

for (const [name, fault] of Object.entries(FAULTS)) {
  test(`a server that ${name} blanks no page`, async ({ page }) => {
    test.setTimeout(400_000);
    const bad: string[] = [];
    await page.route(OTHERS, (route) => fault.answer(route));
    for (const [route, address] of onePerRoute(all)) {
      if (route === "/login") continue; // asks for nothing
      let asked = 0;
      const count = (request: { url(): string }) => {
        const rails = OF_RAIL.test(request.url()) && !route.startsWith("/nodes");
        if (OTHERS.test(request.url()) && !rails) asked += 1;
      };
      page.on("request", count);
      await page.goto(address);
      const main = page.locator("main");
      await main.waitFor(QUICK);
      await settled(page).catch(() => undefined);
      page.off("request", count);
      const good = async () =>
        asked === 0 ||
        (fault.said.test(await shown(page)) && (!fault.id || (await shown(page)).includes(ID)));
      await expect
        .poll(good, { timeout: 40_000 })
        .toBe(true)
        .catch(() => undefined);
      const text = await main.innerText();
      if (!(await good())) bad.push(`${route} does not tell: ${text.replace(/\s+/g, " ").slice(0, 160)}`);
      if (text.trim().length < 20) bad.push(`${route} is blank`);
      if (!(await waysOn(page))) bad.push(`${route} leads nowhere`);
    }
    expect(bad).toEqual([]);
  });
}

test("a server that never answers is told of after half a minute, on every page", async ({ page }) => {
  test.setTimeout(400_000);
  const bad: string[] = [];
  await page.clock.install();
  await page.route(OTHERS, () => undefined);
  for (const [route, address] of onePerRoute(all)) {
    if (route === "/login" || route === "/settings") continue; // they ask for nothing of their own
    await page.goto(address);
    await page.locator("main").waitFor(QUICK);
    await page.waitForTimeout(300);
    await page.clock.fastForward(31_000);
    await page
      .getByText(/has not answered for 30 seconds/)
      .first()
      .waitFor(QUICK)
      .catch(async () => {
        bad.push(`${route}: ${(await shown(page)).slice(0, 160)}`);
      });
  }
  await page.unrouteAll({ behavior: "ignoreErrors" });
  expect(bad).toEqual([]);
});

test("whoever cannot be told apart is told so, not shown an empty screen", async ({ page }) => {
  await page.route("**/api/v1/session", (route) => route.fulfill(problem(500, "The sessions are away.")));
  await page.goto("/projects");
  await expect(page.getByRole("alert")).toContainText("The sessions are away.");
  await expect(page.getByRole("alert")).toContainText(ID);
  await page.unroute("**/api/v1/session");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("link", { name: "crossing at noon" })).toBeVisible();
});

test("a part of a page that is gone after an update is told of, and fetched by loading anew", async ({
  page,
}) => {
  await page.goto("/projects");
  await expect(page.getByRole("link", { name: "crossing at noon" })).toBeVisible();
  await page.route(/\/assets\/statistics-.*\.js/, (route) => route.fulfill({ status: 404, body: "gone" }));
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Statistics" }).click();
  await expect(page.getByRole("alert")).toContainText("A part of this page could not be fetched.", QUICK);
  await expect(page.getByRole("navigation", { name: "Main" })).toBeVisible();
  await page.unroute(/\/assets\/statistics-.*\.js/);
  await page.getByRole("button", { name: "Load the page anew" }).click();
  await expect(page.getByRole("heading", { name: "Statistics" }).first()).toBeAttached(QUICK);
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("an address that leads nowhere says so, and leads back", async ({ page }) => {
  for (const address of ["/nothing/of/the/kind", "/projects/pNOTHINGTHERE", "/settings/nothing"]) {
    await page.goto(address);
    await expect(page.getByRole("alert")).toContainText("There is nothing here", QUICK);
    await expect(page.getByRole("link", { name: "To the projects" })).toBeVisible();
  }
});

test("without live updates every page shows what there is, and that it is not current", async ({ page }) => {
  test.setTimeout(120_000);
  const wrong = faults(page);
  await page.routeWebSocket(/\/api\/v1\/live/, (socket) => socket.close());
  for (const address of ["/projects", `/projects/${all.done}`, `/projects/${all.runs}/logs`, "/nodes"]) {
    await page.goto(address);
    await expect(page.getByText("not live")).toBeVisible(QUICK);
    await settled(page);
    await expect(page.getByText("Reconnecting.")).toBeVisible(QUICK);
    expect((await page.locator("main").innerText()).length).toBeGreaterThan(60);
  }
  expect(wrong).toEqual([]);
});

test("live updates that cannot be read are asked for again", async ({ page, world }) => {
  const wrong = faults(page);
  let opened = 0;
  await page.routeWebSocket(/\/api\/v1\/live/, (socket) => {
    opened += 1;
    const server = socket.connectToServer();
    if (opened === 1) setTimeout(() => socket.send('{"type": "delta", "topic": "proj'), 1_000);
    socket.onMessage((message) => server.send(message));
    server.onMessage((message) => socket.send(message));
  });
  await page.goto("/projects");
  await expect.poll(() => opened, QUICK).toBeGreaterThan(1);
  await world.project("made after the garbled word");
  await expect(page.getByRole("link", { name: "made after the garbled word" })).toBeVisible(QUICK);
  expect(wrong).toEqual([]);
});
