# Which tags cannot be pulled, and why. Files, in this order:
#   edges     FROM KIND TO    what a manifest is made of (`s`); `u`: parts of it may lie elsewhere
#   have      DIGEST          blobs on the disk
#   damaged   DIGEST          blobs that are not what their names say
#   links     REPOSITORY DIGEST  manifests and layers that a repository has
#   tags      REPOSITORY DIGEST TAG
# Prints REPOSITORY TAG WHY, a line for each tag.
FILENAME == edges {
  if ($2 == "u") { elsewhere[$1] = 1; next }
  count[$1]++
  to[$1, count[$1]] = $3
  next
}
FILENAME == have { there[$1]; next }
FILENAME == damaged { spoiled[$1]; next }
FILENAME == links { linked[$1, $2]; next }
{
  split("", seen)
  why = ""
  top = 0
  stack[++top] = $2
  of[$2] = ""
  while (top && why == "") {
    digest = stack[top--]
    if (digest in seen) continue
    seen[digest]
    if (!(digest in there)) { if (!(of[digest] in elsewhere)) why = "is missing: " digest }
    else if (digest in spoiled) why = "is damaged: " digest
    else if (!(($1, digest) in linked)) why = "is not linked in the repository: " digest
    for (i = 1; i <= count[digest]; i++) { of[to[digest, i]] = digest; stack[++top] = to[digest, i] }
  }
  if (why != "") print $1, $3, why
}
