// The search service in JavaScript: it asks the flags server over OFREP, and reports its outcomes there.
// `npm install && node app.mjs 9003`, beside FLAGS_URL. `touch broken` makes the new ranking fail for a third of
// its requests, and `rm broken` repairs it.
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";

const FLAG = process.env.FLAG ?? "fast-search";
const FLAGS_URL = process.env.FLAGS_URL ?? "http://127.0.0.1:8016";
const HEADERS = process.env.FLAGS_KEY ? [["X-API-Key", process.env.FLAGS_KEY]] : [];
const BROKEN = new URL("broken", import.meta.url);
const DOCUMENTS = ["apples and pears", "pears and plums", "plums and apples"];
const OUTCOMES_MAX = 1000;

await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: FLAGS_URL, headersFactory: () => HEADERS }));
const flags = OpenFeature.getClient();
let outcomes = [];

async function search(words, user) {
  const hits = DOCUMENTS.filter((text) => text.includes(words));
  if (!(await flags.getBooleanValue(FLAG, false, { targetingKey: user }))) return { ranking: "old", found: hits };
  if (existsSync(BROKEN) && Math.random() < 1 / 3) throw new Error("the new ranking is broken");
  return { ranking: "new", found: hits.sort((a, b) => a.indexOf(words) - b.indexOf(words)) };
}

// The server takes a request whole or not at all: a failed report is sent again with the next one.
async function report() {
  const batch = outcomes.slice(0, OUTCOMES_MAX);
  if (batch.length === 0) return;
  try {
    const reply = await fetch(`${FLAGS_URL}/outcomes`, {
      method: "POST",
      headers: { "content-type": "application/json", ...Object.fromEntries(HEADERS) },
      body: JSON.stringify({ outcomes: batch }),
    });
    if (!reply.ok) console.error(`outcomes: ${reply.status} ${await reply.text()}`);
    if (reply.status < 500) outcomes = outcomes.slice(batch.length);
  } catch (error) {
    console.error(`outcomes: ${error}`);
    outcomes = outcomes.slice(-10 * OUTCOMES_MAX);
  }
}

async function answer(request, response) {
  const user = request.headers["x-user-id"];
  const words = new URL(request.url, "http://localhost").searchParams.get("words") ?? "";
  if (!user) return response.writeHead(422).end();
  const began = performance.now();
  let [status, body] = [500, { error: "the new ranking is broken" }];
  try {
    [status, body] = [200, await search(words, user)];
  } catch (error) {
    body = { error: error.message };
  }
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  outcomes.push({ flag: FLAG, user, ok: status === 200, seconds: (performance.now() - began) / 1000 });
}

setInterval(report, 500);
createServer(answer).listen(Number(process.argv[2] ?? 9003), "127.0.0.1");
