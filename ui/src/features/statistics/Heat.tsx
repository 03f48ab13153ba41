/** Weekday by hour of one figure. */
import type { components } from "@/api/schema";
import { HeatMap } from "@/design/charts/HeatMap.tsx";
import { count } from "@/design/format.ts";
import { Empty } from "@/design/parts.tsx";
import { Chart } from "./Chart.tsx";

export function Heat({
  title,
  week,
  mean,
  unit,
  about,
  csv,
}: {
  title: string;
  week: components["schemas"]["Week"];
  /** The values are how many at once, on average; else sums. */
  mean?: boolean;
  unit: string;
  about?: string;
  csv: string;
}) {
  const largest = Math.max(0, ...week.hours.flat());
  // the mean of a long time is rounded, also to nothing
  const told = mean ? `mean ${week.total || !largest ? count(week.total) : "under 0.01"}` : count(week.total);
  return (
    <Chart title={title} about={about ? `${told}, ${about}` : told} csv={csv}>
      {(table) =>
        largest ? (
          <HeatMap label={title} values={week.hours} unit={unit} numbers={table} />
        ) : (
          <Empty icon="clock" title="Nothing in this time" />
        )
      }
    </Chart>
  );
}
