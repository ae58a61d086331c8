// The axis of the time bar: time, with long silences made short.
//
// Pure: no document, no network, no clock.
//
// TIMESCALE-1  Places grow with time, and a place leads back to its decision.
// TIMESCALE-2  A silence takes no more room than the longest one that is usual, so that a burst is seen whatever followed it.

/** The axis of decisions, in order of time; each has `at` in milliseconds. */
export class TimeScale {
  constructor(decisions) {
    this.decisions = decisions;
    const gaps = [];
    for (let at = 1; at < decisions.length; at++) gaps.push(Math.max(0, decisions[at].at - decisions[at - 1].at));
    const usual = [...gaps].sort((one, other) => one - other)[Math.floor(gaps.length * 0.9)] ?? 0;
    this.longest = Math.max(1000, usual * 20);
    this.places = decisions.length ? [0] : [];
    this.breaks = []; // the numbers of decisions before which time was left out
    let place = 0;
    gaps.forEach((gap, at) => {
      place += Math.min(gap, this.longest);
      this.places.push(place);
      if (gap > this.longest) this.breaks.push(at + 1);
    });
    this.length = Math.max(place, 1);
  }

  /** Return the place of decision number `at`, from 0 to 1. */
  fraction(at) {
    if (at < 0) return 0;
    return this.decisions.length ? this.places[Math.min(at, this.places.length - 1)] / this.length : 0;
  }

  /** Return the number of the last decision at or before a place from 0 to 1; -1 before all. */
  at(fraction) {
    const place = fraction * this.length;
    let low = 0;
    let high = this.places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.places[middle] <= place) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Return how many decisions fall into each of `count` equal parts. */
  density(count) {
    const bins = new Array(count).fill(0);
    for (const place of this.places) bins[Math.min(count - 1, Math.floor((place / this.length) * count))] += 1;
    return bins;
  }
}

/** Return the time of day of a moment, with milliseconds. */
export function clock(moment) {
  const date = new Date(moment);
  const two = (value) => String(value).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** Return a moment with its day, unless it is the day of `today`. */
export function dayAndClock(moment, today) {
  const date = new Date(moment);
  const isToday = new Date(today).toDateString() === date.toDateString();
  return isToday ? clock(moment) : `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${String(date.getDate()).padStart(2, "0")} ${clock(moment)}`;
}

/** Return a length of time in words: "3 s", "5 min", "2 h". */
export function inWords(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}
