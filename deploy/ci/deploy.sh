#!/usr/bin/env bash
# Deploys an image to Kubernetes, tries the chain with `tocsin smoke`, and rolls back if a link fails.
#
#   deploy.sh NAMESPACE IMAGE URL [REPORT]
#
# Needs kubectl with a context, a `tocsin` program of the new version, and the tokens in TOCSIN_API_TOKEN and
# TOCSIN_WEBHOOK_TOKEN. REPORT is a JUnit file; default: smoke.xml.
#
# A version that changed the schema cannot be rolled back by its image alone: the one before refuses the database, and
# the rollout of the old pods does not finish. Take back the migrations first (docs/deployment.md).
set -euo pipefail

(($# == 3 || $# == 4)) || {
    sed --quiet '4s/^# *//p' "$0" >&2
    exit 2
}
namespace=$1 image=$2 url=$3 report=${4:-smoke.xml}
deployments=(deployment/tocsin-worker deployment/tocsin-ingress)

roll_back() {
    echo "deploy.sh: $1: rolling back" >&2
    for deployment in "${deployments[@]}"; do
        kubectl --namespace "$namespace" rollout undo "$deployment"
    done
    for deployment in "${deployments[@]}"; do
        kubectl --namespace "$namespace" rollout status "$deployment" --timeout=5m
    done
    exit 1
}

for deployment in "${deployments[@]}"; do
    kubectl --namespace "$namespace" set image "$deployment" "tocsin=$image" ||
        roll_back "cannot set the image of $deployment"
done
for deployment in "${deployments[@]}"; do
    kubectl --namespace "$namespace" rollout status "$deployment" --timeout=5m ||
        roll_back "$deployment does not get ready"
done
tocsin smoke --url "$url" --within 30s --junit "$report" || roll_back "the smoke test failed"
echo "deploy.sh: $image is deployed to $namespace"
