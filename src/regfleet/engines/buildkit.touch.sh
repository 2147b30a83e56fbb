# BuildKit, as the touch changes it.
# shellcheck shell=sh

buildkit_answers() { systemctl is-active --quiet buildkit; } # up when it says that it is ready
