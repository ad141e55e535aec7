/** What people write of their own: at most 500 code points; NUL and lone surrogates have no place in PostgreSQL's text. */
const reason = /^[^\0\p{Cs}]{0,500}$/u;
export const isReason = (text: string): boolean => reason.test(text);
