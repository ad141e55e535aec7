export const createGrantFunctions = (_: object): any => ({});
