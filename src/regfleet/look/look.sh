# regfleet's look at a host: reads, changes nothing (except that it removes what a killed regfleet
# program left in memory), prints lines that begin with @.
# Calls of the functions below follow it. Each takes what to look for as arguments.
# Every host runs it at every plan, and starting a program costs as much as ten lines of shell: it
# starts few. Requests are queued first, then answered together.
# shellcheck shell=sh disable=SC2154  # variables of common.sh and accounts.sh
listed_engine= # shell word of the engine whose images and containers are all printed already
looked_paths=
silent_accounts=' ' # gave no answer once: asking again for each registry would delay the others
login_accounts= # whose logins were asked for
record=/var/lib/regfleet/owned.json # the ownership record; see record.py for its format
requests= # for `answer_requests`: lines of WHAT, NAME and SUBJECT, none empty, tabs between them

say() { printf '@%s\n' "$*"; }

request() { requests="$requests$1$TAB$2$TAB$3$NL"; } # WHAT NAME SUBJECT

request_content() { # NAME PATH: a file's whole content, base64 in one line
  [ ! -f "$2" ] || request whole "$1" "$2"
}

# Fails if an engine's API gave no answer. Uses pipes: before 5.1 bash writes a here-document to a
# file, and the disk may be full.
answer_requests() {
  [ -n "$requests" ] || return 0
  missed=2
  if command -v perl >/dev/null 2>&1; then
    printf '%s' "$requests" | answer_with_perl
    missed=$?
  fi
  if [ "$missed" -gt 1 ]; then # no Perl, or an incomplete one
    printf '%s' "$requests" | answer_with_programs
    missed=$?
  fi
  requests=
  return "$missed"
}

