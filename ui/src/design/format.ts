/** How numbers, sizes and times read. Pure: the present moment comes in. */

const KIB = 1024;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

// making one takes longer than a hundred uses of it
const WHOLE = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 1 });
const HUNDREDTHS = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 2 });

export function count(value: number): string {
  if (value > 0 && value < 0.005) return "under 0.01";
  return HUNDREDTHS.format(value);
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
  return `${(unit === 0 || rest >= 100 ? WHOLE : TENTHS).format(rest)} ${UNITS[unit]}`;
}

/** "11.2 of 40 TiB": the unit once, where it is the same. */
export function bytesOf(part: number, whole: number): string {
  const all = bytes(whole);
  const unit = all.slice(all.indexOf(" "));
  const some = bytes(part);
  return `${some.endsWith(unit) ? some.slice(0, -unit.length) : some} of ${all}`;
}

export function percent(value: number): string {
  return `${Math.floor(value)} %`;
}

/** "3 h 14 min", "12 s": at most two units. `ms`: milliseconds. */
export function duration(ms: number): string {
  const value = Math.max(0, ms);
  if (value > 0 && value < SECOND) return value < 50 ? "0 s" : `${(value / SECOND).toFixed(1)} s`;
  if (value < MINUTE - SECOND / 2) return `${Math.round(value / SECOND)} s`;
  if (value < MINUTE) return "1 min";
  if (value < HOUR) return `${Math.floor(value / MINUTE)} min`;
  if (value < DAY) {
    const minutes = Math.floor((value % HOUR) / MINUTE);
    return `${Math.floor(value / HOUR)} h${minutes ? ` ${String(minutes).padStart(2, "0")} min` : ""}`;
  }
  const hours = Math.floor((value % DAY) / HOUR);
  return `${plural(Math.floor(value / DAY), "day")}${hours ? ` ${hours} h` : ""}`;
}

const TIME = { hour: "2-digit", minute: "2-digit" } as const;
const SHAPES = {
  day: { year: "numeric", month: "numeric", day: "numeric" },
  time: TIME,
  weekday: { weekday: "short", ...TIME },
  date: { day: "numeric", month: "short" },
  dated: { day: "numeric", month: "short", ...TIME },
  yeared: { day: "numeric", month: "short", year: "numeric" },
  full: { dateStyle: "full", timeStyle: "long" },
} as const satisfies Record<string, Intl.DateTimeFormatOptions>;

/** Relative up to a day, then weekday or date; `moment` and `now` in milliseconds since 1970. */
export function when(moment: number, now: number, zone?: string): string {
  const gone = now - moment;
  if (Math.abs(gone) < DAY) {
    if (Math.abs(gone) < 5 * SECOND) return "now";
    return gone > 0 ? `${duration(gone)} ago` : `in ${duration(-gone)}`;
  }
  if (Math.abs(gone) < 6 * DAY) return local(moment, "weekday", zone);
  const thisYear = new Date(moment).getFullYear() === new Date(now).getFullYear();
  return local(moment, thisYear ? "date" : "yeared", zone);
}

/** "16:28", or with the weekday when it is not today. */
export function clock(moment: number, now: number, zone?: string): string {
  if (local(moment, "day", zone) === local(now, "day", zone)) return local(moment, "time", zone);
  return local(moment, Math.abs(moment - now) < 6 * DAY ? "weekday" : "dated", zone);
}

/** For a tooltip: everything, with the zone. */
export function fullTime(moment: number, zone?: string): string {
  return local(moment, "full", zone);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function local(moment: number, shape: keyof typeof SHAPES, zone?: string): string {
  const key = `${shape} ${zone ?? ""}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat("en-GB", { ...SHAPES[shape], timeZone: zone });
    formats.set(key, format);
  }
  return format.format(moment);
}

/** Two letters for a person. */
export function initials(name: string): string {
  const words = name.split(/[\s._@-]+/).filter(Boolean);
  const letters = words.length > 1 ? `${words[0]?.[0] ?? ""}${words.at(-1)?.[0] ?? ""}` : name.slice(0, 2);
  return letters.toUpperCase();
}
