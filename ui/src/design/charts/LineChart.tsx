/** Lines over time or over a value, by uPlot; every chart can be read as a table as well. Series are told apart by order, dash and
 *  label, not by colour alone. Charts of limited things end at the limit. */
import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { count } from "../format.ts";
import { Button } from "../parts.tsx";
import { useScheme } from "../scheme.ts";
import { download } from "./csv.ts";
import "./charts.css";

export interface Series {
  label: string;
  /** null: no value there */
  values: (number | null)[];
}

export interface LineChartProps {
  label: string;
  /** seconds since 1970 when `time`, else numbers; rising */
  x: number[];
  xLabel?: string;
  time?: boolean;
  series: Series[];
  unit?: string;
  /** the upper end, where what is drawn has one */
  limit?: number;
  height?: number;
  /** single values instead of lines between them */
  points?: boolean;
  /** a place that is marked with a ring and a word */
  best?: { x: number; y: number } | null;
  /** without axes and legend, for a line in a list */
  spark?: boolean;
  format?: (value: number) => string;
}

const FONT = "11px Inter Variable, sans-serif";
const DASHES: (number[] | undefined)[] = [undefined, [6, 3], [2, 2], [8, 3, 2, 3], [1, 3]];
const TABLE_ROWS = 500;

export function LineChart(props: LineChartProps) {
  const { label, x, series, time, unit = "", limit, height = 200, spark = false, xLabel } = props;
  const format = useMemo(
    () => props.format ?? ((v: number) => `${count(v)}${unit ? ` ${unit}` : ""}`),
    [props.format, unit],
  );
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [table, setTable] = useState(false);
  const scheme = useScheme();
  const shape = `${series.map((s) => s.label).join("\n")}|${scheme}|${time}|${limit}|${height}|${spark}|${xLabel}|${props.points}|${props.best?.x}|${props.best?.y}`;
  const data = useMemo(() => [x, ...series.map((s) => s.values)] as uPlot.AlignedData, [x, series]);
  const latest = useRef(data);
  latest.current = data;

  // biome-ignore lint/correctness/useExhaustiveDependencies: made anew when its shape changes; values go in by setData
  useEffect(() => {
    const element = holder.current;
    if (!element || table) return;
    const made = new uPlot(options(props, element.clientWidth, format), latest.current, element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, table]);

  useEffect(() => {
    plot.current?.setData(data);
  }, [data]);

  if (spark)
    return (
      <div ref={holder} className="chart spark" role="img" aria-label={summary(label, series, format)} />
    );
  return (
    <figure className="chart">
      <figcaption>
        <span className="grow">{label}</span>
        <Button
          small
          look="ghost"
          icon="csv"
          title="What the chart shows, as a CSV file"
          onClick={() =>
            download(label, [
              {
                name: xLabel ?? (time ? "time" : "x"),
                values: time ? x.map((at) => new Date(at * 1000).toISOString()) : x,
              },
              ...series.map((s) => ({ name: s.label, values: s.values })),
            ])
          }
        >
          CSV
        </Button>
        <Button small look="ghost" icon={table ? "chart" : "table"} onClick={() => setTable(!table)}>
          {table ? "As a chart" : "As a table"}
        </Button>
      </figcaption>
      {table ? (
        <Table
          x={x}
          xLabel={xLabel ?? (time ? "Time" : "x")}
          time={time ?? false}
          series={series}
          format={format}
        />
      ) : (
        <div ref={holder} role="img" aria-label={summary(label, series, format)} />
      )}
    </figure>
  );
}

function options(props: LineChartProps, width: number, format: (v: number) => string): uPlot.Options {
  const { series, time = false, limit, height = 200, spark = false, xLabel } = props;
  const token = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = {
    stroke: token("--wn-text-3"),
    grid: { stroke: token("--wn-grid"), width: 1 },
    ticks: { show: false },
    font: FONT,
    labelFont: FONT,
    labelSize: 18,
    labelGap: 2,
  };
  const { points = false, best } = props;
  return {
    width,
    height,
    ...(best
      ? { hooks: { draw: [(u: uPlot) => ring(u, best, token("--wn-ok-solid"), token("--wn-ok"))] } }
      : {}),
    cursor: { show: !spark, drag: { x: true, y: false, setScale: true } },
    legend: { show: !spark, live: true },
    scales: { x: { time }, y: { range: (_u, low, high) => (limit ? [0, limit] : padded(low, high)) } },
    axes: spark
      ? [{ show: false }, { show: false }]
      : [
          {
            ...axis,
            ...(time ? { values: (_u, splits) => hours(splits) } : { label: xLabel ?? "", size: 30 }),
          },
          { ...axis, size: 64, values: (_u, splits) => splits.map((v) => (v == null ? "" : format(v))) },
        ],
    series: [
      time
        ? { value: (_u, v) => (v == null ? "" : new Date(v * 1000).toLocaleTimeString("en-GB")) }
        : { label: xLabel ?? "x", value: (_u: uPlot, v: number | null) => (v == null ? "" : count(v)) },
      ...series.map((each, at) => ({
        label: each.label,
        stroke: token(`--wn-c${(at % 5) + 1}`),
        width: points ? 0 : 1.5,
        dash: DASHES[at % DASHES.length] ?? [],
        fill: !points && (spark || series.length === 1) ? `${token(`--wn-c${(at % 5) + 1}`)}1f` : undefined,
        points: points ? { show: true, size: 8, fill: token(`--wn-c${(at % 5) + 1}`) } : { show: false },
        // nothing is pointed at: the legend names, and claims no value
        value: (u: uPlot, v: number | null) => (v == null ? (u.cursor.idx == null ? "" : "–") : format(v)),
      })),
    ],
  } as uPlot.Options;
}

/** Around the best value, with its word: colour alone would not tell. */
function ring(u: uPlot, best: { x: number; y: number }, stroke: string, text: string): void {
  const scale = devicePixelRatio || 1;
  const [left, top] = [u.valToPos(best.x, "x", true), u.valToPos(best.y, "y", true)];
  const { ctx } = u;
  ctx.save();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = 2 * scale;
  ctx.beginPath();
  ctx.arc(left, top, 8 * scale, 0, 2 * Math.PI);
  ctx.stroke();
  ctx.fillStyle = text;
  ctx.font = `600 ${11 * scale}px Inter Variable, sans-serif`;
  const right = left > u.bbox.left + u.bbox.width - 50 * scale;
  ctx.textAlign = right ? "right" : "left";
  ctx.fillText("best", left + (right ? -12 : 12) * scale, top - 8 * scale);
  ctx.restore();
}

function padded(low: number | null, high: number | null): [number, number] {
  if (low == null || high == null) return [0, 1];
  if (low === high) return low === 0 ? [0, 1] : [Math.min(0, low), Math.max(0, high * 1.1)];
  return [low >= 0 && low < high / 2 ? 0 : low - (high - low) * 0.05, high + (high - low) * 0.05];
}

/** The day stands where it begins; the library's own labels overlap in short windows. */
function hours(splits: number[]): string[] {
  const span = (splits.at(-1) ?? 0) - (splits[0] ?? 0);
  const withSeconds = span < 300;
  let day = "";
  return splits.map((at) => {
    const moment = new Date(at * 1000);
    const today = moment.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
    const clock = moment.toLocaleTimeString("en-GB", {
      hour: "2-digit",
      minute: "2-digit",
      ...(withSeconds ? { second: "2-digit" } : {}),
    });
    const text = span > 86_400 && today !== day ? today : clock;
    day = today;
    return text;
  });
}

function summary(label: string, series: Series[], format: (v: number) => string): string {
  const last = series.map((s) => {
    const value = s.values.findLast((v) => v != null);
    return `${s.label} ${value == null ? "nothing yet" : format(value)}`;
  });
  return `${label}: ${last.join(", ")}`;
}

function Table({
  x,
  xLabel,
  time,
  series,
  format,
}: {
  x: number[];
  xLabel: string;
  time: boolean;
  series: Series[];
  format: (v: number) => string;
}) {
  const step = Math.max(1, Math.ceil(x.length / TABLE_ROWS));
  const rows = x.flatMap((_, at) => (at % step === 0 ? [at] : []));
  return (
    <div className="chart-table">
      <table className="tbl">
        <thead>
          <tr>
            <th>{xLabel}</th>
            {series.map((s) => (
              <th key={s.label} className="num">
                {s.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((at) => (
            <tr key={x[at]}>
              <td>{time ? new Date((x[at] ?? 0) * 1000).toLocaleString("en-GB") : count(x[at] ?? 0)}</td>
              {series.map((s) => (
                <td key={s.label} className="num">
                  {s.values[at] == null ? "–" : format(s.values[at] as number)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
