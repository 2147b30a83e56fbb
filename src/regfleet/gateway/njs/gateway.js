// What nginx asks of us: who may do what at the registry behind it, and what to say where it is no.
// nginx.conf names every function that is exported here. njs 0.7.9 and later.
//
// The registry itself takes tokens alone, and checks them. So nothing here keeps anybody out: who is
// let through without a right is refused by the registry. Only a gateway alone, which stands before
// registries that know nothing of it (policy.enforces), decides itself: see "a gateway alone".
import qs from 'querystring';
import hash from 'crypto';
import policy from 'policy.js';
import rights from 'rights.js';
import tokens from 'tokens.js';

const PAUSES = [700, 1500]; // milliseconds
const TURN = 500; // milliseconds, after a multiple of which a wrong password is answered
const OURS_REFUSED =
    'the registry refuses the tokens of this gateway: their key is not in its bundle, or the clocks differ';
// Of a gateway alone, which has passwords for the registries behind it: gateway/behind.py.
const UNWELCOME = {
    login: 'the registry behind the gateway refuses the login that the gateway has there',
    tokens: 'the registry behind the gateway wants tokens of another service, and no gateway gets those',
};
const SCOPES = 100; // of one token
const READS_ONLY = 'the registry takes no changes for some seconds: a job is at work; try again';
const ACTIONS = { GET: 'pull', HEAD: 'pull', DELETE: 'delete' }; // all others push
const HOST = /^[A-Za-z0-9._:[\]-]+$/;
const BASIC = 'Basic realm="' + policy.service + '"';

// ---- answers ----

function json(r, status, document) {
    r.headersOut['Content-Type'] = 'application/json';
    r.headersOut['Docker-Distribution-Api-Version'] = 'registry/2.0';
    r.return(status, JSON.stringify(document) + '\n');
}

// As registries do (OCI distribution specification, "Error Codes"): clients show the message.
function refuse(r, status, code, message) {
    json(r, status, { errors: [{ code: code, message: message, detail: null }] });
}

function challenge(r, message, how) {
    r.headersOut['WWW-Authenticate'] = how;
    refuse(r, 401, 'UNAUTHORIZED', message);
}

// regfleet counts these lines (look/guesses.sh). nginx adds no address to what a script logs.
function note(r, user) {
    r.warn('wrong password or no such user: ' + JSON.stringify(user.slice(0, 64)) + ' from ' + r.remoteAddress);
}

// Registries compare the passwords of names that they know, and refuse others at once (distribution,
// registry/auth/htpasswd): when the answer comes is not to tell who is a user.
function later(r, answer) {
    setTimeout(answer, TURN - r.variables.request_time * 1000 % TURN);
}

function wrong(r, user) {
    note(r, user);
    later(r, () => challenge(r, 'incorrect username or password', BASIC));
}

function slowed(r) {
    r.headersOut['Retry-After'] = '10';
    refuse(r, 429, 'TOOMANYREQUESTS', 'too many logins with wrong passwords: try again later');
}

function unavailable(r, message) {
    r.headersOut['Retry-After'] = '5';
    refuse(r, 503, 'UNAVAILABLE', message);
}

// ---- what a request is about ----

function authorization(r) {
    return r.headersIn['Authorization'] || '';
}

function isBearer(r) {
    return /^bearer /i.test(authorization(r));
}

// Whom the credentials name: checked by nobody yet.
function named(r) {
    return isBearer(r) ? tokens.subject(authorization(r)) : r.variables.remote_user || '';
}

// All fields of a query or a form: njs stops after a thousand if it is not told otherwise, and a
// registry does not.
function fields(text) {
    return qs.parse(text, '&', '=', { maxKeys: 0 });
}

function query(r) {
    const uri = r.variables.request_uri;
    const cut = uri.indexOf('?');
    return cut < 0 ? '' : uri.slice(cut + 1);
}

// The repository, or the catalog, as the beginning of a scope; '' for neither. From the request line
// as it was sent: the registry gets that, too.
function target(r) {
    const path = r.variables.request_uri.split('?')[0];
    if (path === '/v2/_catalog') {
        return 'registry:catalog';
    }
    const found = /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\/.+$/.exec(path)
        || /^\/v2\/(.+)\/blobs\/uploads\/?$/.exec(path);
    return found ? 'repository:' + found[1] : '';
}

// The repository that a blob is to be mounted from; '' where none is.
function source(r) {
    const from = fields(query(r)).from;
    return typeof from === 'string' ? from : '';
}

function mounts(r) {
    return 'from' in fields(query(r));
}

