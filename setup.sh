#!/usr/bin/env bash
# `setup.sh PYTHON LOCK...` makes .venv and installs what the locks hold; after an interruption it continues.
# uv installs several times as fast as pip, but reads none of pip's settings. If uv fails, pip installs.
set -o pipefail
trap 'exit 130' INT # no failure: nothing else is tried, no remedy named
python=$1
locks=("${@:2}")
user_settings=${XDG_CONFIG_HOME:-$HOME/.config}

fail() {
	echo "setting up .venv failed: see above. No network? Then the same command continues later." \
		"A mirror, or a proxy with its own certificate? Then set PIP_INDEX_URL or PIP_CERT" >&2
	exit 1
}

# An interrupted installation leaves packages that are half there, but count as installed. INSTALLER comes last.
forget_half_installed() {
	for package in .venv/lib/python*/site-packages/*.dist-info; do
		[[ -e $package/INSTALLER ]] || rm -rf "$package"
	done
}

pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }

make_venv() { # with uv: the user's, or the one that requirements.txt names
	if uv --version >/dev/null 2>&1; then
		uv venv --quiet --allow-existing --python "$python" .venv
	else
		"$python" -m venv .venv &&
			sed -n '/^uv==/,/[^\\]$/p' requirements.txt | pip install --quiet --require-hashes -r /dev/stdin || fail
	fi
}

setting() { # pip's setting $1, from a variable or else from a file
	for section in :env: install global; do sed -n "s/^$section\.$1=.\(.*\).$/\1/p" <<<"$settings"; done |
		sed 's/\\n/ /g; q'
}

# Gives uv pip's index and certificates where the user gives it none. The second of two names is for an older uv.
configure_uv() {
	local settings= index certificates
	if [[ ${!PIP_*} =~ INDEX|CERT|HOST|CONFIG ]] || # ask pip only if there is an answer: it takes 0.2 s
		grep -qsE 'index|cert|host' {/etc,/etc/xdg/pip,~/.pip,"$user_settings/pip"}/pip.conf; then
		settings=$({ pip config list || "$python" -m pip config list; } 2>/dev/null)
	fi
	index=$(setting index-url)
	if [[ $index && ! $UV_DEFAULT_INDEX$UV_INDEX_URL$UV_INDEX ]] &&
		! grep -qs index "$UV_CONFIG_FILE" uv.toml {/etc,/etc/xdg,"$user_settings"}/uv/uv.toml; then
		export UV_DEFAULT_INDEX=$index UV_INDEX_URL=$index
		export UV_EXTRA_INDEX_URL=$(setting extra-index-url) UV_INDEX_STRATEGY=unsafe-best-match # as pip; hashes decide
	fi
	certificates=$(setting cert)
	certificates=${certificates:-${REQUESTS_CA_BUNDLE:-$CURL_CA_BUNDLE}}
	if [[ $certificates ]]; then
		export SSL_CERT_FILE=${SSL_CERT_FILE:-${certificates/#\~/$HOME}}
	elif compgen -G '/etc/ssl/certs/*' >/dev/null; then # with neither these nor its own, uv would trust nobody
		export UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1
	fi
	export UV_INSECURE_HOST=${UV_INSECURE_HOST:-$(setting trusted-host)}
}

install_with_uv() { # without a line for each of 170 packages
	uv pip sync --python .venv --require-hashes "${locks[@]}" 2>&1 | sed '/^ [-+~] /d'
}

install_with_pip() {
	"$python" -m venv .venv &&
		pip install --quiet --no-deps --no-compile --require-hashes "${locks[@]/#/--requirement=}"
}

forget_half_installed
make_venv && configure_uv && install_with_uv || {
	echo "uv failed: see above. pip installs the same, in two minutes or more" >&2
	install_with_pip || fail
}