# Perl is on every Debian and Ubuntu (perl-base is essential). Digests come from sha256sum: loading
# Perl's own modules for digests or base64 takes as long as starting a program. It asks an engine's
# API (moby, api/swagger.yaml) directly, because the engine's client takes longer to start than the
# engine to answer. Without Perl, base programs read the files and the engine's client asks the
# engine: it comes with the engine, curl(1) does not. The numbers are AF_UNIX, SOCK_STREAM and the
# size of a path in sockaddr_un (unix(7)). Secrets go to sha256sum through pipes, not arguments.
answer_with_perl() {
  # shellcheck disable=SC2016  # the variables are Perl's
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
    # Netlink (sock_diag(7), netlink(7)) makes the kernel search its listeners only; for
    # /proc/net/tcp it walks its table of all connections, which takes 10 ms. The numbers
    # are AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG; SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST and
    # NLM_F_DUMP; AF_INET and AF_INET6, IPPROTO_TCP, the bit of TCP_LISTEN; NLMSG_DONE, NLMSG_ERROR.
    sub listening {
      my ($port, @at) = @_;
      FAMILY: for my $family (2, 10) {
        socket(N, 16, 3, 4) or return;
        syswrite N, pack "LSSLL C4L nx46", 72, 20, 0x301, 0, 0, $family, 6, 0, 0, 1024, $port;
        while (sysread N, my $said, 65536) {
          while (length $said >= 16) {
            my ($size, $type) = unpack "LS", $said;
            next FAMILY if $type == 3;
            return if $type == 2 || $size < 16;
            my ($its, @words) = unpack $family == 2 ? "x20nx2L" : "x20nx2L4", $said;
            push @at, join "", map { sprintf "%08X", $_ } @words if $its == $port;
            substr($said, 0, $size + 3 & ~3) = "";
          }
        }
        return;
      }
      return 1, @at;
    }
    $silent = 0;
    for $line (split /\n/, <STDIN>) {
      ($what, $name, $subject) = split /\t/, $line, 3;
      if ($what eq "self") {
        print "\@uid $>\n\@clock ", time, "\n\@processes ", readlink "/proc/self/ns/pid", "\n";
      } elsif ($what eq "path") {
        $asked{$subject} = 1;
        @stat = stat $subject or next;
        printf "\@stat %x %d %d %s\n", @stat[2, 4, 5], $subject;
        push @files, $subject if -f _;
      } elsif ($what eq "whole") {
        open(F, "<", $subject) or next;
        $text = <F>;
        print "\@whole $name ", encoded($text), "\n";
        next if $name ne "owned";
        push @ours, /"(\/[^"\\]+)"/g for $text =~ /"directories": \[(.*?)\]/gs;
      } elsif ($what eq "port") {
        ($known, @at) = listening(hex $name);
        if (!$known) {
          $sockets = join "", map { open(F, "<", "/proc/net/$_") ? <F> : "" } "tcp", "tcp6";
          @at = $sockets =~ /^ *\d+: ([0-9A-F]+):$name [0-9A-F]+:0000 0A /mg;
        }
        print "\@port $subject $_\n" for @at;
      } elsif ($what eq "users") {
        open(F, "<", $subject) && -s F <= 2097152 or next;
        $text = <F>;
        @users = $text =~ m{^([^:\n]*:(?:\$2[aby]\$\d\d\$[./A-Za-z0-9]{22})?)}mg;
        print "\@whole $name ", encoded(join "", map "$_\n", @users), "\n";
      } elsif ($what eq "login") {
        pipe(my $digested, my $given);
        print $given "$subject\n";
        close $given;
        push @pipes, $digested;
        $logins{"/proc/self/fd/" . fileno $digested} = $name;
      } elsif ($what eq "space") {
        # As `print_space`, without timeout(1): the program is killed by an alarm.
        my $program = open(P, "-|", "stat", "-f", "-c", "%S %b %f %a %c %d", $subject) or next;
        local $SIG{ALRM} = sub { kill 9, $program };
        alarm 5;
        my $numbers = <P>;
        alarm 0;
        close P;
        print "\@space ", $numbers =~ tr/\n//dr, " $subject\n" if length $numbers;
      } elsif ($what eq "api") {
        $silent ||= !answered($name, $subject);
      }
    }
    for $subject (@ours) {
      next if $asked{$subject}++ || !opendir D, $subject;
      @names = ();
      while (@names < 1000 && defined($_ = readdir D)) { push @names, $_ if !/^\.\.?$/ }
      print "\@holds ", encoded(join "", map "$_\n", $subject, sort @names), "\n" if @names;
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

answer_with_programs() { # starts one or two programs for each request
  set --
  silent=0
  while IFS=$TAB read -r what name subject; do
    case $what in
      self)
        # /proc/self (proc(5)) belongs to the user, and its time is when the program started.
        stat=$(stat -L -c '%u %Y' /proc/self 2>/dev/null) || stat="$(id -u) $(date +%s)"
        say "uid ${stat% *}"
        say "clock ${stat#* }"
        say "processes $(readlink /proc/self/ns/pid 2>/dev/null)"
        ;;
      path) set -- "$@" "$subject" ;;
      space) print_space "$subject" ;;
      whole)
        printf '@whole %s ' "$name"
        base64 -w 0 <"$subject" 2>/dev/null || base64 <"$subject" | tr -d '\n' # older busybox folds lines, always
        echo
        ;;
      port)
        sed -n "s/^ *[0-9]*: \([0-9A-F]*\):$name [0-9A-F]*:0000 0A .*/@port $subject \1/p" \
          /proc/net/tcp /proc/net/tcp6 2>/dev/null
        ;;
      users)
        [ "$(wc -c <"$subject")" -le 2097152 ] || continue
        printf '@whole %s ' "$name"
        # shellcheck disable=SC2016  # the dollar signs belong to the pattern
        sed -n \
          -e 's/^\([^:]*:$2[aby]$[0-9][0-9]$[.\/A-Za-z0-9]\{22\}\).*/\1/p; t' \
          -e 's/^\([^:]*:\).*/\1/p' "$subject" | base64 | tr -d '\n'
        echo
        ;;
      login)
        digest=$(printf '%s\n' "$subject" | sha256sum)
        say "login $name ${digest%% *}"
        ;;
      api) silent=1 ;; # the caller then uses the engine's client
    esac
  done
  print_directories "$@"
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

print_directories() { # PATH...: entries of the recorded directories, without those requested here
  [ -f "$record" ] || return 0
  sed -n '/"directories": \[/,/\]/s/^ *"\(\/[^"\\]*\)",\{0,1\}$/\1/p' "$record" |
    while read -r place; do
      for subject; do [ "$subject" != "$place" ] || continue 2; done
      # shellcheck disable=SC2012  # names are for people
      found=$(ls -A "$place" 2>/dev/null | head -n 1000 | sort)
      [ -z "$found" ] || say "holds $(printf '%s\n' "$place" "$found" | base64 | tr -d '\n')"
    done
}

recorded_files() { # NAME: the edited files of this name in the ownership record, one a line
  sed -n "s|^ *\"\(/.*/$1\)\": {\$|\1|p" "$record" 2>/dev/null
}