// What the registry is asked for. A mount from where somebody may not pull becomes a plain upload,
// which is what a registry makes of a mount that it cannot do (202).
function forward(r) {
    const from = source(r);
    const plain = from === '' && !(policy.enforces && mounts(r));
    if (plain || rights.rights(named(r), from).indexOf('pull') >= 0) {
        return r.variables.request_uri;
    }
    const rest = query(r).split('&').filter((pair) => !('from' in fields(pair)) && !('mount' in fields(pair)));
    return r.variables.request_uri.split('?')[0] + (rest.length ? '?' + rest.join('&') : '');
}

// A name for credentials in the cache that does not tell them; a new policy makes new names.
function key(r, about) {
    return hash.createHmac('sha256', policy.key)
        .update([policy.version, r.variables.cred || ''].concat(about).join('\n')).digest('hex');
}

function checkKey(r) {
    return key(r, []);
}

function mintKey(r) {
    return key(r, [target(r), source(r), asked(r)]);
}

// Who guesses, for the limit: an address, of IPv6 the network that one customer has (RFC 6177).
function guesser(r) {
    const address = r.headersIn['X-Real-IP'] || '';
    if (address.indexOf(':') < 0) {
        return address;
    }
    const halves = address.split('::');
    const first = halves[0] === '' ? [] : halves[0].split(':');
    const last = halves.length < 2 || halves[1] === '' ? [] : halves[1].split(':');
    while (halves.length > 1 && first.length + last.length < 8) {
        first.push('0');
    }
    return first.concat(last).slice(0, 4).join(':');
}

// ---- a gateway alone ----

// The places of a registry's API (distribution, "Detail"; OCI distribution specification), spelled as
// clients spell them: what is written in any other way reaches no registry.
const PLACE = new RegExp('^/v2/(.+)/(?:'
    + '(?:manifests|blobs|referrers)/[A-Za-z0-9_.:+=-]+|tags/list|blobs/uploads/[A-Za-z0-9_.=-]*)$');
const UPLOAD = /\/blobs\/uploads\/[^\/]*$/;
const NOTHING = 'nothing'; // to be had there
const NO_DELETION = 'no deletion';
const ANYBODY = 'anybody'; // who has logged in

