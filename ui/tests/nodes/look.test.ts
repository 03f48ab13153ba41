import { describe, expect, it } from "vitest";
import { cells, stateOf, wordOf } from "@/features/nodes/look.ts";

const GIB = 1024 ** 3;
const busy = {
  project: "p1",
  name: "Neckartor",
  stage: 4,
  id: "track",
  attempt: 1,
  cpu: 2,
  memory: 4 * GIB,
  gpus: 1,
};
const node = {
  name: "alder",
  driver: "nomad",
  pool: "default",
  tags: [],
  state: "ready" as const,
  ready: true,
  note: "",
  cpu: 16,
  memory: 64 * GIB,
  cpu_booked: 2,
  memory_booked: 4 * GIB,
  gpus_total: 2,
  gpus_booked: 1,
  busy: [busy],
  gpus: [{ model: "NVIDIA GeForce RTX 4080", memory: 16 * GIB, count: 2, used: 1 }],
};

describe("a node's card", () => {
  it("shows each GPU with the stage that has it, as the node itself tells", () => {
    const card = (index: number, attempts: string[]) => ({
      index,
      uuid: `g${index}`,
      model: "RTX",
      memory: 16 * GIB,
      percent: 93,
      memory_used: 13 * GIB,
      attempts,
    });
    const load = { at: "", cards: [card(0, []), card(1, ["p1/0004/1"])], facts: {} };
    const [free, used] = cells({ ...node, load } as never);
    expect([free?.busy, used?.busy?.name, used?.detail]).toEqual([null, "Neckartor", "13 GiB"]);
  });

  it("tells booked from free where nothing tells of each GPU", () => {
    expect(cells(node as never).map((c) => [c.title, c.busy?.id ?? null])).toEqual([
      ["RTX 4080, 16 GiB", "track"],
      ["RTX 4080, 16 GiB", null],
    ]);
  });

  it("without GPUs shows the stages", () => {
    expect(cells({ ...node, gpus: [], gpus_total: 0 } as never).map((c) => c.title)).toEqual([
      "2 cores, 4 GiB",
    ]);
  });

  it("says in words how it is", () => {
    const now = Date.parse("2026-11-24T14:32:00Z");
    expect(wordOf({ ...node, state: "draining" } as never, now)).toBe("draining, 1 stage left");
    expect(wordOf({ ...node, state: "idle", idle_since: "2026-11-24T11:32:00Z" } as never, now)).toBe(
      "idle since 3 h ago",
    );
    expect(stateOf({ state: "cut_off" })).toBe("cutoff");
  });
});
