/** Six machines as a team has them, for pictures of pages that one machine without a GPU leaves empty: only the answers about nodes
 *  are these, everything else is real. */
import type { Page } from "@playwright/test";
import type { components } from "../src/api/schema.d.ts";

type Node = components["schemas"]["NodeView"];
type Card = NonNullable<Node["load"]>["cards"][number];
const GIB = 2 ** 30;
const ago = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString();

function card(index: number, model: string, gib: number, more: Partial<Card> = {}): Card {
  return { index, uuid: `${model}/${index}`, model, memory: gib * GIB, attempts: [], ...more };
}

function node(name: string, cores: number, gib: number, cards: Card[], more: Partial<Node>): Node {
  const used = cards.filter((c) => c.attempts.length).length;
  return {
    name,
    driver: "nomad",
    pool: "default",
    tags: [],
    state: "ready",
    ready: true,
    can_drain: true,
    note: "",
    cpu: cores,
    memory: gib * GIB,
    cpu_booked: cores / 2,
    memory_booked: (gib / 2) * GIB,
    gpus: cards[0] ? [{ model: cards[0].model, memory: cards[0].memory, count: cards.length, used }] : [],
    gpus_total: cards.length,
    gpus_booked: used,
    busy: [],
    load: {
      at: ago(0),
      cpu: cores * 0.6,
      memory: gib * 0.48 * GIB,
      disk_free: 812 * GIB,
      disk_total: 1_800 * GIB,
      up: 41 * 86_400,
      cards,
      facts: {},
    },
    ...more,
  };
}

function busy(project: string, stage: number, id: string, percent: number, gpus = 1): Node["busy"][number] {
  return {
    project: project.toLowerCase().replaceAll(/\W+/g, ""),
    name: project,
    stage,
    id,
    attempt: 1,
    cpu: 4,
    memory: 16 * GIB,
    gpus,
    since: ago(3),
    percent,
    expected: ago(-2),
  };
}

const named = (b: Node["busy"][number]) => `${b.project}/${String(b.stage).padStart(4, "0")}/${b.attempt}`;
const [one, two] = [
  busy("Neckartor, 17 Nov 16:30", 4, "track", 62),
  busy("Österreichischer Platz", 1, "detect", 18),
];
const [three, four] = [
  busy("Charlottenplatz, 18 Nov", 4, "detect", 71),
  busy("Charlottenplatz, 18 Nov", 5, "detect", 57),
];
const [five, six] = [
  busy("Leonberg merge, drone 2", 1, "detect", 44),
  busy("Pragsattel, night", 1, "detect", 88),
];
const seven = busy("Leonberg merge, drone 1", 4, "clean_up", 91, 0);
const at = (b: Node["busy"][number], percent: number, gib: number, temperature: number) => ({
  attempts: [named(b)],
  percent,
  memory_used: gib * GIB,
  temperature,
});

const NODES: Node[] = [
  node(
    "alder",
    16,
    64,
    [
      card(0, "NVIDIA RTX 4080", 16, at(one, 93, 13.1, 71)),
      card(1, "NVIDIA RTX 4080", 16, at(two, 88, 9.2, 68)),
    ],
    {
      busy: [one, two],
    },
  ),
  node(
    "birch",
    12,
    64,
    [
      card(0, "NVIDIA RTX 3080", 10, at(three, 96, 8.1, 74)),
      card(1, "NVIDIA RTX 3080", 10, at(four, 94, 8, 73)),
    ],
    {
      busy: [three, four],
    },
  ),
  node(
    "elm",
    8,
    32,
    [card(0, "NVIDIA RTX 2080 Ti", 11, at(five, 90, 7.9, 70)), card(1, "NVIDIA RTX 2080 Ti", 11)],
    {
      state: "cut_off",
      ready: false,
      note: "Nomad has not heard from it for 11 min. The stage still writes to the share, so it is left alone.",
      busy: [five],
    },
  ),
  node("cedar", 8, 32, [card(0, "NVIDIA RTX 3060", 12, at(six, 81, 8, 77))], {
    state: "draining",
    draining: "Samir, 13:40: new fan.",
    free_at: ago(-1),
    busy: [six],
  }),
  node("fir", 32, 128, [], { busy: [seven] }),
  node(
    "hazel",
    8,
    32,
    [card(0, "NVIDIA RTX 3060", 12, { percent: 0, memory_used: 0.2 * GIB, temperature: 38 })],
    {
      state: "idle",
      idle_since: ago(92),
      cpu_booked: 0,
      memory_booked: 0,
    },
  ),
];

export async function withFleet(page: Page): Promise<void> {
  const wave = (minute: number, mean: number) =>
    Math.max(0, Math.min(100, mean + 6 * Math.sin(minute / 3) + 4 * Math.sin(minute)));
  await page.route("**/api/v1/nodes", (route) =>
    route.fulfill({ json: { items: NODES, gpus: 8, gpus_booked: 6, running: 7, waiting: 3 } }),
  );
  await page.route("**/api/v1/nodes/*/samples*", (route) => {
    const name = route.request().url().split("/nodes/")[1]?.split("/")[0];
    const mean = { hazel: 2, fir: 33, cedar: 74 }[name ?? ""] ?? 88;
    const items = Array.from({ length: 96 }, (_, each) => ({
      at: ago((95 - each) / 4),
      cpu: wave(each, mean / 2),
      gpu: each > 40 && each < 44 ? 1 : wave(each, mean),
    }));
    return route.fulfill({ json: { node: name, items } });
  });
}
