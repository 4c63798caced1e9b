# SPDX-License-Identifier: Apache-2.0
# awk -v most=LINES -f units.awk FILE...   prints for each file: <number of its unit>;<file>
#
# Files of a room are compiled together, several to a translation unit, because most of a compiler's time goes into headers and
# templates that they share. Two files are kept apart when one of them uses, in any meaning, a name that is local to the other
# (declared in an unnamed namespace): so a unit compiles exactly when its files do, and every name means what it means alone.
function flush_file() { if (file != "") { files[++count] = file; size[count] = lines } }
function local_name(line,    name) {
  if (line ~ /^(#|\/\/|namespace|extern|template|public:|private:)/) return ""
  while (gsub(/<[^<>]*>/, "", line)) {}
  if (match(line, /^(struct|class|union|enum class|enum struct|enum|using) +/)) line = substr(line, RLENGTH + 1)
  if (!match(line, /[A-Za-z_0-9]+ *(\(|=|\{|\[|;|:[^:]|$)/)) return ""
  name = substr(line, RSTART)
  match(name, /^[A-Za-z_0-9]+/)
  return substr(name, 1, RLENGTH)
}
FNR == 1 { flush_file(); file = FILENAME; lines = 0; hidden = 0 }
{ lines++ }
/^namespace \{/ { hidden = 1; next }
/^}  \/\/ namespace$/ { hidden = 0; next }
/^[A-Za-z]/ && (hidden || /^static /) {
  name = local_name($0)
  if (name != "") locals[count + 1] = locals[count + 1] " " name
}
{
  line = $0
  sub(/\/\/.*/, "", line)
  gsub(/[^A-Za-z_0-9]+/, " ", line)
  n = split(line, words, " ")
  for (i = 1; i <= n; i++) uses[count + 1, words[i]] = 1
}
END {
  flush_file()
  for (f = 1; f <= count; f++) {
    amount = split(locals[f], mine, " ")
    chosen = 0
    for (u = 1; u <= units && !chosen; u++) {
      if (filled[u] + size[f] > most) continue
      apart = 0
      for (m = 1; m <= members[u] && !apart; m++) {
        other = member[u, m]
        for (i = 1; i <= amount && !apart; i++) apart = (other, mine[i]) in uses
        theirs = split(locals[other], their, " ")
        for (i = 1; i <= theirs && !apart; i++) apart = (f, their[i]) in uses
      }
      if (!apart) chosen = u
    }
    if (!chosen) chosen = ++units
    member[chosen, ++members[chosen]] = f
    filled[chosen] += size[f]
    print chosen ";" files[f]
  }
}
