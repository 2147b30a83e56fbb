# BuildKit, as the look sees it.
# shellcheck shell=sh  # functions of look.sh

buildkit_look() {
  look_text /etc/buildkit/buildkitd.toml
  look_paths /etc/buildkit/buildkitd.toml
  PATH=$PATH:/usr/local/bin
  if ! command -v buildkitd >/dev/null 2>&1; then
    say 'of buildkit state missing'
    return 0
  fi
  say "of buildkit version $(buildkitd --version 2>/dev/null | sed -n 's/^.* v\([0-9][^ ]*\).*/\1/p' | head -n 1)"
  say_boot buildkit buildkit
  if systemctl is-active --quiet buildkit 2>/dev/null; then
    say 'of buildkit state up'
  else
    say 'of buildkit state down' # or a service of another name: that one reads it when it starts
  fi
}
