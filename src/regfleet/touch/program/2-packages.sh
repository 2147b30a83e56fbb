# Packages: what a package manager would do, by its own dry run, and that it does no more. Nothing is
# ever removed for them: what stands in the way stays, and the error names it.
# shellcheck shell=sh disable=SC2016,SC2034,SC2154  # shared variables; backquotes are for people

# One that ends in ? is taken where it is known; of A|B the first that is known, or the last.
resolve_packages() { # PACKAGE...: sets `wanted` to their names, a blank before each
  wanted=
  for package; do
    case $package in
      *\?)
        package=${package%\?}
        run_plainly apt-cache show "$package" >/dev/null 2>&1 || continue
        ;;
      *\|*) package=$(first_known "$package") ;;
    esac
    wanted="$wanted $package"
  done
}

first_known() { # A|B|C
  some=$1
  while [ "$some" != "${some#*|}" ]; do
    if run_plainly apt-cache show "${some%%|*}" >/dev/null 2>&1; then break; fi
    some=${some#*|}
  done
  echo "${some%%|*}"
}

run_plainly() { "$@" </dev/null 9>&-; }

# Lines `install NAME VERSION` and `remove NAME`; none where the manager cannot tell. Nothing is
# fetched, and nothing locked. apt-get(8) -s; dnf(8), yum(8) --assumeno and -C; zypper(8) --dry-run;
# apk(8) --simulate; pacman(8) --print, which answers conflicts with an error.
foresee_packages() { # MANAGER PACKAGE...
  manager=$1
  shift
  case $manager in
    apt-get) run_plainly apt-get -s -q -y -o Debug::NoLocking=true install "$@" | foreseen_apt ;;
    dnf | yum) run_plainly "$manager" -C --assumeno install "$@" | foreseen_table ;;
    zypper) run_plainly zypper -n --no-refresh install --no-force-resolution --dry-run "$@" | foreseen_list ;;
    apk) run_plainly apk add --simulate "$@" | foreseen_steps ;;
    pacman) run_plainly pacman -S --print --print-format 'install %n %v' --needed "$@" | grep '^install ' ;;
  esac 2>/dev/null
}

foreseen_apt() { # `Inst NAME [OLD] (NEW Debian:13/stable [amd64]) []`, `Remv NAME [OLD]`
  awk '
    $1 == "Inst" { version = $3 ~ /^\[/ ? $4 : $3; sub(/^\(/, "", version); print "install", $2, version }
    $1 == "Remv" { print "remove", $2 }'
}

foreseen_table() { # headings, and below them lines of NAME ARCHITECTURE VERSION REPOSITORY SIZE
  awk '
    /^(Installing|Upgrading|Downgrading|Reinstalling)/ { kind = "install"; next }
    /^Removing/ { kind = "remove"; next }
    /^[^ ]/ { kind = ""; next }
    $1 == "replacing" { sub(/\.[^.]*$/, "", $2); print "remove", $2; next }
    kind == "remove" && NF { print "remove", $1 }
    kind == "install" && NF == 1 { name = $1; next } # a long name has a line of its own
    kind == "install" && name != "" { print "install", name, $2; name = ""; next }
    kind == "install" && NF { print "install", $1, $3 }'
}

foreseen_list() { # `The following 2 NEW packages are going to be installed:`, and below it names
  awk '
    /^The following .* going to be (installed|upgraded|downgraded|reinstalled|changed)/ { kind = "install"; next }
    /^The following .* going to be REMOVED/ { kind = "remove"; next }
    /^[^ ]/ { kind = ""; next }
    kind != "" { for (i = 1; i <= NF; i++) print kind, $i }'
}

foreseen_steps() { # `(1/9) Installing NAME (VERSION)`, `Upgrading NAME (OLD -> NEW)`, `Purging NAME (VERSION)`
  awk '
    $2 == "Installing" { gsub(/[()]/, "", $4); print "install", $3, $4 }
    $2 == "Upgrading" || $2 == "Downgrading" { gsub(/[()]/, "", $6); print "install", $3, $6 }
    $2 == "Purging" { print "remove", $3 }'
}

say_packages() { # MANAGER PACKAGE...: for the plan
  manager=$1
  shift
  resolve_packages "$@"
  # shellcheck disable=SC2086  # package names are plain words from our own table
  foresee_packages "$manager" $wanted | sed 's/^/@/'
}
