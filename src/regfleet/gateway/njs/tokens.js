// Tokens as distribution takes them ("Token Authentication Specification"), signed by ES256 with the
// certificate in the header: then no registry asks for the key's name, which 2.8 and 3 compute
// differently. njs 0.7.9 and later.
import policy from 'policy.js';

const ES256 = { name: 'ECDSA', hash: 'SHA-256', namedCurve: 'P-256' };
const BEFORE = 30; // seconds that a registry's clock may be behind; it allows 60 of its own
const LEEWAY = 60; // as registries allow

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

// What a token of ours says, whose signature and times are good; null for any other text. Its header
// is not asked for how it is signed.
async function verified(token) {
    const parts = token.split('.');
    if (parts.length !== 3) {
        return null;
    }
    try {
        const text = Buffer.from(parts[0] + '.' + parts[1]);
        const signature = Buffer.from(parts[2], 'base64url');
        let good = false;
        for (let i = 0; i < policy.verify.length && !good; i++) {
            const key = await crypto.subtle.importKey(
                'spki', Buffer.from(policy.verify[i], 'base64'), ES256, false, ['verify']);
            good = await crypto.subtle.verify(ES256, key, signature, text);
        }
        const claims = good ? JSON.parse(Buffer.from(parts[1], 'base64url').toString()) : null;
        const now = Math.floor(Date.now() / 1000);
        return claims !== null && claims.iss === policy.issuer && claims.aud === policy.service
            && claims.nbf <= now + LEEWAY && now < claims.exp + LEEWAY ? claims : null;
    } catch (e) {
        return null;
    }
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

export default { sign, subject, verified };
