/** What the charts of the statistics draw, as numbers. Pure. */

const HOUR = 3600;
/** Ends of an axis that people can divide in their heads, in seconds. */
const ENDS = [
  1,
  2,
  5,
  10,
  20,
  30,
  60,
  120,
  300,
  600,
  1_200,
  1_800,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  24 * HOUR,
  48 * HOUR,
  96 * HOUR,
];

/** The smallest end of an axis that holds `longest` seconds. */
export function endOf(longest: number): number {
  return ENDS.find((end) => end >= longest) ?? Math.ceil(longest / (24 * HOUR)) * 24 * HOUR;
}

export interface Spread {
  p5?: number | null;
  p25?: number | null;
  median?: number | null;
  p75?: number | null;
  p95?: number | null;
}

/** Parts of the width, 0..100: whiskers at 1 in 20 and 19 in 20, box over the middle half, line at the median. */
export function box(of: Spread, end: number) {
  const { p5, p25, median, p75, p95 } = of;
  if (p5 == null || p25 == null || median == null || p75 == null || p95 == null || end <= 0) return null;
  const at = (seconds: number) => Math.round((10_000 * Math.min(seconds, end)) / end) / 100;
  return { low: at(p5), left: at(p25), middle: at(median), right: at(p75), high: at(p95) };
}

/** Why GPUs stand idle, in the order in which they are drawn; what a newer server adds comes last, by its own name. */
export const REASONS: { reason: string; word: string; series: number }[] = [
  { reason: "nothing", word: "nothing to do", series: 1 },
  { reason: "person", word: "a project waited for a person", series: 2 },
  { reason: "unfit", word: "what waited did not fit", series: 3 },
  { reason: "down", word: "draining or down", series: 5 },
];

export interface Day {
  day: string;
  gpu_used: number;
  gpu_total: number;
  idle: Record<string, number>;
}

export function reasonsOf(days: Day[]): typeof REASONS {
  const there = new Set(days.flatMap((day) => Object.keys(day.idle).filter((reason) => day.idle[reason])));
  const others = [...there].filter((reason) => !REASONS.some((known) => known.reason === reason)).sort();
  return [
    ...REASONS.filter((known) => there.has(known.reason)),
    ...others.map((reason) => ({ reason, word: reason.replaceAll("_", " "), series: 4 })),
  ];
}

/** The round number of hours at which the axis of idle time ends, at least as high as the highest day. */
export function highest(days: Day[]): number {
  const most = Math.max(0, ...days.map((day) => sum(Object.values(day.idle)) / HOUR));
  if (most === 0) return 1;
  const ten = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((times) => times * ten).find((end) => end >= most - 1e-9) ?? 10 * ten;
}

export const sum = (values: number[]) => values.reduce((all, value) => all + value, 0);
export const hours = (seconds: number) => seconds / HOUR;
