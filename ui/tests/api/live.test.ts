import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Live, type LiveMessage, type SocketLike } from "@/api/live.ts";

class Wire implements SocketLike {
  sent: Record<string, string>[] = [];
  closed = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.drop(1000);
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
    last().onopen?.();
    live.subscribe("project:p1", "5-0", (m) => heard.push(m));
    expect(last().sent).toEqual([{ op: "sub", topic: "project:p1", cursor: "5-0" }]);
    last().says({ type: "delta", topic: "project:p1", cursor: "9-0" });
    last().drop();
    expect(live.connection.state).toBe("away");
    vi.advanceTimersByTime(1000);
    last().onopen?.();
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
    last().onopen?.();
    vi.advanceTimersByTime(44_000);
    last().says({ type: "ping" });
    vi.advanceTimersByTime(44_000);
    expect(last().closed).toBe(false);
    vi.advanceTimersByTime(2_000);
    expect(wires[0]?.closed).toBe(true);
  });

  it("tells when the session has ended", () => {
    last().onopen?.();
    last().drop(4401);
    expect(ended).toBe(1);
  });

  it("leaves a topic when its last listener has gone", () => {
    last().onopen?.();
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
    old.onopen?.();
    old.drop();
    vi.advanceTimersByTime(1000);
    old.says({ type: "delta", topic: "projects", cursor: "7-0" });
    expect(heard).toEqual([]);
  });
});
