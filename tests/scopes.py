"""Who may call what: the contract's chapter "Scopes", route by route."""

GATEWAY, DASHBOARD = {"gateway"}, {"dashboard"}
# The contract's chapter "Scopes", beside admin, who may all; a new route has to be added here.
ALLOWED: dict[tuple[str, str], set[str]] = {
    ("POST", "/conversations"): GATEWAY,
    ("POST", "/turns"): GATEWAY,
    ("POST", "/turns/stream"): GATEWAY,
    ("GET", "/turns/{turn_id}"): GATEWAY | DASHBOARD,
    ("GET", "/analytics/savings"): DASHBOARD,
    ("GET", "/conversations"): DASHBOARD,
    ("GET", "/conversations/{conversation_id}"): DASHBOARD,
    ("GET", "/conversations/{conversation_id}/messages"): DASHBOARD,
    ("POST", "/conversations/{conversation_id}/messages"): GATEWAY,
    ("GET", "/conversations/{conversation_id}/chain"): DASHBOARD,
    ("POST", "/conversations/{conversation_id}/close"): GATEWAY,
    ("GET", "/messages"): DASHBOARD,
    ("GET", "/users"): DASHBOARD,
    ("POST", "/users/lookup"): GATEWAY,
    ("GET", "/users/{user_id}"): DASHBOARD,
    ("GET", "/users/{user_id}/messages"): DASHBOARD,
    ("GET", "/users/{user_id}/seed"): GATEWAY | DASHBOARD,
    ("POST", "/users/{user_id}/seed/regenerate"): GATEWAY,
    ("PATCH", "/users/{user_id}/seed/entries/{entry_id}"): GATEWAY,
    ("DELETE", "/users/{user_id}/seed/entries/{entry_id}"): GATEWAY,
    ("GET", "/users/{user_id}/summaries"): DASHBOARD,
    ("GET", "/users/{user_id}/notes"): GATEWAY | DASHBOARD,
    ("POST", "/users/{user_id}/notes"): GATEWAY,
    ("PATCH", "/notes/{note_id}"): GATEWAY,
    ("POST", "/users/{user_id}/reset"): GATEWAY,
    ("POST", "/users/{user_id}/identities"): set(),
    ("GET", "/users/{user_id}/export"): set(),
    ("DELETE", "/users/{user_id}"): set(),
    ("GET", "/erasures/{erasure_id}"): set(),
    ("POST", "/users/{user_id}/merge"): set(),
    ("GET", "/users/{user_id}/profile"): GATEWAY | DASHBOARD,
    ("PUT", "/users/{user_id}/profile"): GATEWAY,
}
OPEN = {("GET", "/livez"), ("GET", "/readyz")}