look_host() {
  sweep
  request self - -
  if [ -d /run/systemd/system ]; then
    say 'init systemd'
  elif [ -e /run/openrc/softlevel ]; then # as invoke-rc.d(8) of Debian knows it
    say 'init openrc'
  else
    say 'init scripts'
  fi
  if [ -w /usr ]; then
    for tool in apt-get dnf yum zypper apk pacman; do
      if command -v "$tool" >/dev/null 2>&1; then say "packages $tool"; break; fi
    done
  else
    say 'packages read-only' # as of ostree, MicroOS and Flatcar, whatever tools are there
  fi
  os=unknown version=
  if [ -r /etc/os-release ]; then
    while IFS='=' read -r name value; do # assignments, perhaps quoted (os-release(5))
      value=${value#[\"\']}
      value=${value%[\"\']}
      case $name in ID) os=$value ;; VERSION_ID) version=$value ;; esac
    done </etc/os-release
    say "os $os $version"
  fi
  print_machine /etc/machine-id /var/lib/dbus/machine-id
  request_content owned "$record"
  request_content brought /var/lib/regfleet/brought
  # Checked twice: the other run may end in between.
  if is_unfinished && ! print_busy /var/lib/regfleet/lock && is_unfinished; then say 'pending'; fi
}

print_machine() { # FILE...: the machine's id from the first that has one, and its kernel's boot id
  number=
  for file; do # read fails where the newline is missing, and sets the variable all the same
    if read -r number || [ -n "$number" ]; then say "machine $number"; break; fi <"$file"
  done 2>/dev/null
  if read -r number; then say "boot $number"; fi 2>/dev/null </proc/sys/kernel/random/boot_id
}

is_unfinished() {
  [ -e /var/lib/regfleet/pending ] || [ -e /var/lib/regfleet/making ] || [ -e /var/lib/regfleet/collecting ]
}

# Prints whose touch is at work; fails if none is. A touch holds its lock open as file descriptor 9
# while it lives; trying the lock would take it for a moment.
print_busy() { # LOCK
  holder=$(sed -n 's/.*, process \([0-9]*\)$/\1/p' "$1" 2>/dev/null)
  [ -n "$holder" ] && [ "$(readlink "/proc/$holder/fd/9")" = "$(readlink -f "$1")" ] || return 1
  say "busy $(tr '\n' ' ' <"$1")"
}

look_paths() { # PATH...: raw mode, owner and digest of each that exists
  for path; do request path - "$path"; done
  looked_paths="$looked_paths $*" # those that an engine may have elsewhere hold no blanks
}

# The account itself tells of them. Of its answer, which it may have made up, only numbers of the right
# form become part of ours.
look_home() { # ~ACCOUNT/PATH...: as look_paths; all in one home
  account=${1#\~}
  account=${account%%/*}
  find_account "$account" || return 0
  told=$(for path; do printf '%s\n' "$home/${path#*/}"; done | in_home "$account" stats / | cut -c1-200)
  set -f
  for path; do
    # shellcheck disable=SC2086  # words
    print_home_path "$path" ${told%%"$NL"*}
    case $told in *"$NL"*) told=${told#*"$NL"} ;; *) told= ;; esac
  done
  set +f
}

print_home_path() { # PATH [directory|file MODE OWNER [DIGEST]]
  case ${2:-} in
    directory) bits=0x4000 ;;
    file) bits=0x8000 ;;
    *) return 0 ;;
  esac
  case ${3:-x} in *[!0-7]*) return 0 ;; esac
  case ${4:-x} in *[!0-9:]* | *:*:* | :* | *:) return 0 ;; *:*) ;; *) return 0 ;; esac
  case ${5:-0} in *[!0-9a-f]*) return 0 ;; esac
  say "stat $(printf '%x' "$((bits | 0$3))") ${4%:*} ${4#*:} $1"
  [ "$2" = directory ] || say "sum ${5:-0}  $1"
}

look_home_text() { # ~ACCOUNT/PATH: as look_text; sets `answer` to what the file cannot be read for
  request_content "original:$1" "/var/lib/regfleet/original/$1"
  account=${1#\~}
  account=${account%%/*}
  find_account "$account" || { answer=absent; return 0; }
  file=$home/${1#*/}
  answer=$(in_home "$account" save "$file" </dev/null | {
    IFS= read -r line
    case $line in present' '*) base64 | tr -d '\n' ;; *) printf '%s' "-$line" | cut -c1-300 ;; esac
  })
  case $answer in
    -*) answer=${answer#-} ;;
    *[!A-Za-z0-9+/=]*) answer=tampered ;;
    *)
      say "whole text:$1 $answer"
      answer=
      ;;
  esac
}

look_users() { # PATH: an htpasswd file's users, each with its hash's salt, never with its hash
  [ ! -f "$1" ] || request users "users:$1" "$1"
}

look_roles() { request_content "roles:$1" "$1"; } # PATH: a record of who has which role

look_port() { # PORT: the addresses of its listeners (proc(5), /proc/net/tcp; 0A is LISTEN)
  request port "$(printf '%04X' "$1")" "$1"
}

