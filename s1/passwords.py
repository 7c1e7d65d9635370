"""Passwords: hashed with scrypt, and compared in a time that does not tell whether there is one."""

from functools import cache

from werkzeug.security import check_password_hash, generate_password_hash

# OWASP's password storage cheat sheet, scrypt with the least memory (8 MiB): 16 threads may hash at a time.
_METHOD = "scrypt:8192:8:10"


def hash_password(password: str) -> str:
    """Return what is stored of `password`: method, salt and digest as text."""
    return generate_password_hash(password, method=_METHOD)


@cache
def _nobodys_hash() -> str:
    return hash_password("nobody")


def may_log_in(user_exists: bool, stored: str | None, given: str | None) -> bool:
    """Tell whether a login is right: the user exists, and `given` fits the `stored` hash where there is one.

    A password is compared even where there is none, so that the time taken does not say which users exist.
    """
    if given is None:
        return user_exists and stored is None
    fits = check_password_hash(stored or _nobodys_hash(), given)
    return user_exists and (stored is None or fits)
