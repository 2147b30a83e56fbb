// Who may do what: decided from the policy alone. njs 0.7.9 and later.
//
// Scopes and actions: distribution, "Token Scope Documentation". The same rules are written down in
// Python (regfleet/roles.py); a test holds the two together.
import policy from 'policy.js';

const ROLES = {
    guest: ['pull'],
    developer: ['pull', 'push'],
    admin: ['pull', 'push', 'delete'],
};

// Distribution's grammar of names (reference/reference.go, without a domain): what is no name belongs
// to no project, so that no `..`, `%2f` or upper case leads around one.
const NAME = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
// As long as a registry's names may be (the same, RepositoryNameTotalLengthMax): to look for the project
// of a name of 30 kB with as many slashes takes 200 MB and a worker's third of a second.
const LONGEST = 255;

function has(object, key) {
    return Object.prototype.hasOwnProperty.call(object, key);
}

function isAdmin(user) {
    return user !== '' && user.indexOf('\n') < 0 && policy.admins.indexOf('\n' + user + '\n') >= 0;
}

// The project with the longest name that is the repository's own, or its beginning up to a slash.
function projectOf(repository) {
    let name = repository;
    for (;;) {
        if (has(policy.projects, name)) {
            return policy.projects[name];
        }
        const cut = name.lastIndexOf('/');
        if (cut < 0) {
            return null;
        }
        name = name.slice(0, cut);
    }
}

function isName(repository) {
    return repository.length <= LONGEST && NAME.test(repository);
}

// The actions that a user may do in a repository; nobody's name is ''.
function rights(user, repository) {
    if (isAdmin(user)) {
        return ROLES.admin;
    }
    const project = isName(repository) ? projectOf(repository) : null;
    if (project === null) {
        return [];
    }
    const start = user === '' ? -1 : project.indexOf('\n' + user + ':');
    if (start >= 0) {
        const role = project.slice(start + user.length + 2, project.indexOf('\n', start + 1));
        return has(ROLES, role) ? ROLES[role] : [];
    }
    return project.charAt(0) === '+' ? ROLES.guest : [];
}

// 'repository:team/app:pull,push' as { type, name, actions }; null for what is no scope.
function parse(scope) {
    const first = scope.indexOf(':');
    const last = scope.lastIndexOf(':');
    if (first < 1 || last <= first) {
        return null;
    }
    return {
        type: scope.slice(0, first).replace(/\([a-z0-9]*\)$/, ''),
        name: scope.slice(first + 1, last),
        actions: scope.slice(last + 1).split(','),
    };
}

// What of a wanted scope a user gets; `*` is all that the user may do.
function granted(user, wanted) {
    if (wanted.type === 'repository') {
        const may = rights(user, wanted.name);
        if (wanted.actions.indexOf('*') >= 0) {
            return may;
        }
        return may.filter((action) => wanted.actions.indexOf(action) >= 0);
    }
    if (wanted.type === 'registry' && wanted.name === 'catalog' && isAdmin(user)) {
        return ['*'];
    }
    return [];
}

// The access of a token: each scope with what the user gets of it, without those that give nothing.
function access(user, scopes) {
    return scopes
        .map((scope) => parse(scope))
        .filter((wanted) => wanted !== null)
        .map((wanted) => ({ type: wanted.type, name: wanted.name, actions: granted(user, wanted) }))
        .filter((each) => each.actions.length > 0);
}

// Whether the access of a token has all that is wanted of one scope, which says each action.
function covers(access, scope) {
    const wanted = parse(scope);
    return Array.isArray(access) && wanted !== null && wanted.actions.every((action) => access.some((each) =>
        each.type === wanted.type && each.name === wanted.name && Array.isArray(each.actions)
        && each.actions.indexOf(action) >= 0));
}

export default { rights, access, covers, isName };
