/** Whether it is light or dark now, for what is drawn by a script: a canvas does not follow CSS. */
import { useEffect, useState } from "react";

function presentScheme(): string {
  return document.documentElement.dataset.mantineColorScheme ?? "light";
}

export function useScheme(): string {
  const [scheme, setScheme] = useState(presentScheme);
  useEffect(() => {
    const observer = new MutationObserver(() => setScheme(presentScheme()));
    observer.observe(document.documentElement, { attributeFilter: ["data-mantine-color-scheme"] });
    return () => observer.disconnect();
  }, []);
  return scheme;
}
