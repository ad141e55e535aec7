/**
 * Ids of the Auth Module are opaque: 1 to 255 printable characters (counted as code points), so no control, format,
 * surrogate or unassigned character, and no line separator. `.` and `..` are refused too: a client's URL library would
 * resolve `/users/../sessions/terminate` to the path that ends everybody's sessions.
 */
const opaqueId = /^(?!\.{1,2}$)[^\p{C}\p{Zl}\p{Zp}]{1,255}$/u;
export const isOpaqueId = (text: string): boolean => opaqueId.test(text);

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Whether this has the form of an id that is made here. */
export const isUuid = (text: string): boolean => uuid.test(text);
