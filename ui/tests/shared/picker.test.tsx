import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { useState } from "react";
import { afterEach, expect, test, vi } from "vitest";
import { InputPicker } from "@/shared/InputPicker.tsx";
import { queries } from "@/shared/queries.ts";

const { sent } = vi.hoisted(() => ({ sent: { settle: (_: string | null) => {} } }));
vi.mock("@/shared/transfers.ts", () => ({
  send: () => new Promise((done) => (sent.settle = done)),
}));
afterEach(() => vi.unstubAllGlobals());

function Form() {
  const [values, setValues] = useState<Record<string, string>>({ VIDEO: "", NAME: "" });
  return (
    <>
      <InputPicker
        id="video"
        kind="file"
        accept={[]}
        value={values.VIDEO ?? ""}
        onChange={(path) => setValues({ ...values, VIDEO: path })}
      />
      <input
        aria-label="name"
        value={values.NAME}
        onChange={(e) => setValues({ ...values, NAME: e.target.value })}
      />
    </>
  );
}

test("what was typed while a file was on its way is still there when it has come", async () => {
  vi.stubGlobal("fetch", async () => Response.json({ items: [], next: "" }));
  const { container } = render(
    <MantineProvider env="test">
      <QueryClientProvider client={queries}>
        <Form />
      </QueryClientProvider>
    </MantineProvider>,
  );
  fireEvent.click(screen.getByLabelText("Choose from the inputs"));
  const file = await waitFor(() => {
    const found = document.querySelector("input[type=file]");
    if (!found) throw new Error("not there yet");
    return found;
  });
  fireEvent.change(file, { target: { files: [new File(["x"], "clip.mp4")] } });
  fireEvent.change(screen.getByLabelText("name"), { target: { value: "Neckartor" } });
  await act(async () => sent.settle("clip.mp4"));
  expect((screen.getByLabelText("name") as HTMLInputElement).value).toBe("Neckartor");
  expect((container.querySelector("#video") as HTMLInputElement).value).toBe("clip.mp4");
});
