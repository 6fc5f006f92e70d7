// oidc-provider: an OpenID provider and issuer of JWTs, with its own pages for login and consent. The argument is JSON:
// port, callback (of the gateway), audience. Whoever logs in as NAME is NAME, of the group staff.
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const { port, callback, audience } = JSON.parse(process.argv[2]);

function key(type, options, alg) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: alg };
}

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    { client_id: 'asya-gateway', client_secret: 'secret: +/=', redirect_uris: [callback] },
    ...['RS256', 'ES256'].map((alg) => ({
      client_id: `program-${alg}`, client_secret: 'secret', redirect_uris: [], response_types: [],
      grant_types: ['client_credentials'],
    })),
  ],
  jwks: { keys: [key('rsa', { modulusLength: 2048 }, 'RS256'), key('ec', { namedCurve: 'P-256' }, 'ES256')] },
  cookies: { keys: ['of this process alone'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified', 'groups'] },
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@corp.example`, email_verified: true, groups: ['staff'] }),
  }),
  features: {
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource, client) => ({
        scope: 'mcp:read mcp:invoke', audience: resource, accessTokenFormat: 'jwt',
        jwt: { sign: { alg: client.clientId.split('-')[1] } },
      }),
    },
  },
});
provider.listen(port, '127.0.0.1');
