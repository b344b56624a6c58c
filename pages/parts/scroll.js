// Streamlit leaves a page scrolled to where the one before it was. A film is shown from its top,
// and the list that it was opened from as it was left.
const main = document.querySelector('[data-testid="stMain"]');
const before = window.pneumoShown ?? {};
window.pneumoShown = shown;
window.pneumoPlaces ??= {};
if (shown.film) {
  if (!before.film) window.pneumoPlaces[before.list] = main.scrollTop;
  if (shown.film !== before.film) main.scrollTo(0, 0);
} else if (before.film && window.pneumoPlaces[shown.list]) {
  // The list is drawn bit by bit: go on until it is long enough, or somebody scrolls.
  const goal = window.pneumoPlaces[shown.list];
  const until = performance.now() + 10_000;
  let left = false;
  for (const sign of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    main.addEventListener(sign, () => (left = true), { once: true, passive: true });
  }
  const step = () => {
    if (left || window.pneumoShown !== shown || performance.now() > until) return;
    main.scrollTo(0, goal);
    if (Math.abs(main.scrollTop - goal) > 1) requestAnimationFrame(step);
  };
  step();
}
