/** Before the name of every metric of our own that no convention names. */
export const prefix = 'session_management_';