// What a request wants, as a scope, or one of these words; '' where the registry decides. As
// distribution has it (registry/handlers/app.go, appendAccessRecords).
function asked(r) {
    if (!policy.enforces) {
        return '';
    }
    const path = r.variables.request_uri.split('?')[0];
    const method = r.variables.request_method;
    if (/[;#]/.test(query(r))) { // a semicolon parts fields for some (Go before 1.17)
        return NOTHING;
    }
    if (path === '/v2/') {
        return ANYBODY;
    }
    if (path === '/v2/_catalog') {
        return 'registry:catalog:*';
    }
    const found = PLACE.exec(path);
    if (found === null || !rights.isName(found[1])) {
        return NOTHING;
    }
    if (method === 'DELETE' && !policy.deletes && !UPLOAD.test(path)) {
        return NO_DELETION;
    }
    const action = ACTIONS[method] || 'push';
    return 'repository:' + found[1] + ':' + (action === 'push' ? 'pull,push' : action);
}

function covered(access, wanted) {
    return wanted === '' || wanted === ANYBODY || rights.covers(access, wanted);
}

// Whether the token that a request came with is a good one, and enough for it.
async function allowed(r) {
    const claims = isBearer(r) ? await tokens.verified(authorization(r).slice(7).trim()) : null;
    const wanted = asked(r);
    if (claims !== null && covered(claims.access, wanted)) {
        return r.return(204);
    }
    const scope = claims === null ? '' : ',scope="' + wanted + '"';
    const why = claims === null ? 'invalid_token' : 'insufficient_scope';
    r.headersOut['X-Refused'] = bearer(r) + scope + ',error="' + why + '"';
    r.return(401);
}

// What nobody is given, whatever the rights.
function unheard(r) {
    const wanted = asked(r);
    if (wanted === NOTHING) {
        refuse(r, 404, 'UNSUPPORTED', 'this gateway knows no such place in the API of registries');
    }
    if (wanted === NO_DELETION) {
        refuse(r, 405, 'UNSUPPORTED', 'nothing is deleted here: delete it in the registries behind this gateway');
    }
    return wanted === NOTHING || wanted === NO_DELETION;
}

// ---- the token service ----

function wantedScopes(value) {
    const list = Array.isArray(value) ? value : [value === undefined ? '' : value];
    return list.join(' ').split(' ').filter((scope) => scope !== '').slice(0, SCOPES);
}

async function answer(r, user, scopes) {
    const access = rights.access(user, wantedScopes(scopes));
    const token = await tokens.sign(user, access);
    const document = {
        token: token,
        access_token: token,
        expires_in: policy.ttl,
        issued_at: new Date().toISOString(),
    };
    if (r.method === 'POST') {
        document.scope = access
            .map((each) => each.type + ':' + each.name + ':' + each.actions.join(',')).join(' ');
    }
    r.headersOut['Cache-Control'] = 'no-store';
    json(r, 200, document);
}

// The status of what `cred` is worth: 200, 401, 429, or anything else where nobody could tell.
async function checked(r, credentials) {
    r.variables.cred = credentials;
    return (await r.subrequest('/_check', { method: 'GET' })).status;
}

function unchecked(r, status) {
    return status === 429 ? slowed(r) : unavailable(r, 'passwords cannot be checked now: try again');
}

// "Token Authentication Specification" for GET, "Oauth2 Token Authentication" for POST.
async function token(r) {
    if (r.method === 'GET') {
        const credentials = authorization(r);
        if (credentials === '') {
            return answer(r, '', r.args.scope);
        }
        const user = r.variables.remote_user || '';
        const status = /^basic /i.test(credentials) ? await checked(r, credentials) : 401;
        if (status === 200) {
            return answer(r, user, r.args.scope);
        }
        return status === 401 ? wrong(r, user) : unchecked(r, status);
    }
    if (r.method !== 'POST') {
        return json(r, 405, { error: 'invalid_request' });
    }
    const form = fields(r.requestText || '');
    const user = form.username;
    if (form.grant_type !== 'password' || typeof user !== 'string'
        || typeof form.password !== 'string' || user.indexOf(':') >= 0) {
        return json(r, 400, { error: 'unsupported_grant_type' });
    }
    const pair = Buffer.from(user + ':' + form.password).toString('base64');
    const status = await checked(r, 'Basic ' + pair);
    if (status === 200) {
        return answer(r, user, form.scope);
    }
    if (status !== 401) {
        return unchecked(r, status);
    }
    note(r, user);
    const refusal = { error: 'invalid_grant', error_description: 'incorrect username or password' };
    later(r, () => json(r, 401, refusal));
}

// Behind the password check: a token with all that this user may do in this repository.
async function mint(r) {
    const scopes = [];
    if (r.headersIn['X-Target']) {
        scopes.push(r.headersIn['X-Target'] + ':*');
    }
    if (r.headersIn['X-Source']) {
        scopes.push('repository:' + r.headersIn['X-Source'] + ':pull');
    }
    const user = r.variables.remote_user || '';
    const access = rights.access(user, scopes);
    r.headersOut['X-Bearer'] = await tokens.sign(user, access);
    r.return(covered(access, r.headersIn['X-Asked'] || '') ? 204 : 401);
}

// The password check said neither yes nor no.
function unsure(r) {
    r.headersOut['X-Why'] = r.variables.known_status === '429' ? 'slowed' : 'users';
    r.return(503);
}

// ---- what the registry, or the password check, said no to ----

// At /v2/ clients ask how to log in: by tokens, which all of them know.
function ping(r) {
    challenge(r, 'authentication required', bearer(r));
}

function bearer(r) {
    const host = r.variables.http_host || '';
    const realm = r.variables.spoken + '://' + (HOST.test(host) ? host : policy.service) + '/auth/token';
    return 'Bearer realm="' + realm + '",service="' + policy.service + '"';
}

function denied(r) {
    if (unheard(r)) {
        return;
    }
    const said = String(r.headersOut['WWW-Authenticate'] || r.variables.refused || '');
    if (r.variables.bearer && said.indexOf('error="invalid_token"') >= 0) {
        return unavailable(r, OURS_REFUSED); // a token that was made for this request
    }
    if (authorization(r) === '') {
        // Not by a token: Docker 28 and 29 with the containerd store do not trust a private CA there
        // (moby#52361), and containerd 1.x sends what hosts.toml gives it to the registry alone.
        return challenge(r, 'authentication required', BASIC);
    }
    if (!/^basic /i.test(authorization(r))) {
        // Only of a token whose signature the registry has checked is it known whose it is.
        const known = isBearer(r) && said.indexOf('error="insufficient_scope"') >= 0;
        const user = known ? named(r) : '';
        if (user === '') {
            return challenge(r, 'authentication required', said);
        }
        return explain(r, user, () => challenge(r, 'another token is needed', said));
    }
    const user = r.variables.remote_user || '';
    if (!r.variables.bearer) {
        return wrong(r, user);
    }
    return explain(r, user, () => forbid(r, user + ' may not pull from ' + source(r)));
}

// Why a user whose token is a good one was refused; `otherwise` where it is for no lack of a right.
function explain(r, user, otherwise) {
    const scope = target(r);
    if (scope.slice(0, 11) !== 'repository:') {
        return forbid(r, user + ' may not list all repositories');
    }
    const repository = scope.slice(11);
    const may = rights.rights(user, repository);
    if (may.indexOf(ACTIONS[r.variables.request_method] || 'push') >= 0) {
        return otherwise();
    }
    const what = may.length ? ' may only ' + may.join(' and ') + ' in ' : ' has no rights in ';
    forbid(r, user + what + repository);
}

function forbid(r, message) {
    delete r.headersOut['WWW-Authenticate'];
    refuse(r, 403, 'DENIED', message);
}

// A registry that is started again is away for a second: who only reads is asked to wait meanwhile.
// nginx follows ten redirects of a request, and each turn takes up to three.
function waits(r) {
    const method = r.variables.request_method;
    const turn = String(r.variables.waited || '').length;
    if ((method !== 'GET' && method !== 'HEAD') || turn >= PAUSES.length) {
        return false;
    }
    r.variables.waited = '+'.repeat(turn + 1);
    setTimeout(() => r.internalRedirect(r.uri), PAUSES[turn]);
    return true;
}

function gone(r) {
    if (r.variables.why === 'slowed') {
        return slowed(r);
    }
    if (r.variables.why === 'users') {
        return unavailable(r, 'passwords cannot be checked now: try again');
    }
    if (r.variables.limit_conn_status === 'REJECTED') {
        return unavailable(r, 'too many large manifests are sent at the same time: try again');
    }
    const unwelcome = UNWELCOME[r.variables.upstream_http_x_regfleet_why];
    if (unwelcome) {
        return unavailable(r, unwelcome);
    }
    const status = String(r.variables.upstream_status || '').split(/[ ,:]+/).pop();
    if (status === '502' && waits(r)) {
        return;
    }
    unavailable(r, /^5\d\d$/.test(status) && status !== '502' && status !== '504'
        ? 'the registry answered ' + status + ': its log says why'
        : 'the registry behind the gateway does not answer: try again');
}

// What the registry itself says of an upload that is not there.
function unknown(r) {
    refuse(r, 404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry');
}

function tooLarge(r) {
    refuse(r, 413, 'SIZE_INVALID', 'a manifest may have 4 MB');
}

// The registry's own answer of 405 does not get here. A push is refused so where it only reads, as
// while a collection is at work (storage.maintenance.readonly): clients try again later. It says so
// of a deletion, too, and where deletion is off.
function readsOnly(r) {
    const method = r.variables.request_method;
    const pushes = method === 'POST' || method === 'PUT' || method === 'PATCH';
    if (pushes || (method === 'DELETE' && policy.deletes && !policy.enforces)) {
        return unavailable(r, READS_ONLY);
    }
    refuse(r, 405, 'UNSUPPORTED', 'The operation is unsupported.');
}

// A browser or a curl is shown the way; whoever sends a password in plain text learns it.
function plain(r) {
    const host = r.variables.http_host || '';
    if (authorization(r) === '' && HOST.test(host)) {
        return r.return(308, 'https://' + host + r.variables.request_uri);
    }
    refuse(r, 400, 'UNSUPPORTED', 'Client sent an HTTP request to an HTTPS server: use https://');
}

// ---- for who watches over us ----

// What is behind us answers: the registry to a token of ours, the password check to nobody.
async function works(r) {
    r.variables.cred = 'Bearer ' + await tokens.sign('', []);
    const registry = await r.subrequest('/_registry', { method: 'GET' });
    const users = await r.subrequest('/_users', { method: 'GET' });
    return {
        registry: registry.status,
        users: users.status,
        unwelcome: UNWELCOME[registry.headersOut['X-Regfleet-Why']],
    };
}

// Whether clients are served here, whatever the policy's version: keepalived asks every second.
async function serving(r) {
    const found = await works(r);
    json(r, found.registry === 200 && found.users === 401 ? 200 : 503, found);
}

// Whether all of it works, with the policy of that version: the registry takes our tokens, and the
// password check refuses who is nobody.
async function ready(r) {
    if (r.uri !== '/auth/ready/' + policy.version) {
        return json(r, 404, { ready: false, policy: policy.version });
    }
    const found = await works(r);
    const registry = found.registry;
    if (registry !== 200) {
        r.error('not ready: ' + (registry === 401
            ? OURS_REFUSED
            : found.unwelcome || 'the registry answers ' + registry));
        return json(r, 503, { ready: false, registry: registry });
    }
    const users = found.users;
    if (users !== 401) {
        r.error('not ready: the password check answers ' + users);
        return json(r, 503, { ready: false, users: users });
    }
    json(r, 200, { ready: true });
}

export default {
    target, source, forward, checkKey, mintKey, guesser,
    token, mint, unsure, ping, denied, gone, tooLarge, readsOnly, plain, unknown, ready, serving,
    asked, allowed,
};
