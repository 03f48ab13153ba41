import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Live, type LiveMessage, type SocketLike } from "@/api/live.ts";

class Wire implements SocketLike {
  sent: Record<string, string>[] = [];
  closed = false;
  /** a line that is dead does not even say that it is closed */
  dead = false;
  open = false;
  onopen: (() => void) | null = null;
  opens() {
    this.open = true;
    this.onopen?.();
  }
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  send(text: string) {
    if (!this.open) throw new Error("InvalidStateError");
    this.sent.push(JSON.parse(text));
  }
  close() {
    if (!this.dead) this.drop(1000);
  }
  drop(code = 1006) {
    if (this.closed) return;
    this.closed = true;
    this.onclose?.({ code });
  }
  says(message: LiveMessage) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

let wires: Wire[] = [];
let ended = 0;
let live: Live;
const last = () => wires.at(-1) as Wire;

beforeEach(() => {
  vi.useFakeTimers();
  wires = [];
  ended = 0;
  live = new Live(
    () => {
      const wire = new Wire();
      wires.push(wire);
      return wire;
    },
    () => {
      ended += 1;
    },
  );
  live.start();
});

afterEach(() => {
  live.stop();
  vi.useRealTimers();
});

describe("the connection to the server", () => {
  it("asks again for every topic where it had stopped, after the line was cut", () => {
    const heard: LiveMessage[] = [];
    last().opens();
    live.subscribe("project:p1", "5-0", (m) => heard.push(m));
    expect(last().sent).toEqual([{ op: "sub", topic: "project:p1", cursor: "5-0" }]);
    last().says({ type: "delta", topic: "project:p1", cursor: "9-0" });
    last().drop();
    expect(live.connection.state).toBe("away");
    vi.advanceTimersByTime(1000);
    last().opens();
    expect(last().sent).toEqual([{ op: "sub", topic: "project:p1", cursor: "9-0" }]);
    expect(heard).toHaveLength(1);
    expect(live.connection.state).toBe("live");
  });

  it("waits longer after each failure, but never longer than twenty seconds", () => {
    for (let failure = 0; failure < 12; failure += 1) {
      const before = wires.length;
      last().drop();
      vi.advanceTimersByTime(19_000);
      expect(wires.length).toBe(before + 1);
    }
  });

  it("takes a server that says nothing for a minute as gone", () => {
    last().opens();
    vi.advanceTimersByTime(44_000);
    last().says({ type: "ping" });
    vi.advanceTimersByTime(44_000);
    expect(last().closed).toBe(false);
    vi.advanceTimersByTime(2_000);
    expect(wires[0]?.closed).toBe(true);
  });

  it("tells when the session has ended", () => {
    last().opens();
    last().drop(4401);
    expect(ended).toBe(1);
  });

  it("leaves a topic when its last listener has gone", () => {
    last().opens();
    const one = live.subscribe("projects", "0-0", () => {});
    const two = live.subscribe("projects", "0-0", () => {});
    one();
    expect(last().sent.filter((m) => m.op === "unsub")).toEqual([]);
    two();
    expect(last().sent.at(-1)).toEqual({ op: "unsub", topic: "projects" });
  });

  it("ignores what an older connection still says", () => {
    const heard: LiveMessage[] = [];
    live.subscribe("projects", "0-0", (m) => heard.push(m));
    const old = last();
    old.opens();
    old.drop();
    vi.advanceTimersByTime(1000);
    old.says({ type: "delta", topic: "projects", cursor: "7-0" });
    expect(heard).toEqual([]);
  });

  it("says nothing on a line that is not open yet, though the one before it never said that it was closed", () => {
    const first = last();
    first.opens();
    first.dead = true;
    live.stop();
    live.start();
    expect(() => live.subscribe("projects", "0-0", () => {})).not.toThrow();
    last().opens();
    expect(last().sent).toEqual([{ op: "sub", topic: "projects", cursor: "0-0" }]);
  });

  it("comes back ever more slowly to a server that lets it in only to send it away", () => {
    for (let times = 0; times < 60; times += 1) {
      if (!last().closed) {
        last().opens();
        last().drop(4401);
      }
      vi.advanceTimersByTime(1_000);
    }
    expect(wires.length).toBeLessThan(15);
    vi.advanceTimersByTime(20_000);
    last().opens();
    last().says({ type: "hello" });
    last().drop();
    const before = wires.length;
    vi.advanceTimersByTime(1_000);
    expect(wires.length).toBe(before + 1);
  });

  it("asks again for a topic that could not be had for a while, and for no other", () => {
    last().opens();
    live.subscribe("log:p1/1/1", "7", () => {});
    live.subscribe("project:gone", "", () => {});
    last().says({ type: "denied", topic: "log:p1/1/1", passing: true });
    last().says({ type: "denied", topic: "project:gone" });
    last().sent = [];
    vi.advanceTimersByTime(5_000);
    expect(last().sent).toEqual([{ op: "sub", topic: "log:p1/1/1", cursor: "7" }]);
  });
});
