// Evaluates flags through OpenFeature's own OFREP provider: node ofrep_client.mjs URL KEY SCENARIOS,
// where SCENARIOS is JSON: [[type, flag, default, user], …] with the type Boolean, String, Number or Object.
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";

const [url, key, scenarios] = process.argv.slice(2);
const headersFactory = () => [["Authorization", `Bearer ${key}`]];
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: url, headersFactory }));
const client = OpenFeature.getClient();
const results = [];
for (const [type, flag, fallback, user] of JSON.parse(scenarios)) {
  const context = user ? { targetingKey: user } : {};
  const { value, reason, variant, errorCode } = await client[`get${type}Details`](flag, fallback, context);
  results.push({ value, reason, variant: variant ?? null, errorCode: errorCode ?? null });
}
console.log(JSON.stringify(results));
