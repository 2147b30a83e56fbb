# The login of one registry in a file of logins: Docker's config.json (docs.docker.com, `docker login`,
# credential stores) or containers-auth.json(5). A text is edited in place: whatever is not that entry
# keeps every byte. What is no JSON (RFC 8259), or says something twice that matters here, is refused.
# With -v group=proxies it is the proxies of containers there, and the key is `default` (Docker docs,
# "Use a proxy server with the Docker CLI").
# Called with -v verb= key= stores= [group=], and two lines on standard input:
#   the entry's new value; the document, with \002 for each newline (home.sh maps them).
# Prints one line, its first word what was found:
#   look: auth VALUE | helper NAME | none; VALUE is - for what cannot be one
#   value: value TEXT | none; TEXT is - for what is longer than a line
#   get: auth VALUE [IDENTITY-TOKEN] | helper NAME | none
#   helper: helper NAME | none
#   kept: login USER:SECRET | token SECRET | none, of what a helper answers to `get`
#     (docker/docker-credential-helpers, README)
#   put: ok DOCUMENT
#   drop: ok DOCUMENT | empty DOCUMENT | same
#   any of them: invalid REASON
# POSIX awk, in steps that are linear in the size: for busybox substr() reads a text from its start.

function refuse(reason) {
  if (wrong == "") wrong = "line " lines ", column " (at - line_start) ": " reason
}

function unescaped(text,    out, i, c, n, k, digit) { # what is between the quotes, as bytes of UTF-8
  if (index(text, "\\") == 0) return text
  out = ""
  for (i = 1; i <= length(text); i++) {
    c = substr(text, i, 1)
    if (c != "\\") { out = out c; continue }
    c = substr(text, ++i, 1)
    if (c != "u") {
      k = index("bfnrt", c)
      out = out (k ? substr("\b\f\n\r\t", k, 1) : c)
      continue
    }
    n = 0
    for (k = 1; k <= 4; k++) {
      digit = index("0123456789abcdef", tolower(substr(text, i + k, 1)))
      n = n * 16 + digit - 1
    }
    i += 4
    if (n == 0) out = out "?" # no awk can be trusted with it, and no name has it
    else if (n < 128) out = out sprintf("%c", n)
    else if (n < 2048) out = out sprintf("%c%c", 192 + int(n / 64), 128 + n % 64)
    else out = out sprintf("%c%c%c", 224 + int(n / 4096), 128 + int(n / 64) % 64, 128 + n % 64)
  }
  return out
}

function read_string(first, last) { # a longer one is no name and no login of ours
  return last - first > 16384 ? "" : unescaped(substr(text, first, last - first + 1))
}

function value_begins(what) {
  if (depth == 0 && what != "{") refuse("this is no JSON object")
  if (depth == 1 && section == group) {
    if (what == "{") auths_begin = at
    else if (what == "n") auths_null = at
    else refuse("\"" group "\" is no object")
  }
  if (depth == 2 && ours) value_first = at
}

function value_ends() {
  if (depth == 2 && ours) { value_last = at; ours = 0 }
  if (depth == 1) section = ""
  if (depth == 0) wanted = "end"
  else wanted = kind[depth] == "{" ? ",}" : ",]"
}

function key_ends(name,    lower) {
  wanted = ":"
  if (depth == 1) {
    if (!top_first) top_first = string_first - 1
    lower = tolower(name) # as Go compares them (encoding/json, Unmarshal)
    section = ""
    if (lower == group) {
      if (auths_key) refuse("\"" group "\" a second time")
      auths_key = string_first - 1
      auths_first_member = separator == top_begin
    }
    if (lower == group || lower == "credhelpers" || lower == "credsstore") section = lower
    top_name = name
  } else if (depth == 2 && section == group) {
    if (!members++) member_first = string_first - 1
    if (name == key) {
      if (key_first) refuse((group == "auths" ? "the registry " : "") key " a second time")
      key_first = string_first - 1
      before = separator
      ours = 1
    }
  } else if (depth == 2 && section == "credhelpers") {
    helped = name == key
  } else if (depth == 3 && ours) {
    field = name
  }
}

