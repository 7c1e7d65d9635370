// Before the page is drawn, so that it does not flash: the theme that was chosen, else the system's.
(() => {
  let chosen = null;
  try {
    chosen = new URLSearchParams(location.search).get("theme") || localStorage.getItem("c756-theme");
  } catch { /* storage may be closed */ }
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset.theme = chosen === "dark" || chosen === "light" ? chosen : system;
})();
