// Follows a flag through OpenFeature's web provider and the event stream: node ofrep_web_client.mjs URL KEY FLAG
// USER. Prints a line of JSON for the first value and for each change; ends with its standard input.
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";
import { EventSource } from "eventsource";

globalThis.EventSource ??= EventSource; // browsers have it
const [url, key, flag, user] = process.argv.slice(2);
const headersFactory = () => [["Authorization", `Bearer ${key}`]];
const print = () => {
  const { value, reason } = OpenFeature.getClient().getBooleanDetails(flag, true);
  console.log(JSON.stringify({ value, reason, at: Date.now() / 1000 }));
};
OpenFeature.addHandler(ProviderEvents.ConfigurationChanged, print);
await OpenFeature.setContext({ targetingKey: user });
const provider = new OFREPWebProvider({ baseUrl: url, headersFactory, cacheMode: "disabled" });
await OpenFeature.setProviderAndWait(provider);
print();
process.stdin.resume().on("end", () => process.exit(0));
