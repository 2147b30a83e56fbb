# Containers, as the look sees them where Docker's API does not answer.
# shellcheck shell=sh disable=SC2154  # functions and variables of look.sh

look_container() { # NAME
  [ "$listed_engine" != docker ] || return 0
  docker container inspect --format \
    '@container {{.Name}} {{.State.Running}} {{.Image}} ports:{{range .NetworkSettings.Ports}}{{range .}}{{.HostPort}},{{end}}{{end}} {{or (index .Config.Labels "com.docker.compose.project") "-"}} {{or (index .Config.Labels "regfleet.specification") "-"}} {{or (index .Config.Labels "regfleet.fleet") "-"}}' \
    "$1" 2>/dev/null || :
}
