# What Compose runs, as the doctor sees it: it is a container.
# shellcheck shell=sh  # functions of container.doctor.sh

compose_state() { container_state "$1"; } # NAME
