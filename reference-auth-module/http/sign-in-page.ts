import { html } from 'hono/html';
import type { AuthSession } from '../sign-in/auth-session.ts';
import { page } from './page.ts';

export interface SignInForm {
  user: string;
  organization: string;
  supportOrganization: string;
}

export interface SignInPage {
  client: string;
  action: string;
  /** Whoever this browser is signed in as already. */
  current?: AuthSession | undefined;
  error?: string | undefined;
  values?: Partial<SignInForm>;
}

export async function signInPage({ client, action, current, error, values = {} }: SignInPage): Promise<string> {
  return page(
    'Sign in',
    html`<p class="note">For demonstration: there are no passwords here. Whoever you name, you are.</p>
      ${error ? html`<p role="alert" id="problem">${error}</p>` : ''}
      ${current ? continueForm(current, action, client) : html`<p>To continue to <strong>${client}</strong>.</p>`}
      <form method="post" action="${action}">
        ${field('user', 'User', values.user, 'For instance ada, grace or sam.', true)}
        ${field('organization', 'Organization', values.organization, 'For instance acme, globex or vendor.', true)}
        ${field(
          'supportOrganization',
          'Support sign-in to organization (staff only)',
          values.supportOrganization,
          'For Global Admins: the customer to act in. Leave empty otherwise.',
          false,
        )}
        <button type="submit" name="act" value="sign-in">Sign in</button>
      </form>`,
  );
}

function continueForm(current: AuthSession, action: string, client: string) {
  return html`<form method="post" action="${action}">
      <p>You are signed in as <strong>${current.userId}</strong> in <strong>${current.organizationId}</strong>.</p>
      <button type="submit" name="act" value="continue">Continue to ${client}</button>
    </form>
    <h2>Or sign in anew</h2>`;
}

function field(name: keyof SignInForm, label: string, value: string | undefined, hint: string, required: boolean) {
  return html`<label for="${name}">${label}</label>
    <small id="${name}-hint">${hint}</small>
    <input
      id="${name}"
      name="${name}"
      value="${value ?? ''}"
      maxlength="255"
      autocomplete="off"
      autocapitalize="none"
      spellcheck="false"
      aria-describedby="${name}-hint"
      ${required ? html`required` : ''}
    />`;
}
