import { html, raw } from 'hono/html';
import type { ErrorOut, KoaContextWithOIDC } from 'oidc-provider';
import { page, pageHeaders, type Html } from './page.ts';

/** Asks before signing out; `form` is the provider's own, with its token against forged requests. */
export async function renderSignOutPage(ctx: KoaContextWithOIDC, form: string): Promise<void> {
  await show(
    ctx,
    'Sign out',
    html`<p>Apps that you gave offline access stay connected until an administrator ends them.</p>
      ${raw(form)}
      <button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>
      <button type="submit" form="op.logoutForm" class="plain">Stay signed in</button>`,
  );
}

export async function renderSignedOutPage(ctx: KoaContextWithOIDC): Promise<void> {
  await show(ctx, 'You are signed out', html`<p>You may close this page.</p>`);
}

export async function renderErrorPage(ctx: KoaContextWithOIDC, out: ErrorOut): Promise<void> {
  await show(
    ctx,
    'That did not work',
    html`<p role="alert">${out.error}: ${out.error_description ?? 'no details'}</p>
      <p>Go back to the app and start again.</p>`,
  );
}

async function show(ctx: KoaContextWithOIDC, title: string, content: Html): Promise<void> {
  ctx.set(pageHeaders);
  ctx.type = 'html';
  ctx.body = await page(title, content);
}
