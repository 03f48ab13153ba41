/** Figures of several executions on one axis, and results of executions over what was varied. Pure. */
import type { components } from "@/api/schema";

type Figures = components["schemas"]["Figures"];

export interface Joined {
  x: number[];
  series: { label: string; values: (number | null)[] }[];
}

/** What is needed of an execution to draw its results. */
export interface Execution {
  number: number;
  id: string;
  point?: Record<string, string>;
  results?: Record<string, unknown>;
}

export type Way = "min" | "max";

interface Drawn {
  label: string;
  at: Map<number, number | null>;
}

/** All places where any of them has a value, rising; a series has null where it has none. */
export function joined(items: readonly Figures[]): Joined {
  const drawn = items.filter((f) => f.series);
  const several = new Set(drawn.map((f) => f.id)).size > 1;
  const maps: Drawn[] = [];
  for (const figures of drawn) {
    const { series } = figures;
    if (!series) continue;
    for (const [name, values] of Object.entries(series.y)) {
      const at = new Map<number, number | null>();
      series.x.forEach((x, i) => {
        if (x != null) at.set(x, values[i] ?? null);
      });
      const point = Object.values(figures.point).join(" ");
      const which = [
        several ? figures.id : "",
        drawn.length > 1 ? String(figures.stage).padStart(4, "0") : "",
        drawn.length > 1 && point ? `(${point})` : "",
      ];
      maps.push({ label: [name, ...which].filter(Boolean).join(" "), at });
    }
  }
  return together(maps);
}

/** Results `y` over a value that was varied, a result, or (`x` empty) the number of the stage. Where more than one value was
 *  varied, each combination of the others is a series of its own. */
export function varied(stages: readonly Execution[], x: string, y: readonly string[]): Joined {
  const maps = new Map<string, Drawn>();
  const many = new Set(stages.map((s) => s.id)).size > 1;
  for (const stage of stages) {
    const place = placeOf(stage, x);
    if (place === null) continue;
    const others = Object.entries(stage.point ?? {})
      .filter(([name]) => name !== x)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ");
    for (const name of y) {
      const value = numberOf(stage.results?.[name]);
      if (value === null) continue;
      const label = [many ? stage.id : "", name, x && others ? `(${others})` : ""].filter(Boolean).join(" ");
      const drawn = maps.get(label) ?? { label, at: new Map<number, number | null>() };
      drawn.at.set(place, value);
      maps.set(label, drawn);
    }
  }
  return together([...maps.values()]);
}

/** The execution with the least or greatest result; null: none has a number there. The first of equal ones. */
export function bestOf<T extends Execution>(stages: readonly T[], result: string, way: Way): T | null {
  let best: T | null = null;
  let most = 0;
  for (const stage of stages) {
    const value = numberOf(stage.results?.[result]);
    if (value === null) continue;
    if (best === null || (way === "max" ? value > most : value < most)) {
      best = stage;
      most = value;
    }
  }
  return best;
}

export function placeOf(stage: Execution, x: string): number | null {
  if (!x) return stage.number;
  return numberOf(stage.point?.[x] ?? stage.results?.[x]);
}

export function numberOf(value: unknown): number | null {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value !== "string" || !value.trim()) return null;
  const read = Number(value);
  return Number.isFinite(read) ? read : null;
}

function together(maps: readonly Drawn[]): Joined {
  const places = new Set(maps.flatMap((m) => [...m.at.keys()]));
  const x = [...places].sort((a, b) => a - b);
  return {
    x,
    series: maps.map(({ label, at }) => ({ label, values: x.map((place) => at.get(place) ?? null) })),
  };
}
