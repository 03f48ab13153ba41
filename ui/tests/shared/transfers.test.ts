import { expect, test, vi } from "vitest";
import { chosenFiles, drop, send, useTransfers } from "@/shared/transfers.ts";

const { started, known } = vi.hoisted(() => ({
  started: [] as string[],
  known: { tell: (_: unknown[]) => {} },
}));
vi.mock("tus-js-client", () => ({
  Upload: class {
    file: File;
    constructor(file: File) {
      this.file = file;
    }
    findPreviousUploads = () => new Promise((done) => (known.tell = done));
    start = () => started.push(this.file.name);
    abort = async () => {};
  },
}));

test("what was given up before it began is not begun", async () => {
  const ended = send("inputs", "", new File(["x"], "clip.mp4"));
  await vi.waitFor(() => expect(useTransfers.getState().items[0]?.state).toBe("running"));
  await new Promise((done) => setTimeout(done, 20));
  drop(useTransfers.getState().items[0]?.id ?? "");
  known.tell([]);
  expect(await ended).toBeNull();
  await new Promise((done) => setTimeout(done, 20));
  expect(started).toEqual([]);
});

test("a folder that was chosen comes with its name and the places of what is in it", () => {
  const inside = new File(["x"], "heights.csv");
  Object.defineProperty(inside, "webkitRelativePath", { value: "campaign/north/heights.csv" });
  const alone = new File(["x"], "clip.mp4");
  expect(chosenFiles([inside, alone])).toEqual([
    { path: "campaign/north/heights.csv", file: inside },
    { path: "clip.mp4", file: alone },
  ]);
});
