import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { GateCard } from "@/shared/GateCard.tsx";
import type { Gate, Project } from "@/shared/project.ts";
import { queries } from "@/shared/queries.ts";

const project = { id: "p1", version: 3, may: ["run"], stages: [] } as unknown as Project;
const gate = { id: "g1", kind: "confirm", stage: 2, question: "Is it right?", since: "2026-03-04T05:06:07Z" };

afterEach(() => vi.unstubAllGlobals());

test("a key that is held answers a question once", async () => {
  let answered = 0;
  vi.stubGlobal("fetch", async () => {
    answered += 1;
    return Response.json({ id: "p1", version: 3 + answered });
  });
  render(
    <MantineProvider>
      <QueryClientProvider client={queries}>
        <GateCard project={project} gate={gate as unknown as Gate} first />
      </QueryClientProvider>
    </MantineProvider>,
  );
  expect(screen.getByText("Is it right?")).toBeTruthy();
  fireEvent.keyDown(document, { key: "1" });
  await waitFor(() => expect(answered).toBe(1));
  for (let held = 0; held < 5; held += 1) fireEvent.keyDown(document, { key: "1", repeat: true });
  await new Promise((done) => setTimeout(done, 50));
  expect(answered).toBe(1);
});
