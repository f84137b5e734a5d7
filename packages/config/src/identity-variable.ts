/** What a rule may say of a client by name: `${username}`, `${cert.cn}`, `${jwt.site}`. */
const VARIABLES = [
  'clientid',
  'username',
  'cert.cn',
  'cert.san.uri',
  'cert.san.dns',
  'cert.san.email',
] as const

export type IdentityVariable = (typeof VARIABLES)[number] | `jwt.${string}` | `identity.${string}`

export function isIdentityVariable(name: string): name is IdentityVariable {
  return (
    (VARIABLES as readonly string[]).includes(name) || /^(jwt\.[\w-]+|identity\.\w+)$/.test(name)
  )
}

/** Splits a text at its variables: text and variables in turn, a text first and last. */
export const IDENTITY_VARIABLE: RegExp = /\$\{([^}]*)\}/
