/** Return the command that enrols a gateway; `server` is the base address of the cloud. */
export const enrolCommand = (server: string, token: string): string =>
  `headrace edge enrol gateway.toml --server ${server} --token ${token}`;
