/** Weekday by hour: one hue in six steps, and a table for readers. Cells can be reached by keyboard. */
import { type KeyboardEvent, useRef, useState } from "react";
import { count } from "../format.ts";
import "./charts.css";

export const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const LONG = ["Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"];
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);

/** 0 where nothing is, else 1..5, by the part of the largest. */
export function step(value: number, largest: number): number {
  return value <= 0 || largest <= 0 ? 0 : Math.min(5, Math.ceil((value / largest) * 5));
}

const MOVES: Record<string, [number, number]> = {
  ArrowRight: [0, 1],
  ArrowLeft: [0, -1],
  ArrowDown: [1, 0],
  ArrowUp: [-1, 0],
};

const twoDigits = (hour: number) => String(hour).padStart(2, "0");

/** `values`: 7 rows (Monday first) of 24. `numbers`: written out instead of drawn. */
export function HeatMap({
  label,
  values,
  unit,
  numbers,
}: {
  label: string;
  values: number[][];
  unit: string;
  numbers?: boolean;
}) {
  const figure = useRef<HTMLElement>(null);
  const [at, setAt] = useState<{ day: number; hour: number; x: number; y: number } | null>(null);
  const largest = Math.max(0, ...values.flat());
  const amountAt = (day: number, hour: number) => values[day]?.[hour] ?? 0;
  const moved = (event: KeyboardEvent<HTMLElement>, day: number, hour: number) => {
    if (event.key === "Escape") setAt(null);
    const by = MOVES[event.key];
    if (!by) return;
    event.preventDefault();
    figure.current?.querySelector<HTMLElement>(`[data-cell="${day + by[0]}-${hour + by[1]}"]`)?.focus();
  };
  const told = (cell: HTMLElement, day: number, hour: number) => {
    const whole = figure.current?.getBoundingClientRect();
    const own = cell.getBoundingClientRect();
    if (!whole) return;
    // kept inside the chart, so that nothing is cut off at its edge
    const x = Math.min(Math.max(own.left - whole.left + own.width / 2, 80), whole.width - 80);
    setAt({ day, hour, x, y: own.bottom - whole.top });
  };
  if (numbers) {
    return (
      <table className="tbl heat-numbers" aria-label={label}>
        <thead>
          <tr>
            <th scope="col">Hour</th>
            {DAYS.map((name) => (
              <th key={name} scope="col" className="num">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {HOURS.map((hour) => (
            <tr key={hour}>
              <th scope="row">{twoDigits(hour)}</th>
              {DAYS.map((name, day) => (
                <td key={name} className="num" data-none={amountAt(day, hour) ? undefined : ""}>
                  {count(amountAt(day, hour))}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    );
  }
  return (
    <figure className="heat" ref={figure}>
      <table aria-label={label}>
        <thead>
          <tr>
            <th scope="col">
              <span className="vh">Day</span>
            </th>
            {HOURS.map((hour) => (
              <th key={hour} scope="col">
                <span className={hour % 3 ? "vh" : ""}>{twoDigits(hour)}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {DAYS.map((name, day) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {HOURS.map((hour) => (
                <td key={hour}>
                  <button
                    type="button"
                    data-cell={`${day}-${hour}`}
                    tabIndex={day === 0 && hour === 0 ? 0 : -1}
                    data-step={step(amountAt(day, hour), largest)}
                    aria-label={`${name} ${hour}:00, ${count(amountAt(day, hour))} ${unit}`}
                    onKeyDown={(event) => moved(event, day, hour)}
                    onFocus={(event) => told(event.currentTarget, day, hour)}
                    onBlur={() => setAt(null)}
                    onPointerEnter={(event) => told(event.currentTarget, day, hour)}
                    onPointerLeave={() => setAt(null)}
                  />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <figcaption className="small m3">
        0
        {[0, 1, 2, 3, 4, 5].map((each) => (
          <i key={each} data-step={each} />
        ))}
        {count(largest)} {unit}
      </figcaption>
      {at ? (
        <div className="heat-tip" style={{ left: at.x, top: at.y }} aria-hidden="true">
          <b>
            {LONG[at.day]}, {at.hour} to {at.hour + 1}
          </b>
          {count(amountAt(at.day, at.hour))} {unit}
        </div>
      ) : null}
    </figure>
  );
}