function string_ends(    last) {
  last = at - 1
  if (string_is_key) {
    if (depth == 1 || (depth == 2 && section != "") || (depth == 3 && ours)) {
      key_ends(read_string(string_first, last))
    } else wanted = ":"
    return
  }
  if (depth == 1 && section == "credsstore") store = read_string(string_first, last)
  else if (depth == 2 && section == "credhelpers" && helped) helper = read_string(string_first, last)
  else if (depth == 3 && ours && field == "auth") auth = read_string(string_first, last)
  else if (depth == 3 && ours && field == "identitytoken") token = read_string(string_first, last)
  else if (depth == 1 && verb == "kept") said[top_name] = read_string(string_first, last)
  value_ends()
}

function word_ends() {
  if (word !~ /^(true|false|null|-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?)$/) {
    refuse("this is neither a text nor a number")
  }
  at--
  value_ends()
  at++
}

function scan(    size, start, block, count, i, c, mode, left) {
  # mode: 0 between tokens, 1 in a string, 2 behind a backslash, 3 in \uXXXX, 4 in a word
  size = length(text)
  wanted = "value"
  lines = 1
  for (start = 1; start <= size; start += 1024) {
    block = substr(text, start, 1024)
    count = length(block)
    for (i = 1; i <= count; i++) {
      c = substr(block, i, 1)
      at = start + i - 1
      if (mode == 1) {
        if (c == "\"") { mode = 0; string_ends() }
        else if (c == "\\") mode = 2
        else if (c < " ") refuse("a line ends within a text, or a control character is in it")
      } else if (mode == 2) {
        if (c == "u") { mode = 3; left = 4 }
        else if (index("\"\\/bfnrt", c)) mode = 1
        else refuse("a backslash before what needs none")
      } else if (mode == 3) {
        if (!index("0123456789abcdefABCDEF", c)) refuse("\\u without four digits")
        if (--left == 0) mode = 1
      } else {
        if (mode == 4) {
          if (c ~ /[-+.0-9A-Za-z]/) {
            word = word c
            if (length(word) > 400) refuse("a number of more than 400 digits")
            if (wrong != "") return
            continue
          }
          mode = 0
          word_ends()
        }
        if (c == newline) { lines++; line_start = at }
        else if (c == " " || c == "\t" || c == "\r") ;
        else if (c == "\"") {
          if (wanted == "key" || wanted == "key}") string_is_key = 1
          else if (wanted == "value" || wanted == "value]") { string_is_key = 0; value_begins(c) }
          else refuse("a text where " named(wanted) " belongs")
          string_first = at + 1
          mode = 1
        }
        else if (c == "{" || c == "[") {
          if (wanted != "value" && wanted != "value]") refuse("\"" c "\" where " named(wanted) " belongs")
          value_begins(c)
          if (depth == 0) top_begin = at
          depth++
          kind[depth] = c
          separator = at
          wanted = c == "{" ? "key}" : "value]"
        }
        else if (c == "}") {
          if (wanted == "key") refuse("a comma with nothing behind it")
          else if (wanted != "key}" && wanted != ",}") refuse("\"}\" where " named(wanted) " belongs")
          else {
            depth--
            if (depth == 1 && section == group) auths_end = at
            if (depth == 0) top_end = at
            value_ends()
          }
        }
        else if (c == "]") {
          if (wanted == "value" && kind[depth] == "[") refuse("a comma with nothing behind it")
          else if (wanted != "value]" && wanted != ",]") refuse("\"]\" where " named(wanted) " belongs")
          else { depth--; value_ends() }
        }
        else if (c == ",") {
          if (wanted == ",}") wanted = "key"
          else if (wanted == ",]") wanted = "value"
          else refuse("a comma where " named(wanted) " belongs")
          if (depth == 2 && section == group && value_last && !after) after = at
          if (depth == 1 && auths_key && !auths_comma) auths_comma = at
          separator = at
        }
        else if (c == ":") {
          if (wanted != ":") refuse("a colon where " named(wanted) " belongs")
          wanted = "value"
        }
        else if (c ~ /[-0-9a-z]/) {
          if (wanted != "value" && wanted != "value]") refuse("a word where " named(wanted) " belongs")
          value_begins(c)
          word = c
          mode = 4
        }
        else refuse("this is no JSON")
      }
      if (wrong != "") return
    }
  }
  at = size + 1
  if (mode == 4) word_ends()
  if (wrong == "" && (mode != 0 || wanted != "end")) refuse("it ends in the middle")
}

