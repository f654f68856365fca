#!/bin/sh
# Creates the namespace with the retention and search attributes that rollouts need.
# Safe to run again. The Temporal command reads TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE.
set -eu

RETENTION=90d # histories of continued runs vanish after it, and a rollout takes 28 days

if temporal operator namespace describe >/dev/null 2>&1; then
  temporal operator namespace update --retention "$RETENTION"
else
  temporal operator namespace create --retention "$RETENTION" --namespace "$TEMPORAL_NAMESPACE"
fi

# create_attribute NAME TYPE
create_attribute() {
  temporal operator search-attribute list | grep -qw "$1" ||
    temporal operator search-attribute create --name "$1" --type "$2"
}

# A namespace takes a moment until it is known everywhere.
attempt=0
until temporal operator search-attribute list >/dev/null 2>&1; do
  attempt=$((attempt + 1))
  if [ "$attempt" -gt 30 ]; then
    echo "namespace $TEMPORAL_NAMESPACE did not become usable within 30 s" >&2
    exit 1
  fi
  sleep 1
done
create_attribute SluiceFlag Keyword
create_attribute SluiceStage Keyword
create_attribute SluicePercentage Double
create_attribute SluiceStatus Keyword
