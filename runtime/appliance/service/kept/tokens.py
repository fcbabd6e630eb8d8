"""Who may ask what: bearer tokens and the cookies of browsers, of which only hashes are kept.

A token is 256 random bits, so that its SHA-256 says nothing about it and needs no slow hash. It is
shown once, when it is made; there is no default one, and no password.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace

from runtime.appliance.service.kept.records import ROLES, KnownToken, OpenSession, Role
from runtime.appliance.service.kept.store import ServiceStore
from runtime.appliance.service.refusal import FORBIDDEN, UNAUTHORISED, RequestRefused
from runtime.errors import ConfigRefused
from runtime.ports import Clock

SECRET_BYTES = 32
PREFIX = "nightscope_"
"""By which a token that strayed into a file or a log is found."""
SESSION_S = 14 * 86400.0
SESSIONS_A_TOKEN = 32
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever asks: the name and role of the token; `by_cookie` where a browser sent it unasked."""

    name: str
    role: Role
    by_cookie: bool = False

    def may(self, role: Role) -> bool:
        """Return whether the role is one that this one includes."""
        return ROLES.index(self.role) >= ROLES.index(role)


class Tokens:
    """The tokens and sessions of a store; `clock` tells when sessions end."""

    def __init__(self, store: ServiceStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def make(self, *, name: str, role: str) -> str:
        """Return a new token, of which only the hash is kept.

        Raises ConfigRefused for a role that there is not, and a name that is taken or unfit.
        """
        if role not in ROLES:
            raise ConfigRefused(
                "no such role", value=role, limit=", ".join(ROLES), remedy="name one of these"
            )
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            raise ConfigRefused(
                "a token's name is one to 64 printable characters",
                value=f"{len(name)} characters",
                remedy="name who or what will use it",
            )
        token = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        now_s = self._clock.instant().wall_s
        with self._store.transaction():
            if any(known.name == name for known in self._store.tokens()):
                raise ConfigRefused(
                    "there is a token of that name",
                    value=name,
                    remedy="name it otherwise, or revoke the other first",
                )
            self._store.put_token(
                KnownToken(digest=digest_of(token), name=name, role=role, created_s=now_s)
            )
        return token

    def bearer(self, token: str) -> Principal:
        """Return who a token belongs to. Raises RequestRefused for one that is not known."""
        return _principal(self._known(digest_of(token)))

    def begin(self, token: str) -> tuple[str, Principal]:
        """Return the cookie of a new session and whom it belongs to; the oldest of very many ends.

        Raises RequestRefused for a token that is not known.
        """
        known, cookie = self._known(digest_of(token)), secrets.token_urlsafe(SECRET_BYTES)
        now_s = self._clock.instant().wall_s
        with self._store.transaction():
            sessions = self._store.sessions()
            ended = [one.digest for one in sessions if one.ends_s <= now_s]
            own = [one.digest for one in sessions if one.token == known.digest]
            self._store.end_sessions([*ended, *own[: len(own) - SESSIONS_A_TOKEN + 1]])
            self._store.put_session(
                OpenSession(digest=digest_of(cookie), token=known.digest, ends_s=now_s + SESSION_S)
            )
        return cookie, _principal(known)

    def session(self, cookie: str) -> Principal:
        """Return who a session belongs to. Raises RequestRefused for one that is over."""
        digest, now_s = digest_of(cookie), self._clock.instant().wall_s
        for one in self._store.sessions():
            if one.digest == digest and one.ends_s > now_s:
                known = self._known(one.token)
                return replace(_principal(known), by_cookie=True)
        raise _unknown()

    def end(self, cookie: str) -> None:
        """End a session."""
        self._store.end_sessions([digest_of(cookie)])

    def _known(self, digest: str) -> KnownToken:
        # Looked up by hash: how long that takes tells nothing of a token.
        for known in self._store.tokens():
            if known.digest == digest:
                return known
        raise _unknown()


def digest_of(secret: str) -> str:
    """Return the SHA-256 that is kept of a token or a cookie."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def require(principal: Principal, role: Role, *, csrf_header: bool, changes: bool) -> None:
    """Raise RequestRefused unless a principal may ask for what needs a role.

    A browser sends its cookie with whatever any page makes it ask, but no header of ours.
    """
    if not principal.may(role):
        raise RequestRefused(
            FORBIDDEN,
            "your token does not allow that",
            value=principal.role,
            limit=role,
            remedy=f"ask an administrator for a token of the role '{role}'",
        )
    if changes and principal.by_cookie and not csrf_header:
        raise RequestRefused(
            FORBIDDEN,
            "a change that is asked for by cookie must carry the header X-Nightscope: 1",
            remedy="reload the page, or send the token in 'Authorization: Bearer'",
        )


def _principal(known: KnownToken) -> Principal:
    role = next(role for role in ROLES if role == known.role)
    return Principal(known.name, role)


def _unknown() -> RequestRefused:
    return RequestRefused(
        UNAUTHORISED,
        "no such token or session",
        remedy="send 'Authorization: Bearer TOKEN'; `nightscope token new` makes one",
    )
