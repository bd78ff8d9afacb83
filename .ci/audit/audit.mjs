// node audit.mjs http://127.0.0.1:8080/graphql: every audit of graphql-http must be met, those that are only recommended included.
import { serverAudits } from 'graphql-http';

let failed = 0, count = 0;
for (const audit of serverAudits({ url: process.argv[2], fetchFn: fetch })) {
  const result = await audit.fn();
  count++;
  if (result.status !== 'ok') {
    failed++;
    console.log(`${result.status}: ${audit.id} ${audit.name}: ${result.reason}`);
  }
}
console.log(`${count - failed} of ${count} audits met`);
process.exit(failed === 0 && count > 50 ? 0 : 1);
