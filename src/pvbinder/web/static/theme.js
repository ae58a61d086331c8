// Sets the chosen colours before anything is drawn; so it is a plain script, the only one.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("pvbinder-theme");
  } catch {
    // no storage: the system's colours
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
