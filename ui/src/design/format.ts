/** How numbers, sizes and times read. Pure: the present moment comes in. */

const KIB = 1024;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export function count(value: number): string {
  return value.toLocaleString("en-GB", { maximumFractionDigits: 2 });
}

/** "1 stage", "2 stages". */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

export function bytes(value: number): string {
  let unit = 0;
  let rest = value;
  while (Math.abs(rest) >= KIB && unit < UNITS.length - 1) {
    rest /= KIB;
    unit += 1;
  }
  const digits = unit === 0 || rest >= 100 ? 0 : 1;
  return `${rest.toLocaleString("en-GB", { maximumFractionDigits: digits })} ${UNITS[unit]}`;
}

export function percent(value: number): string {
  return `${Math.floor(value)} %`;
}

/** "3 h 14 min", "12 s": at most two units. `ms`: milliseconds. */
export function duration(ms: number): string {
  const value = Math.max(0, ms);
  if (value < MINUTE) return `${Math.round(value / SECOND)} s`;
  if (value < HOUR) return `${Math.floor(value / MINUTE)} min`;
  if (value < DAY) {
    const minutes = Math.floor((value % HOUR) / MINUTE);
    return `${Math.floor(value / HOUR)} h${minutes ? ` ${String(minutes).padStart(2, "0")} min` : ""}`;
  }
  const hours = Math.floor((value % DAY) / HOUR);
  return `${plural(Math.floor(value / DAY), "day")}${hours ? ` ${hours} h` : ""}`;
}

/** Relative up to a day, then weekday or date; `moment` and `now` in milliseconds since 1970. */
export function when(moment: number, now: number, zone?: string): string {
  const gone = now - moment;
  if (Math.abs(gone) < DAY) {
    if (Math.abs(gone) < 5 * SECOND) return "now";
    return gone > 0 ? `${duration(gone)} ago` : `in ${duration(-gone)}`;
  }
  if (Math.abs(gone) < 6 * DAY)
    return local(moment, { weekday: "short", hour: "2-digit", minute: "2-digit" }, zone);
  const year =
    new Date(moment).getFullYear() === new Date(now).getFullYear() ? {} : { year: "numeric" as const };
  return local(moment, { day: "numeric", month: "short", ...year }, zone);
}

/** "16:28", or with the weekday when it is not today. */
export function clock(moment: number, now: number, zone?: string): string {
  const day = (t: number) => local(t, { year: "numeric", month: "numeric", day: "numeric" }, zone);
  const hours = { hour: "2-digit", minute: "2-digit" } as const;
  if (day(moment) === day(now)) return local(moment, hours, zone);
  return Math.abs(moment - now) < 6 * DAY
    ? local(moment, { weekday: "short", ...hours }, zone)
    : local(moment, { day: "numeric", month: "short", ...hours }, zone);
}

/** For a tooltip: everything, with the zone. */
export function fullTime(moment: number, zone?: string): string {
  return local(moment, { dateStyle: "full", timeStyle: "long" }, zone);
}

function local(moment: number, options: Intl.DateTimeFormatOptions, zone?: string): string {
  return new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone }).format(moment);
}

/** Two letters for a person. */
export function initials(name: string): string {
  const words = name.split(/[\s._@-]+/).filter(Boolean);
  const letters = words.length > 1 ? `${words[0]?.[0] ?? ""}${words.at(-1)?.[0] ?? ""}` : name.slice(0, 2);
  return letters.toUpperCase();
}
