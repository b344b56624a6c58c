// Streamlit leaves a page scrolled to where the one before it was. A film is shown from its top,
// the list that it was opened from as it was left, another page of a list from its first film, and
// a finding that was opened with its title.
const main = document.querySelector('[data-testid="stMain"]');
const before = window.pneumoShown ?? {};
window.pneumoShown = shown;
window.pneumoPlaces ??= {};

// What is shown now has taken the place of the list, which may be scrolled to its top already: where
// it stood is what counts when a key or the mouse was pressed last.
if (window.pneumoPressedAt === undefined) {
  window.pneumoPressedAt = 0;
  for (const sign of ["pointerdown", "keydown"]) {
    addEventListener(sign, () => {
      window.pneumoPressedAt = document.querySelector('[data-testid="stMain"]').scrollTop;
    }, { capture: true, passive: true });
  }
}

/** Scrolls again and again, until it has `arrived` or somebody else scrolls: pages grow bit by bit. */
function scrollOn(scroll, seconds, arrived = () => false) {
  const until = performance.now() + 1000 * seconds;
  let left = false;
  for (const sign of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    main.addEventListener(sign, () => (left = true), { once: true, passive: true });
  }
  const step = () => {
    if (left || window.pneumoShown !== shown || performance.now() > until) return;
    scroll();
    if (!arrived()) requestAnimationFrame(step);
  };
  step();
}

const isSameList = !shown.film && !before.film && shown.list === before.list;
if (shown.film) {
  if (!before.film) window.pneumoPlaces[before.list] = window.pneumoPressedAt;
  if (shown.film !== before.film) main.scrollTo(0, 0);
} else if (before.film && window.pneumoPlaces[shown.list]) {
  const goal = window.pneumoPlaces[shown.list];
  scrollOn(() => main.scrollTo(0, goal), 10, () => Math.abs(main.scrollTop - goal) <= 1);
} else if (isSameList && shown.finding && shown.finding !== before.finding) {
  const title = `.st-key-finding-${CSS.escape(shown.finding)} summary`;
  scrollOn(() => main.querySelector(title)?.scrollIntoView({ block: "nearest" }), 1);
} else if (isSameList && !shown.finding && shown.page !== before.page) {
  scrollOn(() => main.querySelector(".st-key-toolbar")?.scrollIntoView({ block: "nearest" }), 1);
}
