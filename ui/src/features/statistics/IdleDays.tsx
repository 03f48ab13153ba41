/** Hours that GPUs stood idle, day by day, and what for. */

import { count, percent } from "@/design/format.ts";
import { sideways } from "@/design/sideways.ts";
import { Chart } from "./Chart.tsx";
import { type Day, highest, hours, reasonsOf, sum } from "./shape.ts";

const dayOf = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const told = (day: string) => dayOf.format(Date.parse(`${day}T00:00:00Z`));
const h = (seconds: number) => count(Math.round(hours(seconds) * 10) / 10);

export function IdleDays({ days, csv }: { days: Day[]; csv: string }) {
  const reasons = reasonsOf(days);
  const end = highest(days);
  const every = Math.ceil(days.length / 6);
  const idle = sum(days.flatMap((day) => Object.values(day.idle)));
  return (
    <Chart
      title="Idle GPU hours per day"
      about={`${h(idle)} h in all`}
      csv={csv}
      className="across"
      keys={
        <span className="idle-keys small m2">
          {reasons.map((each) => (
            <span key={each.reason}>
              <i style={{ background: `var(--wn-c${each.series})` }} />
              {each.word}
            </span>
          ))}
        </span>
      }
    >
      {(table) =>
        table ? (
          <div ref={sideways} className="scroll-x">
            <table className="tbl">
              <thead>
                <tr>
                  <th>Day</th>
                  <th className="num">Used, h</th>
                  <th className="num">of</th>
                  {reasons.map((each) => (
                    <th key={each.reason} className="num">
                      Idle: {each.word}, h
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {[...days].reverse().map((day) => (
                  <tr key={day.day}>
                    <td>{told(day.day)}</td>
                    <td className="num">
                      {h(day.gpu_used)}{" "}
                      <span className="m3">{percent((100 * day.gpu_used) / day.gpu_total)}</span>
                    </td>
                    <td className="num">{h(day.gpu_total)}</td>
                    {reasons.map((each) => (
                      <td key={each.reason} className="num">
                        {h(day.idle[each.reason] ?? 0)}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        ) : (
          <div
            className="idle"
            role="img"
            aria-label={`Idle GPU hours of ${count(days.length)} days: ${reasons
              .map((each) => `${each.word} ${h(sum(days.map((day) => day.idle[each.reason] ?? 0)))} h`)
              .join(", ")}. As a table by the button above.`}
          >
            {[1, 0.5, 0].map((part) => (
              <span key={part} className="idle-line" style={{ bottom: `${part * 100}%` }}>
                <span>{part ? `${count(end * part)} h` : 0}</span>
              </span>
            ))}
            <div className="idle-days">
              {days.map((day, at) => (
                <span
                  key={day.day}
                  title={[
                    told(day.day),
                    ...reasons
                      .filter((each) => day.idle[each.reason])
                      .map((each) => `${each.word}: ${h(day.idle[each.reason] ?? 0)} h`),
                  ].join("\n")}
                >
                  {reasons.map((each) => (
                    <i
                      key={each.reason}
                      style={{
                        height: `${(100 * hours(day.idle[each.reason] ?? 0)) / end}%`,
                        background: `var(--wn-c${each.series})`,
                      }}
                    />
                  ))}
                  {at % every === 0 ? <b>{told(day.day)}</b> : null}
                </span>
              ))}
            </div>
          </div>
        )
      }
    </Chart>
  );
}
