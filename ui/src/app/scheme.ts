/** Light, dark, or as the machine has it; kept in the browser, and set before the first paint by public/scheme.js. */
import { localStorageColorSchemeManager, type MantineColorScheme } from "@mantine/core";

export const schemes = localStorageColorSchemeManager({ key: "winslow.scheme" });
export type Scheme = MantineColorScheme;
