import { errors, type InteractionResults } from 'oidc-provider';
import type Provider from 'oidc-provider';
import type pg from 'pg';
import { makeChain } from '../oidc/issue-offline-access.ts';
import type { AuthSession } from '../sign-in/auth-session.ts';
import { SignInRefused } from '../sign-in/open-sessions.ts';

export type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;

export interface Refusal {
  error: string;
  error_description: string;
}

/** Ends an interaction in one of three ways. Each returns where the browser goes next. */
export function createFinishInteraction({ provider, pool }: { provider: Provider; pool: pg.Pool }) {
  return {
    /** As a new sign-in with a new chain. The browser leaves the one it had, whose chains live on. */
    async signedIn(interaction: Interaction, session: AuthSession): Promise<string> {
      const grantId = await makeChain(provider, session.sessionId, String(interaction.params.client_id));
      const ts = Math.floor(session.startedAt.getTime() / 1000);
      await forgetBrowserSession(interaction);
      return settle(interaction, { login: { accountId: session.sessionId, ts, amr: ['demo'] }, consent: { grantId } });
    },

    /** In the sign-in the browser has: the same chain where this client has one that lives, else a further one. */
    async continued(interaction: Interaction, session: AuthSession): Promise<string> {
      const known = interaction.grantId && (await provider.Grant.find(interaction.grantId));
      const grantId = known
        ? known.jti
        : await makeChain(provider, session.sessionId, String(interaction.params.client_id));
      return settle(interaction, { consent: { grantId } });
    },

    refused: (interaction: Interaction, refusal: Refusal): Promise<string> => settle(interaction, { ...refusal }),
  };

  // Else the provider would first ask to sign out of the earlier sign-in, with a page that needs a script.
  async function forgetBrowserSession(interaction: Interaction): Promise<void> {
    if (!interaction.session) return;
    await pool.query(`delete from auth_artifacts where model = 'Session' and uid = $1`, [interaction.session.uid]);
    interaction.session = undefined;
  }
}

async function settle(interaction: Interaction, result: InteractionResults): Promise<string> {
  interaction.result = result;
  await interaction.persist();
  return interaction.returnTo;
}

/** What the client is told of a refusal; undefined for a fault of ours. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof SignInRefused) return { error: error.code, error_description: error.message };
  if (error instanceof errors.OIDCProviderError && error.status < 500) {
    return { error: 'access_denied', error_description: 'the sign-in has ended' };
  }
  return undefined;
}
