import { signInDevice } from './demo/device.ts';
import { createNarrator } from './demo/narrator.ts';
import { createCallService } from './demo/service.ts';
import { receipt } from './demo/receipt.ts';
import { supportAccess } from './demo/support-access.ts';
import { twoDevices } from './demo/two-devices.ts';
import { errorCode } from './error-code.ts';
import { explain, Problem } from './problem.ts';
import { readRunningSystem } from './running-file.ts';
import { say } from './say.ts';
import { demoAdmin } from './start/demo-organization.ts';

/** The demonstrations, in order. Each shows its calls and real answers, and fails where one is not as promised. */
const tours = [twoDevices, supportAccess, receipt];

/** `npm run demo`, against the system that `npm start` runs in this checkout. */
async function demo(): Promise<void> {
  const system = readRunningSystem();
  if (!system) throw new Problem('Nothing runs in this checkout: type npm start in another terminal, then try again.');
  if (!system.demo)
    throw new Problem('The demonstration signs people in at the reference Auth Module; unset AUTH_MODULE_URL.');
  const narrator = createNarrator((text) => process.stdout.write(text));
  const issuer = system.authModuleUrl;
  const { organization } = system.demo;

  narrator.step(`${demoAdmin}, who administers ${organization}, signs in`);
  const admin = await signInDevice({ issuer, organization, user: demoAdmin }, 'admin', narrator);
  const call = createCallService(system.apiUrl, narrator);
  const { apiUrl } = system;
  for (const tour of tours) await tour({ narrator, call, apiUrl, issuer, organization, adminToken: admin.accessToken });
  process.stdout.write('\nAll answers were as they should be.\n');
}

try {
  await demo();
} catch (error) {
  const refused = error instanceof TypeError && errorCode(error.cause) === 'ECONNREFUSED';
  say(
    refused ? 'Nothing answers any more: type npm start in another terminal, then try again.' : `\n${explain(error)}`,
  );
  process.exitCode = 1;
}
