/** Weekday by hour: one hue in six steps, and a table for readers. Cells can be reached by keyboard. */
import { type KeyboardEvent, useRef, useState } from "react";
import { count } from "../format.ts";
import { Button } from "../parts.tsx";
import "./charts.css";

export const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);

/** 0 where nothing is, else 1..5, by the part of the largest. */
export function step(value: number, largest: number): number {
  return value <= 0 || largest <= 0 ? 0 : Math.min(5, Math.ceil((value / largest) * 5));
}

/** `values`: 7 rows (Monday first) of 24. `onPick`: what a click on a cell leads to. */
export function HeatMap({
  label,
  values,
  unit,
  onPick,
}: {
  label: string;
  values: number[][];
  unit: string;
  onPick?: (day: number, hour: number) => void;
}) {
  const table = useRef<HTMLTableElement>(null);
  const [numbers, setNumbers] = useState(false);
  const largest = Math.max(0, ...values.flat());
  const moved = (event: KeyboardEvent<HTMLElement>, day: number, hour: number) => {
    const steps: Record<string, [number, number]> = {
      ArrowRight: [0, 1],
      ArrowLeft: [0, -1],
      ArrowDown: [1, 0],
      ArrowUp: [-1, 0],
    };
    const by = steps[event.key];
    if (!by) return;
    event.preventDefault();
    const to = table.current?.querySelector<HTMLElement>(`[data-cell="${day + by[0]}-${hour + by[1]}"]`);
    to?.focus();
  };
  return (
    <figure className="heat">
      <table ref={table} aria-label={label}>
        <thead>
          <tr>
            <th scope="col">
              <span className="vh">Day</span>
            </th>
            {HOURS.map((hour) => (
              <th key={hour} scope="col">
                <span className={hour % 3 ? "vh" : ""}>{hour}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {DAYS.map((name, day) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {HOURS.map((hour) => {
                const value = values[day]?.[hour] ?? 0;
                const text = `${name} ${hour}:00, ${count(value)} ${unit}`;
                return (
                  <td key={hour} className={numbers ? "number" : ""}>
                    {numbers ? count(value) : null}
                    <button
                      hidden={numbers}
                      type="button"
                      data-cell={`${day}-${hour}`}
                      tabIndex={day === 0 && hour === 0 ? 0 : -1}
                      data-step={step(value, largest)}
                      title={text}
                      aria-label={text}
                      onKeyDown={(event) => moved(event, day, hour)}
                      onClick={() => onPick?.(day, hour)}
                    />
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
      <figcaption className="small m3">
        less
        {[0, 1, 2, 3, 4, 5].map((each) => (
          <i key={each} data-step={each} />
        ))}
        more, up to {count(largest)} {unit}
        <span className="grow" />
        <Button small look="ghost" icon={numbers ? "chart" : "table"} onClick={() => setNumbers(!numbers)}>
          {numbers ? "As a chart" : "As a table"}
        </Button>
      </figcaption>
    </figure>
  );
}
