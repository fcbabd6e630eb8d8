// Times by the controller's clock and in its time zone: the phone's own may be wrong.

let server = null; // { at_ms: performance.now() then, wall_s: the controller's time then }
let zone_s = null;

/** Take over what the controller says the time is. */
export function setClock(iso) {
  const wall_ms = Date.parse(iso);
  if (Number.isFinite(wall_ms)) server = { at_ms: performance.now(), wall_s: wall_ms / 1000 };
}

/** Take over the controller's time zone, seconds ahead of UTC. */
export function setZone(offset_s) {
  zone_s = offset_s;
}

/** Return the controller's time now, Unix seconds. */
export function now_s() {
  if (server === null) return Date.now() / 1000;
  return server.wall_s + (performance.now() - server.at_ms) / 1000;
}

/** Return by how much this device's clock is ahead of the controller's, seconds. */
export const skew_s = () => (server === null ? 0 : Date.now() / 1000 - now_s());

function local(unix_s) {
  const offset_s = zone_s ?? -60 * new Date(unix_s * 1000).getTimezoneOffset();
  return new Date((unix_s + offset_s) * 1000);
}

const two = (number) => String(number).padStart(2, "0");

/** Return hours, minutes and seconds. */
export function clock(unix_s) {
  const at = local(unix_s);
  return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
}

/** Return day and minute: "29 November 2026, 21:04". */
export function date(unix_s) {
  if (unix_s === null || unix_s === undefined) return "–";
  const at = local(unix_s);
  const day = at.toLocaleDateString("en-GB",
    { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
  return `${day}, ${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
}

/** Return how long: "47 s", "12 min", "7 h 40 min", "3 d 2 h". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 2 * 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** Return the Unix seconds that a datetime-local field means in the controller's zone. */
export function fromField(text) {
  const utc_s = Date.parse(`${text}Z`) / 1000;
  return utc_s - (zone_s ?? -60 * new Date(text).getTimezoneOffset());
}
