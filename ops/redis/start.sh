#!/bin/sh
# Write the ACL file from users.acl.template, then start redis-server with the given options.
#   start.sh TEMPLATE OUTPUT [redis-server OPTION ...]
# Passwords come from files: REDIS_READER_FILE, REDIS_ROUTER_FILE, REDIS_WORKER_FILE, REDIS_OPERATOR_FILE.
# So no password is in an argument or in the environment of redis-server.
set -eu
template=$1 output=$2
shift 2
sha256() { tr -d '\n' <"$1" | sha256sum | cut -d' ' -f1; }
umask 077
sed -e "s/@ENVIRONMENT@/${SLUICE_ENVIRONMENT:-default}/g" \
    -e "s/@READER_SHA256@/$(sha256 "$REDIS_READER_FILE")/" \
    -e "s/@ROUTER_SHA256@/$(sha256 "$REDIS_ROUTER_FILE")/" \
    -e "s/@WORKER_SHA256@/$(sha256 "$REDIS_WORKER_FILE")/" \
    -e "s/@OPERATOR_SHA256@/$(sha256 "$REDIS_OPERATOR_FILE")/" \
    -e '/^#/d' "$template" >"$output"
exec "${REDIS_SERVER:-redis-server}" --aclfile "$output" "$@"
