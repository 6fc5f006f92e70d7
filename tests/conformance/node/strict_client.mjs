// oauth4webapi, which refuses every answer that its RFC does not allow. The argument is JSON: url, other (the second
// replica), id and secret of a client that may act for itself. The last line printed is JSON.
import * as oauth from 'oauth4webapi';

const { url, other, id, secret } = JSON.parse(process.argv[2]);
const REDIRECT = 'http://127.0.0.1:33418/callback';
const loopback = { [oauth.allowInsecureRequests]: true };
const seen = {};

const resource = await oauth.processResourceDiscoveryResponse(
  new URL(`${url}/mcp`), await oauth.resourceDiscoveryRequest(new URL(`${url}/mcp`), loopback));
const issuer = new URL(resource.authorization_servers[0]);
let server;
for (const algorithm of ['oauth2', 'oidc']) {
  server = await oauth.processDiscoveryResponse(
    issuer, await oauth.discoveryRequest(issuer, { algorithm, ...loopback }));
}

async function registered(metadata) {
  const asked = { client_name: 'Strict', redirect_uris: [REDIRECT], ...metadata };
  return oauth.processDynamicClientRegistrationResponse(
    await oauth.dynamicClientRegistrationRequest(server, asked, loopback));
}

// The code with its verifier; oauth4webapi checks state and iss, of an error too.
async function authorized(client, parameters) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const target = new URL(server.authorization_endpoint);
  const asked = {
    client_id: client.client_id, redirect_uri: REDIRECT, response_type: 'code', scope: 'mcp:read mcp:invoke', state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...parameters,
  };
  target.search = new URLSearchParams(asked);
  const answer = await fetch(target, { redirect: 'manual' });
  const back = new URL(answer.headers.get('location'));
  return { verifier, code: oauth.validateAuthResponse(server, client, back, state) };
}

async function redeemed(client, proof, { code, verifier }) {
  const request = await oauth.authorizationCodeGrantRequest(
    server, client, proof, code, REDIRECT, verifier,
    { additionalParameters: { resource: resource.resource }, ...loopback });
  return oauth.processAuthorizationCodeResponse(server, client, request);
}

async function refreshed(client, proof, token) {
  return oauth.processRefreshTokenResponse(
    server, client, await oauth.refreshTokenGrantRequest(server, client, proof, token, loopback));
}

// What an error says: its code, or the code in the challenge or beside it.
async function refused(work) {
  try {
    await work();
  } catch (error) {
    return error.error ?? error.cause?.[0]?.parameters.error ?? (await error.response.json()).error;
  }
  return 'nothing was refused';
}

const tasks = (token, at = url) => oauth.protectedResourceRequest(
  token, 'GET', new URL(`${at}/tasks`), undefined, undefined, loopback);

for (const method of ['none', 'client_secret_basic', 'client_secret_post']) {
  const client = await registered({ token_endpoint_auth_method: method });
  const proof = {
    none: oauth.None,
    client_secret_basic: () => oauth.ClientSecretBasic(client.client_secret),
    client_secret_post: () => oauth.ClientSecretPost(client.client_secret),
  }[method]();
  const issued = await redeemed(client, proof, await authorized(client, { resource: resource.resource }));
  const renewed = await refreshed(client, proof, issued.refresh_token);
  const statuses = [(await tasks(issued.access_token)).status, (await tasks(renewed.access_token, other)).status];
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(server, client, proof, renewed.refresh_token, loopback));
  const after = await refused(() => refreshed(client, proof, renewed.refresh_token));
  seen[method] = { scope: issued.scope, rotated: renewed.refresh_token !== issued.refresh_token, statuses, after };
}

const client = await registered({ token_endpoint_auth_method: 'none' });
const wrong = { ...(await authorized(client)), verifier: oauth.generateRandomCodeVerifier() };
const bad = (parameters) => refused(() => authorized(client, parameters));
seen.refused = {
  verifier: await refused(() => redeemed(client, oauth.None(), wrong)),
  resource: await bad({ resource: 'https://elsewhere.example/' }),
  'response type': await bad({ response_type: 'token' }),
  plain: await bad({ code_challenge_method: 'plain' }),
  token: await refused(() => tasks('asya_x')),
};

const itself = { client_id: id };
seen.itself = [];
for (const proof of [oauth.ClientSecretBasic(secret), oauth.ClientSecretPost(secret)]) {
  const issued = await oauth.processClientCredentialsResponse(
    server, itself, await oauth.clientCredentialsGrantRequest(server, itself, proof, {}, loopback));
  seen.itself.push([(await tasks(issued.access_token, other)).status, 'refresh_token' in issued]);
}
seen.stranger = await refused(async () => oauth.processClientCredentialsResponse(
  server, itself,
  await oauth.clientCredentialsGrantRequest(server, itself, oauth.ClientSecretBasic('wrong'), {}, loopback)));
console.log(JSON.stringify(seen));
