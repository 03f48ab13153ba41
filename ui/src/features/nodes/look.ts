/** A node as a card shows it. Pure. */
import type { components } from "@/api/schema";
import { bytes, count, plural, when } from "@/design/format.ts";
import type { State } from "@/design/state.tsx";

type Node = components["schemas"]["NodeView"];
type Busy = components["schemas"]["Busy"];

export function stateOf(node: Pick<Node, "state">): State {
  return node.state === "cut_off" ? "cutoff" : node.state;
}

export function wordOf(node: Pick<Node, "state" | "busy" | "idle_since">, now: number): string {
  switch (node.state) {
    case "draining":
      return node.busy.length ? `draining, ${plural(node.busy.length, "stage")} left` : "drained";
    case "cut_off":
      return "cut off, still working";
    case "idle":
      return node.idle_since ? `idle since ${when(Date.parse(node.idle_since), now)}` : "idle";
    default:
      return node.state;
  }
}

export function short(model: string): string {
  return model.replace(/^NVIDIA /, "").replace(/^GeForce /, "");
}

export interface Cell {
  key: string;
  title: string;
  percent: number | null;
  busy: Busy | null;
  detail: string;
}

/** A cell per GPU where something tells of each; else one for each that is booked or free; without GPUs one per stage. */
export function cells(node: Node): Cell[] {
  const cards = node.load?.cards ?? [];
  if (cards.length) {
    return cards.map((card) => {
      const busy =
        node.busy.find((b) =>
          card.attempts.includes(`${b.project}/${String(b.stage).padStart(4, "0")}/${b.attempt}`),
        ) ?? null;
      const detail = [
        card.memory_used != null ? bytes(card.memory_used) : "",
        card.temperature != null ? `${count(card.temperature)} °C` : "",
      ];
      return {
        key: card.uuid,
        title: `GPU ${card.index}, ${bytes(card.memory)}`,
        percent: card.percent ?? null,
        busy,
        detail: detail.filter(Boolean).join(", "),
      };
    });
  }
  if (node.gpus_total) {
    const users = node.busy.flatMap((b) => Array.from({ length: b.gpus }, () => b));
    return node.gpus.flatMap((group) =>
      Array.from({ length: group.count }, (_, at) => ({
        key: `${group.model}/${at}`,
        title: `${short(group.model)}, ${bytes(group.memory)}`,
        percent: null,
        busy: at < group.used ? (users.shift() ?? null) : null,
        detail: "",
      })),
    );
  }
  return node.busy.map((busy) => ({
    key: `${busy.project}/${busy.stage}`,
    title: `${plural(busy.cpu, "core")}, ${bytes(busy.memory)}`,
    percent: busy.percent ?? null,
    busy,
    detail: "",
  }));
}
