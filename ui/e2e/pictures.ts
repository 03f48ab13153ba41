/** Pictures of every page, light and dark, at 1440 and 390, into ui/screenshots: `npm run screenshots`. */
import { join } from "node:path";
import { addresses, type Seeded, seed, settled } from "./pages.ts";
import { steady, test } from "./world.ts";

const OUT = join(import.meta.dirname, "../screenshots");

let all: Seeded;
test.beforeAll(async ({ world }) => {
  all = await seed(world);
});

for (const width of [1440, 390]) {
  for (const colorScheme of ["light", "dark"] as const) {
    test(`${width} ${colorScheme}`, async ({ browser, world }) => {
      test.setTimeout(180_000);
      const phone = width === 390;
      const context = await browser.newContext({
        baseURL: world.url,
        viewport: { width, height: phone ? 844 : 1000 },
        colorScheme,
        reducedMotion: "reduce",
        isMobile: phone,
        hasTouch: phone,
      });
      await world.enter(context);
      const page = steady(await context.newPage());
      for (const [name, address] of Object.entries({ ...addresses(all), login: "/login" })) {
        await page.goto(address);
        await settled(page);
        await page.screenshot({ path: join(OUT, `${name}-${width}-${colorScheme}.png`) });
      }
      await context.close();
    });
  }
}
