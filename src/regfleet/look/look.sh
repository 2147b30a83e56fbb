# regfleet's look at a host: reads, changes nothing, prints lines that begin with @.
# Behind it come calls of the functions below. Each takes what to look for as arguments.
# Every host runs it at every plan, and to start a program costs what ten lines of the shell's own
# do: it starts few. What is to be read is asked for first, and told at once.
# shellcheck shell=sh
NL='
'
TAB='	'
told=  # the engine, by its shell word, that has told of all images and containers already
asked= # what `tell` is to tell of: lines of WHAT, NAME and SUBJECT, none empty, tabs between them

say() { printf '@%s\n' "$*"; }

ask() { asked="$asked$1$TAB$2$TAB$3$NL"; } # WHAT NAME SUBJECT

whole() { # NAME PATH: a file's whole content, base64 in one line
  [ ! -f "$2" ] || ask whole "$1" "$2"
}

# Whether all was told that was asked for; where not, the API of an engine was silent. Through pipes:
# before 5.1 bash writes a here-document to a file, and the disk may be full.
tell() {
  [ -n "$asked" ] || return 0
  missed=2
  if command -v perl >/dev/null 2>&1; then
    printf '%s' "$asked" | tell_at_once
    missed=$?
  fi
  if [ "$missed" -gt 1 ]; then # no Perl, or one of which a part is missing
    printf '%s' "$asked" | tell_each
    missed=$?
  fi
  asked=
  return "$missed"
}

