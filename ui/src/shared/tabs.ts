/** Tabs that do not fit are pushed so that the one that is shown can be seen: a `ref` of the element around them. */
export function keepCurrentInView(tabs: HTMLElement | null): void {
  const current = tabs?.querySelector<HTMLElement>("[aria-current]");
  if (!tabs || !current) return;
  const out = current.offsetLeft + current.offsetWidth - tabs.offsetLeft - tabs.clientWidth;
  if (out > tabs.scrollLeft) tabs.scrollLeft = out + 24;
}
