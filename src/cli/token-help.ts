export const tokenHelp: string = `Usage: mpc-router token key --alg=EdDSA --out=dev.jwk
       mpc-router token issue --key=dev.jwk --party=alice

Keys and tokens for development and tests. In production, tokens come from whoever knows your parties.

token key: makes a key, readable by you alone. Never overwrites.
  --alg <word>            EdDSA (default), ES256, RS256, or HS256 for a shared secret
  --out <path>            private key (a JWK), and beside it, as <path>.jwks, the public key set for
                          --auth-jwks; of HS256 the secret, for --auth-jwt-secret-file

token issue: prints a token.
  --key <path>            what "token key" made
  --party <id>            of this party; or
  --coordinator           of the coordinator
  --party-role <words>    roles that the party may register, with commas between them: persistent,
                          delegate, temporary; without it, temporary alone
  --ttl <duration>        1s to 365d; default 1h
  --issuer, --audience    as the router's --auth-issuer and --auth-audience say
`;
