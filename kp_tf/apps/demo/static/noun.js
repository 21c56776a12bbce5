/** What the points are on, as the page's text says it: face, or object. */

export const noun = document.documentElement.dataset.noun;
export const Noun = noun[0].toUpperCase() + noun.slice(1);
export const aNoun = `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
export const counted = (number) => `${number} ${noun}${number === 1 ? "" : "s"}`;
