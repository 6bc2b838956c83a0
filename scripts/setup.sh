# Sourced by the scripts beside it: goes to the project's root, installs the npm packages when the lockfile changed,
# and puts the real Node 24 of the npm package `node` first on PATH. Needs only some Node and npm to start with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v npm >/dev/null; then
  echo "npm is missing. Install Node.js (20 or newer; Node 24 itself is fetched through npm)." >&2
  exit 1
fi

# Two scripts that begin at once must not both install: the second waits for the first (where there is `flock`; macOS has none).
if command -v flock >/dev/null; then
  exec 9<package.json
  flock 9
fi
lifeboat_stamp=node_modules/.lifeboat-installed
lifeboat_lock=$(cksum package-lock.json package.json | cksum)
if [ ! -e "$lifeboat_stamp" ] || [ "$(cat "$lifeboat_stamp")" != "$lifeboat_lock" ]; then
  echo "Installing npm packages (once)…" >&2
  # With the development packages also where NODE_ENV=production; twice, because a registry may have a bad minute.
  for attempt in 1 2; do
    npm ci --include=dev --no-audit --no-fund --loglevel=error >&2 && break
    [ "$attempt" = 1 ] || exit 1
  done
  for package in node node-20; do
    # npm may be set to block install scripts; this is the one of the `node` packages, which links the real binary.
    [ -x "node_modules/$package/bin/node" ] || (cd "node_modules/$package" && node installArchSpecificPackage.js >&2)
  done
  echo "$lifeboat_lock" >"$lifeboat_stamp"
fi
if command -v flock >/dev/null; then exec 9<&-; fi
PATH="$PWD/node_modules/node/bin:$PATH"
export PATH
