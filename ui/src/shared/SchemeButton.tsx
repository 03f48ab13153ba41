import { useMantineColorScheme } from "@mantine/core";
import { Button } from "@/design/parts.tsx";
import { useScheme } from "@/design/scheme.ts";

export function SchemeButton() {
  const { setColorScheme } = useMantineColorScheme();
  const dark = useScheme() === "dark";
  return (
    <Button
      look="ghost"
      small
      icon={dark ? "sun" : "moon"}
      aria-label={dark ? "Light colours" : "Dark colours"}
      title={dark ? "Light colours" : "Dark colours"}
      onClick={() => setColorScheme(dark ? "light" : "dark")}
    />
  );
}
