"""The login of a feed that names none: the environment variables that the SDKs of its venue use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from actors.protocol.variables import Variable
from actors.protocol.venue import Venue
from actors.secret import SecretFile
from actors.settings.wording import holds_secret, keys_of, plain

Environ = Mapping[str, str]
Variables = Mapping[str, Variable]
Holders = dict[str, list[str]]  # of each key: the names of the variables that hold it


class EnvironmentLogin(Struct, frozen=True):
    """What a feed takes of the environment. Texts are for people, and have names without values."""

    names: Mapping[str, str] = {}  # of each key: the variable that it is taken from
    mistake: str = ""  # it cannot be decided which login is meant
    advice: str = ""  # what a feed without a login is to add; empty: it names one, or there are no variables
    hint: str = ""  # the end of that sentence: which variables would do, or why none is taken

    @property
    def table(self) -> dict[str, object]:
        """The keys as they would be in the feed's table if that named the variables itself."""
        return {key: f"${{{name}}}" for key, name in self.names.items()}


class _UndecidedError(Exception):
    """The environment does not say which login is meant."""


def login_keys(kind: type[Venue]) -> set[str]:
    """The keys by which a feed names a login: those that are secret, and those that variables hold.

    A key that a variable stands beside names no whole login, such as the file that a password opens.
    """
    secret = {
        field.encode_name
        for field in structs.fields(kind.Settings)
        if holds_secret(field.type) or plain(field.type) is SecretFile
    }
    variables = _own_variables(kind).values()
    return (secret | {each.key for each in variables}) - {each.beside for each in variables}


def find_login(kind: type[Venue], table: Mapping[str, object], environ: Environ) -> EnvironmentLogin:
    """The login that a feed with this table takes from the environment.

    None, if the feed has one of `login_keys`, an address of its own, `trading`, `verify_tls = false` or
    `env_login = false`, or if the environment leads the SDK to another address. So a key of the environment
    goes to the venue's own hosts alone, and no order leaves by it.
    """
    logins = _logins(kind, table)
    if not logins or table.keys() & login_keys(kind):
        return EnvironmentLogin()
    advice = f"add {_example(next(iter(logins.values())))}"
    if barred := _barred(kind, table) or _led_elsewhere(kind, table, environ):
        there = [name for variables in logins.values() for name in variables if _is_set(environ, name)]
        unused = f"; {_listed(there)} of the environment cannot be used, because {barred}" if there else ""
        return EnvironmentLogin(advice=advice, hint=unused)
    try:
        found = _found(logins.values(), environ)
    except _UndecidedError as undecided:
        return EnvironmentLogin(mistake=str(undecided))
    if found:
        return EnvironmentLogin(names=found)
    every = ", or ".join(_choices(_holders(variables).values()) for variables in logins.values())
    empty = "".join(_empty(variables, environ) for variables in logins.values())
    return EnvironmentLogin(advice=advice, hint=f", or set {every} in the environment{empty}")


def _found(logins: Iterable[Variables], environ: Environ) -> Mapping[str, str]:
    """The first login that is complete; empty: there is none.

    Raises:
        _UndecidedError: one is there in part, or two variables disagree.
    """
    complete = [found for variables in logins if (found := _holders_of_login(variables, environ))]
    every: Holders = {}
    for found in complete:
        for key, names in found.items():
            every.setdefault(key, []).extend(names)
    for key, (first, *others) in every.items():
        for other in others:
            if environ[other] != environ[first]:
                raise _UndecidedError(
                    f"{first} and {other} of the environment differ, and each would be taken for {key}: "
                    "name the login in the feed, or unset one of them"
                )
    return {key: names[0] for key, names in complete[0].items()} if complete else {}


def _holders_of_login(variables: Variables, environ: Environ) -> Holders:
    """Of each key of a login: the variables that are set; empty: none is.

    Raises:
        _UndecidedError: a key has none.
    """
    every = _holders(variables)
    there = {name: each for name, each in variables.items() if _is_set(environ, name)}
    found = _holders(there)
    missing = [key for key in every if key not in found]
    if found and missing:
        lacking = _choices(every[key] for key in missing)
        raise _UndecidedError(
            f"{_listed(there)} of the environment cannot be used without {lacking}, which is not set: "
            f"set it, or name the login in the feed{_empty(variables, environ)}"
        )
    return found


def _barred(kind: type[Venue], table: Mapping[str, object]) -> str:
    """Why this feed takes no login from the environment; empty: it may."""
    addresses = [key for key in keys_of(kind.Settings) if key == "url" or key.endswith("_url")]
    if given := sorted(key for key in addresses if key in table):
        return f"the feed has an address of its own ({given[0]})"
    if table.get("trading", False) is not False:
        return "a feed with trading = true has to name its login"
    if table.get("verify_tls", True) is not True:
        return "the feed has verify_tls = false, so another server could be in the venue's place"
    if table.get("env_login", True) is not True:
        return "the feed has env_login = false"
    return ""


def _led_elsewhere(kind: type[Venue], table: Mapping[str, object], environ: Environ) -> str:
    """Why the login may belong to another address than the feed's; empty: it does not."""
    for name, variable in vars(kind).get("variables", {}).items():
        if variable.is_address and _is_set(environ, name) and variable.key not in table:
            return f"{name} names an address, which Linewarden does not read: say {variable.key} in the feed"
    return ""


def _own_variables(kind: type[Venue]) -> Variables:
    """Those of logins that the class itself declares: one that extends a venue may lead elsewhere."""
    return {name: each for name, each in vars(kind).get("variables", {}).items() if each.login}


def _logins(kind: type[Venue], table: Mapping[str, object]) -> dict[str, dict[str, Variable]]:
    """The variables of each login, in the order in which they are tried."""
    logins: dict[str, dict[str, Variable]] = {}
    for name, variable in _own_variables(kind).items():
        if not variable.beside or variable.beside in table:
            logins.setdefault(variable.login, {})[name] = variable
    return logins


def _holders(variables: Variables) -> Holders:
    holders: Holders = {}
    for name, variable in variables.items():
        holders.setdefault(variable.key, []).append(name)
    return holders


def _example(variables: Variables) -> str:
    """`key = "${NAME}" and …`, with the first variable of each key."""
    return _listed(f'{key} = "${{{names[0]}}}"' for key, names in _holders(variables).items())


def _is_set(environ: Environ, name: str) -> bool:
    return bool(environ.get(name, "").strip())


def _empty(variables: Variables, environ: Environ) -> str:
    empty = [name for name in variables if name in environ and not _is_set(environ, name)]
    return f"; an empty variable counts as not set: {_listed(empty)}" if empty else ""


def _choices(holders: Iterable[list[str]]) -> str:
    """`A and B (or C)`."""
    return _listed(first + (f" (or {' or '.join(others)})" if others else "") for first, *others in holders)


def _listed(words: Iterable[str]) -> str:
    return " and ".join(words)
