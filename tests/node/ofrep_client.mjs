// Evaluates a flag through OpenFeature's own OFREP provider: node ofrep_client.mjs URL KEY FLAG USER.
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";

const [url, key, flag, user] = process.argv.slice(2);
const headersFactory = () => [["Authorization", `Bearer ${key}`]];
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: url, headersFactory }));
const details = await OpenFeature.getClient().getBooleanDetails(flag, false, { targetingKey: user });
const { value, reason, variant, errorCode } = details;
console.log(JSON.stringify({ value, reason, variant, errorCode: errorCode ?? null }));
