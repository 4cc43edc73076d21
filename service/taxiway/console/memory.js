// What this tab remembers until it is closed. A browser that keeps nothing for us is no reason to stop.

const name = (what) => `taxiway.${what}`;

export function kept(what) {
  try {
    return JSON.parse(sessionStorage.getItem(name(what)));
  } catch {
    return null;
  }
}

export function keep(what, value) {
  try {
    sessionStorage.removeItem(name(what)); // what is too large to keep must not leave something older behind
    sessionStorage.setItem(name(what), JSON.stringify(value));
  } catch {
    // then it is remembered for as long as the page is open
  }
}
