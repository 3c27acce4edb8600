#!/usr/bin/env bash
# What the checked-out branch changes since it left BASE, as Markdown on standard output: metrics, parameters, pictures.
# Also writes DVC's page of plots, which compares the two commits, to dvc_plots/.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
before=$(git rev-parse --short "$(git merge-base "$1" HEAD)")
after=$(git rev-parse --short HEAD)
repository="$GITHUB_SERVER_URL/$GITHUB_REPOSITORY"

table() { # the Markdown table that a command prints, or a line if it has no rows
	local lines
	lines=$("$@")
	if (($(wc -l <<<"$lines") > 2)); then echo "$lines"; else echo "No difference."; fi
}

picture() { # a commit's version of a picture, or nothing if it has none
	if git cat-file -e "$1:$2" 2>/dev/null; then echo "![$2]($repository/raw/$(git rev-parse "$1")/$2)"; fi
}

printf '## Metrics\n\n'
table dvc metrics diff --md "$before" "$after"
printf '\n## Parameters\n\n'
table dvc params diff --md "$before" "$after"

printf '\n## Plots\n\n'
pictures=$(git diff --name-only "$before" "$after" -- 'plots/*.png')
if [ -n "$pictures" ]; then
	printf '| before | after |\n| --- | --- |\n'
	while read -r path; do
		printf '| %s | %s |\n' "$(picture "$before" "$path")" "$(picture "$after" "$path")"
	done <<<"$pictures"
else
	echo "No picture differs."
fi
dvc plots diff "$before" "$after" --out dvc_plots >&2
printf '\nCurves and all other plots, before and after on one page: artifact `plots` of [this run](%s).\n' \
	"$repository/actions/runs/$GITHUB_RUN_ID#artifacts"
