#!/usr/bin/env bash
# The steps of the Dockerfile without Docker, in a clean folder made of what is committed: packages, bundle, what remains.
# Needs Node 24 and npm. Afterwards, in the folder it prints: node src/migrate.ts, node src/api.ts, node src/worker.ts.
set -euo pipefail
folder=$(mktemp -d)
for stage in bundle app; do
  mkdir "$folder/$stage"
  git -C "$(dirname "$0")/.." archive HEAD package.json package-lock.json .npmrc src migrations | tar -x -C "$folder/$stage"
done
(cd "$folder/bundle" && npm ci --omit=dev --ignore-scripts && node src/bundle-workflows.ts)
(cd "$folder/app" && npm ci --omit=dev --omit=optional --ignore-scripts)
mv "$folder/bundle/workflow-bundle.js" "$folder/app/"
rm -r "$folder/bundle"
echo "$folder/app"
