// Tokens as distribution takes them ("Token Authentication Specification"), signed by ES256 with the
// certificate in the header: then no registry asks for the key's name, which 2.8 and 3 compute
// differently. njs 0.7.9 and later.
import policy from 'policy.js';

const ES256 = { name: 'ECDSA', hash: 'SHA-256', namedCurve: 'P-256' };
const BEFORE = 30; // seconds that a registry's clock may be behind; it allows 60 of its own

function encoded(text) {
    return Buffer.from(text).toString('base64url');
}

// A token for a user ('' for nobody) with this access, for `policy.ttl` seconds.
async function sign(user, access) {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
        iss: policy.issuer,
        sub: user,
        aud: policy.service, // no list: 2.8 refuses one
        iat: now,
        nbf: now - BEFORE,
        exp: now + policy.ttl,
        jti: encoded(crypto.getRandomValues(new Uint8Array(12))),
        access: access,
    };
    const text = policy.header + '.' + encoded(JSON.stringify(claims));
    const key = await crypto.subtle.importKey(
        'pkcs8', Buffer.from(policy.key, 'base64'), ES256, false, ['sign']);
    const signature = await crypto.subtle.sign(ES256, key, Buffer.from(text));
    return text + '.' + encoded(signature);
}

// Whose a token is, by what it says: nothing is checked here.
function subject(token) {
    try {
        const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
        return typeof claims.sub === 'string' ? claims.sub : '';
    } catch (e) {
        return '';
    }
}

export default { sign, subject };
