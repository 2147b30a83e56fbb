# What tags lead to, and what nothing leads to. Files, in this order:
#   edges     FROM KIND TO  of every manifest: `s` what it is made of, `m` any other digest that it
#                           mentions, `j` that it has a subject (then TO is empty)
#   tags      REPOSITORY DIGEST
#   young     REPOSITORY DIGEST  manifests that are kept though nothing leads to them
#   manifests REPOSITORY DIGEST  all of them
# Writes to the files that the variables name: `untagged` (REPOSITORY DIGEST), `reached` (digests that
# are kept: too many, never too few) and `needed` (digests without which an image is broken).
FILENAME == edges {
  if ($2 == "j") { subject[$1] = 1; next }
  count[$1]++
  to[$1, count[$1]] = $3
  strict[$1, count[$1]] = $2 == "s"
  next
}
FILENAME == tags {
  stack[++top] = $1 SUBSEP $2
  if (!($2 in needs)) { needs[$2] = 1; image[++images] = $2 }
  next
}
FILENAME == young { stack[++top] = $1 SUBSEP $2; next }
FILENAME == manifests { is[$1, $2] = 1; order[++all] = $1 SUBSEP $2 }
function walk(   place, part, i, digest) {
  while (top) {
    place = stack[top--]
    if (place in seen) continue
    seen[place] = 1
    split(place, part, SUBSEP)
    kept[part[2]] = 1
    for (i = 1; i <= count[part[2]]; i++) {
      digest = to[part[2], i]
      kept[digest] = 1
      # In its own repository: elsewhere a manifest of that digest has tags of its own, or none.
      if ((part[1] SUBSEP digest) in is && !((part[1] SUBSEP digest) in seen))
        stack[++top] = part[1] SUBSEP digest
    }
  }
}
END {
  walk()
  # A signature or attestation points to what it belongs to, and is kept with that.
  do {
    more = 0
    for (i = 1; i <= all; i++) {
      if (order[i] in seen) continue
      split(order[i], part, SUBSEP)
      if (!(part[2] in subject)) continue
      for (j = 1; j <= count[part[2]]; j++)
        if ((part[1] SUBSEP to[part[2], j]) in seen) { stack[++top] = order[i]; more = 1; break }
    }
    walk()
  } while (more)
  for (i = 1; i <= all; i++) {
    if (order[i] in seen) continue
    split(order[i], part, SUBSEP)
    print part[1], part[2] >untagged
  }
  for (digest in kept) print digest >reached
  while (images) {
    digest = image[images--]
    print digest >needed
    if (digest in subject) continue
    for (i = 1; i <= count[digest]; i++)
      if (strict[digest, i] && !(to[digest, i] in needs)) {
        needs[to[digest, i]] = 1
        image[++images] = to[digest, i]
      }
  }
}
