import { describe, expect, it } from "vitest";
import {
  bytes,
  bytesOf,
  clock,
  count,
  duration,
  fullTime,
  initials,
  percent,
  plural,
  when,
} from "@/design/format.ts";

const NOW = Date.parse("2026-11-24T14:32:00Z");
const ago = (seconds: number) => NOW - seconds * 1000;

describe("sizes and numbers", () => {
  it.each([
    [0, "0 B"],
    [1023, "1,023 B"],
    [1536, "1.5 KiB"],
    [16 * 1024 ** 3, "16 GiB"],
    [11.2 * 1024 ** 4, "11.2 TiB"],
    [250.7 * 1024 ** 2, "251 MiB"],
  ])("%d bytes read %s", (value, text) => expect(bytes(value)).toBe(text));

  it("of a whole the unit is said once, unless it is another", () => {
    expect(bytesOf(11.2 * 1024 ** 4, 40 * 1024 ** 4)).toBe("11.2 of 40 TiB");
    expect(bytesOf(1536, 4 * 1024 ** 2)).toBe("1.5 KiB of 4 MiB");
    expect(bytesOf(0, 512)).toBe("0 of 512 B");
  });

  it("thousands have a comma, and one thing is one thing", () => {
    expect(count(361440)).toBe("361,440");
    expect(count(0.001)).toBe("under 0.01");
    expect([plural(1, "stage"), plural(2, "stage"), plural(0, "entry", "entries")]).toEqual([
      "1 stage",
      "2 stages",
      "0 entries",
    ]);
  });

  it("progress is never rounded up to what is not done", () => expect(percent(99.97)).toBe("99 %"));
});

describe("times", () => {
  it.each([
    [0, "0 s"],
    [59, "59 s"],
    [59.7, "1 min"],
    [60, "1 min"],
    [3 * 3600 + 14 * 60 + 20, "3 h 14 min"],
    [9 * 3600 + 2 * 60, "9 h 02 min"],
    [2 * 86400 + 3 * 3600, "2 days 3 h"],
  ])("%d seconds are %s", (seconds, text) => expect(duration(seconds * 1000)).toBe(text));

  it("are relative up to a day, then a weekday, then a date", () => {
    expect(when(ago(2), NOW)).toBe("now");
    expect(when(ago(3 * 3600), NOW)).toBe("3 h ago");
    expect(when(NOW + 40 * 60_000, NOW)).toBe("in 40 min");
    expect(when(ago(2 * 86400), NOW, "UTC")).toBe("Sun 14:32");
    expect(when(ago(20 * 86400), NOW, "UTC")).toBe("4 Nov");
    expect(when(ago(400 * 86400), NOW, "UTC")).toBe("20 Oct 2025");
  });

  it("name the day only when it is another one, in the zone that is shown", () => {
    const late = Date.parse("2026-11-24T23:30:00Z");
    expect(clock(late, NOW, "UTC")).toBe("23:30");
    expect(clock(late, NOW, "Europe/Berlin")).toBe("Wed 00:30");
    expect(fullTime(NOW, "Europe/Berlin")).toContain("15:32:00 CET");
  });
});

it("a person is two letters", () => {
  expect(["Mara Lenz", "mara", "j.weber@team", "Ö"].map(initials)).toEqual(["ML", "MA", "JT", "Ö"]);
});