function named(what) {
  if (what == "key" || what == "key}") return "a name in quotes"
  if (what == "value" || what == "value]") return "a value"
  if (what == ":") return "a colon"
  if (what == "end") return "the end"
  return "a comma"
}

function spliced(first, last, new) { return substr(text, 1, first - 1) new substr(text, last + 1) }

function lead(first, begin) { return first ? substr(text, begin + 1, first - begin - 1) : "" }

function put(    member) {
  member = "\"" key "\": " entry
  if (text ~ /^[ \t\r\002]*$/) {
    return "{" newline "\t\"" group "\": {" newline "\t\t" member newline "\t}" newline "}" newline
  }
  if (key_first) return spliced(value_first, value_last, entry)
  if (auths_null) return spliced(auths_null, auths_null + 3, "{" member "}")
  if (auths_begin) {
    return spliced(auths_begin + 1, auths_begin, lead(member_first, auths_begin) member (members ? "," : ""))
  }
  # Blanks before the colon, none behind it: so drop() knows an object that was made here.
  member = made member "}"
  return spliced(top_begin + 1, top_begin, lead(top_first, top_begin) member (top_first ? "," : ""))
}

function drop() {
  if (members == 1 && auths_first_member && substr(text, auths_key, length(made)) == made && key_first == auths_key + length(made)) {
    return spliced(top_begin + 1, auths_comma ? auths_comma : auths_end, "")
  }
  if (after) return spliced(before + 1, after, "")
  if (members == 1) return spliced(before + 1, value_last, "")
  return spliced(before, value_last, "")
}

function compact(document) {
  if (length(document) > 400) return "much"
  gsub(/[ \t\r\002]/, "", document)
  return document
}

BEGIN {
  FS = "\n" # one field, however long
  newline = sprintf("%c", 2)
  if (group == "") group = "auths"
  made = "\"" group "\"  :{"
}
NR == 1 { entry = $0 }
NR == 2 { text = $0 }
END {
  blank = text ~ /^[ \t\r\002]*$/ # as new for Docker, too
  if (!blank) scan()
  if (wrong == "" && depth == 0 && !blank) {
    if (helper == "" && stores == "yes") name = store
    if (helper != "") name = helper
    if (name ~ /[^A-Za-z0-9._-]/ || name ~ /^-/) wrong = "the credential helper's name cannot be one"
  }
  if (wrong != "") print "invalid " wrong
  else if (verb == "value" && !key_first) print "none"
  else if (verb == "value") {
    value = substr(text, value_first, value_last - value_first + 1)
    print "value " (value ~ /[\t\r\002]/ ? "-" : value)
  }
  else if (verb == "helper") print (name != "" ? "helper " name : "none")
  else if (verb == "look" || verb == "get") {
    # A helper is asked before the file is read (docker/cli, cli/config/configfile).
    if (name != "") print ((helper != "" || (key_first && auth == "")) ? "helper " name : "none")
    else if (auth == "") print "none"
    else if (auth ~ /[^A-Za-z0-9+\/=]/ || token ~ /[^A-Za-z0-9._~+\/=:-]/) print "auth -"
    else print "auth " auth (verb == "get" && token != "" ? " " token : "")
  }
  else if (verb == "kept" && !("Secret" in said)) print "none"
  else if (verb == "kept") print (said["Username"] == "<token>" ? "token " : "login " said["Username"] ":") said["Secret"]
  else if (verb == "put") print "ok " put()
  else if (verb == "drop" && !key_first) print "same"
  else if (verb == "drop") {
    document = drop()
    left = compact(document)
    print (left == "{}" || left == "{\"" group "\":{}}" ? "empty " : "ok ") document
  }
}
