/** In words: what a stage asks of a machine, and why there is none. Pure. */
import type { components } from "@/api/schema";
import { bytes, plural } from "@/design/format.ts";

type Wanted = Pick<components["schemas"]["Resources"], "cpu" | "memory" | "gpu">;

/** "64 cores, 512 GiB of memory and 2 GPUs (RTX*) with 40 GiB each". */
export function asksFor({ cpu, memory, gpu }: Wanted): string {
  const parts = [plural(cpu, "core"), `${bytes(memory)} of memory`];
  if (gpu?.count) {
    const model = gpu.model ? ` (${gpu.model})` : "";
    const each = gpu.memory ? ` with ${bytes(gpu.memory)}${gpu.count > 1 ? " each" : ""}` : "";
    parts.push(`${plural(gpu.count, "GPU")}${model}${each}`);
  }
  return `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

/** The reason alone: which stage it is stands above it. */
export function whyNot(text: string): string {
  const reason = text.replace(/^(\S+ )?cannot start: /, "");
  return `${reason.charAt(0).toUpperCase()}${reason.slice(1)}${/[.?!]$/.test(reason) ? "" : "."}`;
}
