import type { HttpBindings } from '@hono/node-server';
import { Hono, type Context } from 'hono';
import { html } from 'hono/html';
import type Provider from 'oidc-provider';
import type pg from 'pg';
import { z } from 'zod';
import { findOpenSession, type AuthSession } from '../sign-in/auth-session.ts';
import { UnknownPerson, type SignInAtForm, type SignInOrigin } from '../sign-in/sign-in-at-form.ts';
import { createFinishInteraction, refusalOf, type Interaction } from './finish-interaction.ts';
import { Id } from './json-body.ts';
import { page, pageHeaders } from './page.ts';
import { signInPage, type SignInPage } from './sign-in-page.ts';

type Request = Context<{ Bindings: HttpBindings }, '/interaction/:uid'>;

const name = z.string().trim().pipe(Id);
const Submission = z.discriminatedUnion('act', [
  z.object({ act: z.literal('continue') }),
  z.object({
    act: z.literal('sign-in'),
    user: name,
    organization: name,
    supportOrganization: z
      .string()
      .trim()
      .pipe(Id.or(z.literal('')))
      .default(''),
  }),
]);

/** The sign-in page: shows the form, opens the session it asks for, and hands the browser back to the provider. */
export function createInteractionRoutes({ provider, pool, signInAtForm }: Dependencies) {
  const finish = createFinishInteraction({ provider, pool });

  // The provider's cookie for this very interaction ties a submission to the browser that was asked.
  async function interactionOf(c: Request): Promise<Interaction | undefined> {
    const interaction = await provider.interactionDetails(c.env.incoming, c.env.outgoing).catch(() => undefined);
    return interaction?.uid === c.req.param('uid') ? interaction : undefined;
  }

  async function currentSession(interaction: Interaction): Promise<AuthSession | undefined> {
    return interaction.session && findOpenSession(pool, interaction.session.accountId);
  }

  async function show(c: Request, interaction: Interaction, more: Pick<SignInPage, 'error' | 'values'> = {}) {
    const current = interaction.prompt.name === 'login' ? undefined : await currentSession(interaction);
    const content = await signInPage({ client: clientOf(interaction), action: c.req.path, current, ...more });
    return c.html(content, more.error ? 422 : 200, pageHeaders);
  }

  async function submit(c: Request, interaction: Interaction) {
    const submission = Submission.safeParse(await c.req.parseBody());
    if (!submission.success) return show(c, interaction, { error: 'Please name a user and an organization.' });
    const current = await currentSession(interaction);
    try {
      if (submission.data.act === 'sign-in') {
        const session = await signInAtForm(submission.data, current, originOf(c, interaction));
        return c.redirect(await finish.signedIn(interaction, session), 303);
      }
      if (!current) return await show(c, interaction, { error: 'You are not signed in any more. Please sign in.' });
      return c.redirect(await finish.continued(interaction, current), 303);
    } catch (error) {
      if (error instanceof UnknownPerson) {
        return show(c, interaction, {
          error: error.message,
          values: submission.data.act === 'sign-in' ? submission.data : {},
        });
      }
      const refusal = refusalOf(error);
      if (!refusal) throw error;
      return c.redirect(await finish.refused(interaction, refusal), 303);
    }
  }

  return new Hono<{ Bindings: HttpBindings }>()
    .get('/interaction/:uid', async (c) => {
      const interaction = await interactionOf(c);
      return interaction ? show(c, interaction) : gone(c);
    })
    .post('/interaction/:uid', async (c) => {
      const interaction = await interactionOf(c);
      return interaction ? submit(c, interaction) : gone(c);
    });
}

interface Dependencies {
  provider: Provider;
  pool: pg.Pool;
  signInAtForm: SignInAtForm;
}

function clientOf(interaction: Interaction): string {
  return String(interaction.params.client_id);
}

function originOf(c: Request, interaction: Interaction): SignInOrigin {
  return {
    client: clientOf(interaction),
    ipAddress: c.env.incoming.socket.remoteAddress,
    userAgent: c.req.header('user-agent'),
  };
}

async function gone(c: Request) {
  const content = await page('This sign-in has expired', html`<p role="alert">Go back to the app and start again.</p>`);
  return c.html(content, 400, pageHeaders);
}