# How full the file systems of directories are (statvfs(3)): block size, blocks, free blocks, free
# blocks for unprivileged users, inodes, free inodes.
look_space() { # PATH...
  for path; do
    if [ -d "$path" ]; then request space - "$path"; fi
  done
}

# On a network file system whose server is gone, stat hangs until it is killed.
print_space() { # PATH
  numbers=$(timeout -s KILL 5 stat -f -c '%S %b %f %a %c %d' "$1" 2>/dev/null)
  case $? in
    0 | 124 | 137) ;;
    *) numbers=$(stat -f -c '%S %b %f %a %c %d' "$1" 2>/dev/null) ;; # timeout(1) is missing or refuses this
  esac
  [ -z "$numbers" ] || say "space $numbers $1"
}

look_text() { # PATH: an edited file, and its content before regfleet
  request_content "text:$1" "$1"
  request_content "original:$1" "/var/lib/regfleet/original$1"
}

look_registries_conf() { # files that configure registries; one with short names only is long
  for file in /etc/containers/registries.conf /etc/containers/registries.conf.d/*.conf; do
    if grep -q '^[[:space:]]*\[\{1,2\}registr' "$file" 2>/dev/null; then look_text "$file"; fi
  done
}

look_image() { # ENGINE REFERENCE: by the engine's function `ENGINE_image`
  [ "$listed_engine" != "$1" ] || return 0
  id=$("$1_image" "$2" 2>/dev/null) && say "image $2 $id"
}

# Links that enabling makes tell without a program how a service starts with the machine (systemctl(1);
# rc-update(8); update-rc.d(8)). A unit that is empty or leads to /dev/null is masked (systemd.unit(5)).
boot_of() { # SERVICE: sets `boot`: enabled, socket, disabled or masked; empty for none that is known
  boot=
  if [ -d /run/systemd/system ]; then
    for file in "/etc/systemd/system/$1.service" "/run/systemd/system/$1.service"; do
      if [ -e "$file" ] && [ ! -s "$file" ]; then
        boot=masked
        return 0
      fi
    done
    installs=
    for file in /etc /run /usr/local/lib /usr/lib /lib; do
      file=$file/systemd/system/$1.service
      [ -r "$file" ] || continue
      while read -r line; do
        case $line in '[Install]'*) installs=1 ;; esac
      done <"$file"
    done
    [ -n "$installs" ] || return 0 # one without that section is started by something else
    boot=enabled
    first_link /etc/systemd/system/*.wants/"$1.service" /etc/systemd/system/*.requires/"$1.service" \
      /usr/lib/systemd/system/*.wants/"$1.service" && return 0
    boot=socket
    first_link /etc/systemd/system/*.wants/"$1.socket" && return 0
  elif [ ! -e "/etc/init.d/$1" ]; then
    return 0
  elif [ -e /run/openrc/softlevel ]; then
    boot=enabled
    first_link /etc/runlevels/*/"$1" && return 0
  else
    [ -d /etc/rc2.d ] || [ -d /etc/rc3.d ] || return 0
    boot=enabled
    first_link /etc/rc[2345].d/S[0-9][0-9]"$1" && return 0
  fi
  boot=disabled
}

first_link() { # PATH...: whether one of them is there
  for file; do
    if [ -L "$file" ]; then return 0; fi
  done
  return 1
}

say_boot() { # WORD SERVICE: of an engine other than Docker
  boot_of "$2"
  if [ -n "$boot" ]; then say "of $1 boot $boot"; fi
}

# Prints the salted digest of a login, never the login; with @proxies for an endpoint that of what
# the account's containers are told of proxies.
look_login() { # ACCOUNT ENDPOINT SALT FILE
  if ! find_account "$1"; then say "login $1 $2 no-account"; return 0; fi
  case " $login_accounts " in *" $1 "*) ;; *) login_accounts="$login_accounts $1" ;; esac
  file=$home/$4
  login_key "$4" "$2"
  case $silent_accounts in
    *" $1 "*) answer= ;;
    *)
      verb=look
      case $2 in @proxies) verb=value ;; esac
      credible "$(in_home "$1" "$verb" "$file" "$key" </dev/null)"
      ;;
  esac
  [ -n "$answer" ] || silent_accounts="$silent_accounts$1 "
  case $answer in
    auth' '* | value' '*) request login "$1 $2" "$3${answer#* }" ;;
    helper' '*) say "login $1 $2 helper" ;;
    absent | none) ;;
    *) say "login $1 $2 obstacle $(obstacle "$answer" "$file" "$1" | flat)" ;;
  esac
}
