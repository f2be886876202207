#!/bin/bash
# Usage: pin.sh VERSION: rewrites pins/ for a version of the packages.
set -euo pipefail
cd "$(dirname "$0")/pins"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -f packages ./*.sha256
for p in linux-x64 linux-x64-vulkan linux-x64-cuda linux-x64-cuda-ext linux-arm64; do
	tgz=$work/$(cd "$work" && npm pack --silent "@node-llama-cpp/$p@$1")
	tar xzf "$tgz" -C "$work"
	echo "$p $(stat -c %s "$tgz") sha512-$(openssl dgst -sha512 -binary "$tgz" | base64 -w0)" >> packages
	(cd "$work/package" && { find bins -name 'libllama.*.so'; find bins -name 'libggml*.so' | LC_ALL=C sort; } | xargs sha256sum) > "$p.sha256"
	cp "$work/package/LICENSE" LICENSE
	rm -r "$work/package" "$tgz"
done
