// Before anything is drawn, so that a dark screen never flashes white. A file of its own: the page allows no inline script.
(() => {
  let wish = "auto";
  try {
    wish = localStorage.getItem("winslow.scheme") || "auto";
  } catch {}
  const dark = wish === "dark" || (wish === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.mantineColorScheme = dark ? "dark" : "light";
})();
