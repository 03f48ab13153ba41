/** Figures of several executions on one axis. Pure. */
import type { components } from "@/api/schema";

type Figures = components["schemas"]["Figures"];

export interface Joined {
  x: number[];
  series: { label: string; values: (number | null)[] }[];
}

/** All places where any of them has a value, rising; a series has null where it has none. */
export function joined(items: readonly Figures[]): Joined {
  const places = new Set<number>();
  const maps: { label: string; at: Map<number, number | null> }[] = [];
  const drawn = items.filter((f) => f.series);
  for (const figures of drawn) {
    const { series } = figures;
    if (!series) continue;
    for (const [name, values] of Object.entries(series.y)) {
      const at = new Map<number, number | null>();
      series.x.forEach((x, i) => {
        if (x == null) return;
        places.add(x);
        at.set(x, values[i] ?? null);
      });
      const point = Object.values(figures.point).join(" ");
      const which =
        drawn.length > 1 ? `${String(figures.stage).padStart(4, "0")}${point ? ` (${point})` : ""}` : "";
      maps.push({ label: [name, which].filter(Boolean).join(" "), at });
    }
  }
  const x = [...places].sort((a, b) => a - b);
  return {
    x,
    series: maps.map(({ label, at }) => ({ label, values: x.map((place) => at.get(place) ?? null) })),
  };
}
