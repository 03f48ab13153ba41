/** How long stages run and wait, by pipeline and stage. */

import type { components } from "@/api/schema";
import { count, duration, percent } from "@/design/format.ts";
import { Empty } from "@/design/parts.tsx";
import { sideways } from "@/design/sideways.ts";
import { Chart } from "./Chart.tsx";
import { box, endOf } from "./shape.ts";

type Length = components["schemas"]["Length"];

const time = (value: number | null | undefined) => (value == null ? "–" : duration(value * 1000));

export function Lengths({ items, csv }: { items: Length[]; csv: string }) {
  const end = endOf(Math.max(0, ...items.map((item) => item.p95 ?? item.median ?? 0)));
  return (
    <Chart
      title="How long stages take"
      about={items.length ? "line: median, box: middle half, whiskers: 1 in 20 to 19 in 20" : ""}
      csv={csv}
      className="across"
    >
      {(table) =>
        items.length ? (
          <div ref={sideways} className={table ? "scroll-x" : ""}>
            <table className={table ? "tbl" : "tbl lengths"}>
              {table ? <Numbers items={items} /> : <Drawn items={items} end={end} />}
            </table>
          </div>
        ) : (
          <Empty icon="clock" title="Nothing has ended in this time" />
        )
      }
    </Chart>
  );
}

function Name({ item }: { item: Length }) {
  return (
    <td>
      <b>{item.stage}</b> <span className="m3 small">{item.pipeline}</span>
    </td>
  );
}

function Drawn({ items, end }: { items: Length[]; end: number }) {
  return (
    <>
      <thead>
        <tr>
          <th>Stage</th>
          <th className="num wide-only">Ended</th>
          <th>0 to {duration(end * 1000)}</th>
          <th className="num">Median</th>
          <th className="num wide-only">9 in 10 under</th>
          <th className="num wide-only">Waited, median</th>
          <th className="num wide-only">Failed</th>
        </tr>
      </thead>
      <tbody>
        {items.map((item) => {
          const drawn = box(item, end);
          return (
            <tr key={`${item.pipeline}/${item.stage}`}>
              <Name item={item} />
              <td className="num wide-only">{count(item.ended)}</td>
              <td className="box-cell">
                {drawn ? (
                  <span className="box-plot" aria-hidden="true">
                    <i style={{ left: `${drawn.low}%`, width: `${drawn.high - drawn.low}%` }} />
                    <b style={{ left: `${drawn.left}%`, width: `${drawn.right - drawn.left}%` }} />
                    <u style={{ left: `${drawn.middle}%` }} />
                  </span>
                ) : null}
              </td>
              <td className="num">{time(item.median)}</td>
              <td className="num wide-only">{time(item.p90)}</td>
              <td className="num wide-only">{time(item.waited_median)}</td>
              <td className="num wide-only">
                {item.failed ? percent((100 * item.failed) / item.ended) : "–"}
              </td>
            </tr>
          );
        })}
      </tbody>
    </>
  );
}

function Numbers({ items }: { items: Length[] }) {
  return (
    <>
      <thead>
        <tr>
          <th>Stage</th>
          <th className="num">Ended</th>
          <th className="num">Succeeded</th>
          <th className="num">Failed</th>
          <th className="num">1 in 20</th>
          <th className="num">1 in 4</th>
          <th className="num">Median</th>
          <th className="num">3 in 4</th>
          <th className="num">9 in 10</th>
          <th className="num">19 in 20</th>
          <th className="num">Waited for a machine</th>
          <th className="num">Waited for a person</th>
        </tr>
      </thead>
      <tbody>
        {items.map((item) => (
          <tr key={`${item.pipeline}/${item.stage}`}>
            <Name item={item} />
            <td className="num">{count(item.ended)}</td>
            <td className="num">{count(item.succeeded)}</td>
            <td className="num">{count(item.failed)}</td>
            {([item.p5, item.p25, item.median, item.p75, item.p90, item.p95] as const).map((value, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: always the same columns
              <td key={at} className="num">
                {time(value)}
              </td>
            ))}
            <td className="num">{time(item.waited_median)}</td>
            <td className="num">{time(item.asked_median)}</td>
          </tr>
        ))}
      </tbody>
    </>
  );
}
