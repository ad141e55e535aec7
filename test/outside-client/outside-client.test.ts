/** A client that knows the service by its documented interface alone. The suites share one running service. */
import { audit } from './guarantees/audit.ts';
import { authModuleFailing } from './guarantees/auth-module-failing.ts';
import { check } from './guarantees/check.ts';
import { clockAhead } from './guarantees/clock-ahead.ts';
import { clockChanges } from './guarantees/clock-changes.ts';
import { conventions } from './guarantees/conventions.ts';
import { documents } from './guarantees/documents.ts';
import { endingProcesses } from './guarantees/ending-processes.ts';
import { supportAccessFlag } from './guarantees/flag.ts';
import { grants } from './guarantees/grants.ts';
import { idempotency } from './guarantees/idempotency.ts';
import { pagedLists } from './guarantees/lists.ts';
import { outages } from './guarantees/outages.ts';
import { restoredBackup } from './guarantees/restored.ts';
import { sessionEvents } from './guarantees/session-events.ts';
import { singleProcesses } from './guarantees/single-processes.ts';
import { supportSessions } from './guarantees/support-sessions.ts';
import { terminating } from './guarantees/terminating.ts';
import { terminationEvents } from './guarantees/termination-events.ts';
import { aTermination } from './guarantees/terminations.ts';
import { tokens } from './guarantees/tokens.ts';
import { whoMayDoWhat } from './guarantees/who-may-do-what.ts';
import { useService } from './service.ts';

const service = useService();

// first, while there is little to end: it ends everything there is
restoredBackup(service);
documents(service);
tokens(service);
whoMayDoWhat(service);
conventions(service);
pagedLists(service);
idempotency(service);
sessionEvents(service);
terminating(service);
aTermination(service);
authModuleFailing(service);
terminationEvents(service);
audit(service);
grants(service);
supportAccessFlag(service);
check(service);
supportSessions(service);
outages(service);
singleProcesses(service);
// last: what it tells is remembered, and fences are judged by it from then on
clockAhead(service);
clockChanges(service);
endingProcesses(service);
