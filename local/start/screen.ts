import type { RunningSystem } from '../running-file.ts';
import { demoAdmin, demoOrganization, demoUser } from './demo-organization.ts';

/** What somebody who has just typed `npm start` needs to know, and can paste. */
export function screen(system: RunningSystem, sessionId: string | undefined): string {
  return [...addresses(system), '', ...calls(system, sessionId), '', ...ends(system)].join('\n');
}

function addresses({ apiUrl, authModuleUrl, temporalUiUrl, demo }: RunningSystem): string[] {
  return [
    '',
    'The Session Management Service is running.',
    '',
    `  API            ${apiUrl}`,
    `  API reference  ${apiUrl}/docs`,
    `  Temporal UI    ${temporalUiUrl ?? '(of the Temporal that TEMPORAL_ADDRESS names)'}`,
    `  Auth Module    ${authModuleUrl}${demo ? '' : '  (yours)'}`,
    '  Logs           .data/logs',
  ];
}

function calls({ apiUrl, demo }: RunningSystem, sessionId: string | undefined): string[] {
  const organization = `${apiUrl}/v1/organizations/${demoOrganization}`;
  const authorization = '-H "Authorization: Bearer $TOKEN"';
  const whose = demo
    ? [`${demoAdmin} administers ${demoOrganization}; ${demoUser} is signed in there on three devices. To paste:`]
    : ['With a token of your Auth Module:'];
  return [
    ...whose,
    '',
    `export TOKEN=${demo?.adminToken ?? '…'}`,
    '',
    `# ${demoUser}'s sessions`,
    `curl -sS ${authorization} ${organization}/users/${demoUser}/sessions`,
    '# end one of them',
    `curl -sS -X POST ${authorization} ${organization}/sessions/${sessionId ?? 'SESSION'}/terminate`,
    '# end all of them',
    `curl -sS -X POST ${authorization} ${organization}/users/${demoUser}/sessions/terminate`,
    '# the operations that ended them',
    `curl -sS ${authorization} ${organization}/terminations`,
  ];
}

function ends({ demo }: RunningSystem): string[] {
  const tour = demo ? ['npm run demo, in another terminal, shows two devices whose refresh tokens die.'] : [];
  return [...tour, 'Ctrl-C stops everything; data stays.', ''];
}
