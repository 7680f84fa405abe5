#!/usr/bin/env bash
# pages.sh AGENT FOLDER: the manual pages and completions of the command line, as a package installs them below /usr/share,
# written by the binary itself.
set -euo pipefail

agent=$1 folder=$2
bash=$folder/bash-completion/completions zsh=$folder/zsh/vendor-completions fish=$folder/fish/vendor_completions.d
mkdir -p "$folder/man/man1" "$bash" "$zsh" "$fish"
"$agent" man --folder "$folder/man/man1"
"$agent" completions bash > "$bash/axion-agent"
"$agent" completions zsh > "$zsh/_axion-agent"
"$agent" completions fish > "$fish/axion-agent.fish"
