"""Login: OpenID Connect, passkeys, and the console's own key."""