# By Perl, which is on every Debian and Ubuntu (perl-base is essential), and sha256sum: of its own
# modules for digests and base64 each takes as long to load as a program to start. It asks an
# engine's API (moby, api/swagger.yaml) without the engine's client, which takes longer to start
# than the engine to answer; the numbers are AF_UNIX, SOCK_STREAM and the size of a path in
# sockaddr_un (unix(7)). What must not stand on a command line goes to sha256sum through pipes.
tell_at_once() {
  # shellcheck disable=SC2016  # those are Perl's
  perl -e '
    $/ = undef;
    $^F = 255; # sha256sum inherits the pipes
    sub encoded {
      my $padding = (3 - length($_[0]) % 3) % 3;
      $_ = pack "u", $_[0];
      s/^.//mg;
      tr/\n//d;
      tr|` -_|AA-Za-z0-9+/|;
      substr($_, -$padding) = "=" x $padding if $padding;
      return $_;
    }
    sub answered {
      my ($socket, $path) = @_;
      socket(S, 1, 1, 0) && connect(S, pack("Sa108", 1, $socket)) or return 0;
      syswrite(S, "GET $path HTTP/1.0\r\n\r\n") or return 0;
      my ($head, $body) = split /\r\n\r\n/, <S>, 2;
      $head =~ m{^HTTP/\S+ (200|404) } or return 0;
      my $status = $1;
      $body =~ tr/\n//d;
      print "\@api $status $path $body\n";
    }
    $silent = 0;
    for $line (split /\n/, <STDIN>) {
      ($what, $name, $subject) = split /\t/, $line, 3;
      if ($what eq "self") {
        print "\@uid $>\n\@clock ", time, "\n";
      } elsif ($what eq "path") {
        @stat = stat $subject or next;
        printf "\@stat %x %d %d %s\n", @stat[2, 4, 5], $subject;
        push @files, $subject if -f _;
      } elsif ($what eq "whole") {
        open(F, "<", $subject) or next;
        print "\@whole $name ", encoded(<F>), "\n";
      } elsif ($what eq "login") {
        pipe(my $digested, my $given);
        print $given "$subject\n";
        close $given;
        push @pipes, $digested;
        $logins{"/proc/self/fd/" . fileno $digested} = $name;
      } elsif ($what eq "api") {
        $silent ||= !answered($name, $subject);
      }
    }
    if (@files || @pipes) {
      open(SUMS, "-|", "sha256sum", sort(keys %logins), @files) or exit 2;
      for (split /\n/, <SUMS>) {
        ($digest, $of) = split /  /, $_, 2;
        print exists $logins{$of} ? "\@login $logins{$of} $digest\n" : "\@sum $_\n";
      }
    }
    exit $silent' 2>/dev/null
}

tell_each() { # by programs, one or two for each thing
  set --
  silent=0
  while IFS=$TAB read -r what name subject; do
    case $what in
      self)
        # A program's own entry in /proc is made when it starts (proc(5)): it tells who and when.
        stat=$(stat -L -c '%u %Y' /proc/self 2>/dev/null) || stat="$(id -u) $(date +%s)"
        say "uid ${stat% *}"
        say "clock ${stat#* }"
        ;;
      path) set -- "$@" "$subject" ;;
      whole)
        printf '@whole %s ' "$name"
        base64 -w 0 <"$subject" 2>/dev/null || base64 <"$subject" | tr -d '\n' # older busybox folds lines, always
        echo
        ;;
      login)
        digest=$(printf '%s\n' "$subject" | sha256sum)
        say "login $name ${digest%% *}"
        ;;
      api) [ "$silent" = 1 ] || tell_by_curl "$name" "$subject" || silent=1 ;;
    esac
  done
  if [ $# -gt 0 ]; then
    stat -L -c '@stat %f %u %g %n' "$@" 2>/dev/null
    sums=$(sha256sum "$@" 2>/dev/null)
    IFS=$NL
    set -f
    for sum in $sums; do say "sum $sum"; done
    set +f
    unset IFS
  fi
  return "$silent"
}

tell_by_curl() { # SOCKET PATH
  [ -S "$1" ] && command -v curl >/dev/null 2>&1 || return 1
  answer=$(curl -s -w '\n%{http_code}' --noproxy '*' --unix-socket "$1" \
    "http://engine$2" 2>/dev/null </dev/null)
  status=${answer##*"$NL"}
  case $status in 200 | 404) ;; *) return 1 ;; esac
  say "api $status $2 $(printf '%s' "${answer%"$NL"*}" | tr -d '\n')"
}

look_host() {
  ask self - -
  if [ -d /run/systemd/system ]; then say 'init systemd'; else say 'init scripts'; fi
  for tool in apt-get dnf yum zypper apk pacman; do
    if command -v "$tool" >/dev/null 2>&1; then say "packages $tool"; break; fi
  done
  os=unknown version=
  if [ -r /etc/os-release ]; then
    while IFS='=' read -r name value; do # assignments, perhaps quoted (os-release(5))
      value=${value#[\"\']}
      value=${value%[\"\']}
      case $name in ID) os=$value ;; VERSION_ID) version=$value ;; esac
    done </etc/os-release
    say "os $os $version"
  fi
  whole owned /var/lib/regfleet/owned.json
  # Twice, for it may end while we ask who it is.
  if unfinished && ! at_work /var/lib/regfleet/lock && unfinished; then say 'pending'; fi
}

unfinished() { [ -e /var/lib/regfleet/pending ] || [ -e /var/lib/regfleet/making ]; }

# Whether a touch is in the middle of its work, and whose. It holds its lock open as file
# descriptor 9 for as long as it lives; to try the lock would be to take it for a moment.
at_work() { # LOCK
  holder=$(sed -n 's/.*, process \([0-9]*\)$/\1/p' "$1" 2>/dev/null)
  [ -n "$holder" ] && [ "$(readlink "/proc/$holder/fd/9")" = "$(readlink -f "$1")" ] || return 1
  say "busy $(tr '\n' ' ' <"$1")"
}

look_paths() { # PATH...: raw mode, owner and digest of each that exists
  for path; do ask path - "$path"; done
}

look_text() { # PATH: a file that is merged into, and what it was before us
  whole "text:$1" "$1"
  whole "original:$1" "/var/lib/regfleet/original$1"
}

look_registries_conf() { # files that speak of registries; one of short names alone is long
  for file in /etc/containers/registries.conf /etc/containers/registries.conf.d/*.conf; do
    if grep -q '^[[:space:]]*\[\{1,2\}registr' "$file" 2>/dev/null; then look_text "$file"; fi
  done
}

look_image() { # ENGINE REFERENCE: with the engine's own `ENGINE_image`
  [ "$told" != "$1" ] || return 0
  id=$("$1_image" "$2" 2>/dev/null) && say "image $2 $id"
}

look_login() { # ACCOUNT ENDPOINT SALT FILE: never the login, only its salted digest
  find_home "$1"
  if [ -z "$home" ]; then say "login $1 $2 no-account"; return 0; fi
  file=$home/$4
  [ -f "$file" ] || return 0
  compact=
  set -f
  while read -r line || [ -n "$line" ]; do
    for word in $line; do compact=$compact$word; done
  done <"$file"
  set +f
  name="\"$2\":{"
  auth=
  case $compact in
    *"$name"*)
      entry=${compact##*"$name"}
      entry=${entry%%\}*}
      case $entry in
        *'"auth":"'*)
          auth=${entry##*'"auth":"'}
          auth=${auth%%\"*}
          ;;
      esac
      ;;
  esac
  if [ -n "$auth" ]; then
    ask login "$1 $2" "$3$auth"
  else
    case $compact in
      *'"credsStore":"'?*'"'"$2"'":{'* | *'"'"$2"'":{'*'"credsStore":"'?* | \
      *'"credHelpers":{'*'"'"$2"'":"'?*) say "login $1 $2 helper" ;;
    esac
  fi
}
