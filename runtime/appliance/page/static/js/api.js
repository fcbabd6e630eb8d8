// The service's API: one place that asks, so that refusals read alike everywhere.

const ROOT = "/api/v1";

/** A refusal in the service's words; `status` is 0 where nothing answered. */
export class Refusal extends Error {
  constructor(status, error) {
    const parts = [error.what];
    if (error.value) parts.push(`value ${error.value}`);
    if (error.limit) parts.push(`limit ${error.limit}`);
    super(parts.join("; ") + (error.remedy ? `. ${error.remedy}` : ""));
    this.status = status;
  }
}

async function told(answer) {
  try {
    return (await answer.json()).error ?? { what: answer.statusText };
  } catch {
    return { what: `the service answered ${answer.status}` };
  }
}

async function answered(path, request) {
  let answer;
  try {
    answer = await fetch(ROOT + path, request);
  } catch {
    throw new Refusal(0, { what: "the service does not answer", remedy: "Check the connection" });
  }
  if (!answer.ok) throw new Refusal(answer.status, await told(answer));
  return answer;
}

/** Ask and return the answer's JSON; throws Refusal. What changes something bears the header that
 *  no other site can send with our cookie; what is `last` is sent even if the page goes. */
export async function ask(method, path, body, { last = false } = {}) {
  const headers = { "X-Nightscope": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await answered(path, {
    method, headers, keepalive: last, body: body === undefined ? undefined : JSON.stringify(body),
  });
  return answer.status === 204 ? null : answer.json();
}

/** Return a picture and the headers that came with it; throws Refusal. */
export async function picture(path) {
  const answer = await answered(path, { cache: "no-store" });
  return { image: await createImageBitmap(await answer.blob()), headers: answer.headers };
}

export const get = (path) => ask("GET", path);

/** Return the address of a picture or file. */
export const address = (path) => ROOT + path;

/** Send a file; `progress` is told how much of it has gone, 0 to 1. */
export function upload(path, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", ROOT + path);
    request.setRequestHeader("X-Nightscope", "1");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => progress(event.total ? event.loaded / event.total : 0);
    request.onerror = () =>
      reject(new Refusal(0, { what: "the transfer broke", remedy: "Send it again" }));
    request.onload = () => {
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { /* the status says enough */ }
      if (request.status < 300) resolve(answer);
      else reject(new Refusal(request.status,
        answer.error ?? { what: `the service answered ${request.status}` }));
    };
    request.send(file);
  });
}
