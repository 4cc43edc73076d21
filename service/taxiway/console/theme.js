// Runs before anything is painted, so that a page never flashes in the wrong colours.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try {
    chosen = localStorage.getItem("taxiway.theme");
  } catch {
    // a browser that keeps nothing for us
  }
  const apply = () => (root.dataset.theme = chosen ?? (dark.matches ? "dark" : "light"));
  apply();
  dark.addEventListener("change", apply);
  addEventListener("DOMContentLoaded", () =>
    document.querySelector("#theme").addEventListener("click", () => {
      chosen = root.dataset.theme === "dark" ? "light" : "dark";
      apply();
      try {
        localStorage.setItem("taxiway.theme", chosen);
      } catch {
        // it holds for as long as the page is open
      }
    }),
  );
})();
