#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes template programs, one JSON object {"template", "values"} a line, for main.go to answer. Values stand where
they change.

    programs.py                   each function and each form of error once or more
    programs.py random SEED N     N programs of the grammar below
"""
import json, random, sys

VALUES = {'s': 'hello', 'e': '', 'n': 5, 'neg': -3, 'f': 2.75, 'big': 123456789012, 'huge': 1e21, 'tiny': 1e-7, 't': True,
          'no': False, 'nil': None, 'l': [1, 2, 3], 'ls': ['b', 'a', 'c', 'a'], 'le': [], 'lm': [{'k': 'x'}, {'k': 'y'}],
          'm': {'b': 2, 'a': 1, 'c': {'d': 'deep', 'e': None}}, 'me': {}, 'mixed': [1, 'two', None, True, 2.5, [1], {'z': 1}],
          'multi': 'line one\nline two\n', 'uni': 'Grüße, 世界 ñ', 'html': '<a href="x">&\'</a>', 'json': '{"a": [1, 2.5, null, "x"]}',
          'yaml': 'a: 1\nb:\n  - x\n  - 1e3\n  - 0x10\n', 'toml': 'a = 1\n[t]\nx = [1, 2]\ny = "z"\n', 'num': '42', 'fl': '3.99'}

# Expressions that stand alone. Grouped as the functions are.
EXPRESSIONS = r'''
.Values.s|.Values.n|.Values.f|.Values.big|.Values.huge|.Values.tiny|.Values.t|.Values.nil|.Values.missing|.Values.l|.Values.m|.Values.mixed|.Values.me|.Values.le
1|-1|0x1F|0b101|0o17|017|1_000|1e3|1.5|.5|1e-7|1e100|'a'|'\n'|'\x41'|'世'|true|false|"a\tb\"c"|`raw\n`|1i|1+2i|3.0|100000000.0|1e20|1e21|123456789.0|0x1p4|-0|-0.0
and 1 2|and 0 2|and "" 1|or 0 2|or 0 ""|or 1 (index .Values.l 99)|and 0 (index .Values.l 99)|not 1|not ""|not nil|and nil 1|or nil 1|1 and 2|and|or|not
eq 1 1|eq 1 2 1|eq "a" "b"|eq 1 1.0|eq .Values.n 5|eq .Values.n 5.0|eq 1.5 1.5|eq true true|eq nil nil|eq .Values.nil nil|eq .Values.missing nil|eq .Values.m .Values.m|eq .Values.l .Values.l|eq 'a' 97|eq .Values.s "hello"|eq 1|eq "a" 1|eq .Values.nil 1|eq (int64 5) 5|eq 1+2i 1+2i
ne 1 2|ne "a" "a"|lt 1 2|lt 1 1.5|lt "a" "b"|lt true false|le 2 2|gt 3 2|ge 2 3|gt .Values.f 2.0|lt nil 1|lt .Values.l 1|ge "b" "a"|lt .Values.n 6|lt (int .Values.n) 6|ne nil 1|gt 1
index .Values.l 0|index .Values.l 3|index .Values.l 4|index .Values.l -1|index .Values.m "a"|index .Values.m "c" "d"|index .Values.m "zz"|index .Values.m 1|index .Values.s 0|index .Values.s 5|index .Values.s 9|index .Values.lm 1 "k"|index nil 1|index .Values.nil 1|index .Values.n 1|index .Values.l "a"|index .Values.l nil|index .Values.m|index 1|index .Values.m "c" "e" "x"|index .Values.mixed 6 "z"
len .Values.s|len .Values.l|len .Values.m|len .Values.nil|len nil|len 3|len .Values.uni|len .Values.n
slice .Values.l 1 2|slice .Values.l 1|slice .Values.l|slice .Values.l 0 9|slice .Values.l 2 1|slice .Values.s 1 3|slice .Values.le 0 1|slice nil
print 1 2 "a" "b" 3 .Values.nil nil|println 1 "a" nil|print|print .Values.m .Values.l|html .Values.html|js .Values.html|js .Values.uni "\u2028\x01="|urlquery .Values.html "a b"|html 1 2 nil|html .Values.nil|call 1|call nil|call .Values.s 1|html .Values.missing "x"
printf "%d %5d|%-5d|%05d|%+d|%x|%X|%o|%O|%b|%c|%q|%U|%#x|%#o|% d" 42 42 42 42 42 42 42 8 8 5 65 65 65 255 8 7
printf "%f %.2f %8.3f|%-8.1f|%+.1f|%e|%E|%g|%G|%08.2f|% f|%#g|%#.3g|%b|%x|%X" 3.14159 3.14159 3.14159 3.14159 3.14159 1234.5678 1234.5678 1e100 1e-10 -3.14159 2.5 1.0 1.0 1.5 1.5 1.5
printf "%s %10s|%-10s|%.2s|%q|%x|%X|% x|%#x|%#q|%+q|%5.1s|%05s" "hi" "hi" "hi" "hello" "q\"" "hex" "hex" "hex" "hex" "back" "ü" "long" "z"
printf "%v %+v %#v %T" .Values.m .Values.m .Values.m .Values.m|printf "%v %+v %#v %T" .Values.mixed .Values.mixed .Values.mixed .Values.mixed|printf "%v %#v %T" 1.0 1.0 1.0|printf "%v %#v %T" nil nil nil|printf "%T %T %T %T %T" 1 1.5 "a" true 'x'|printf "%T" .Values|printf "%#v" "a\nb"|printf "%#v %#v" 1 true|printf "%v" .Values.nil|printf "%s" .Values.nil|printf "%d" .Values.nil|printf "%T" .Values.nil
printf "%d" "x"|printf "%s" 1|printf "%d" 1.5|printf "%t" 1|printf "%t %v" true false|printf "%z" 1|printf "%!" 1|printf "%"|printf "%d"|printf "%d %d" 1|printf "a" 1 2 "x" nil|printf "%[2]d %[1]d" 1 2|printf "%[3]d" 1|printf "%[x]d" 1|printf "%*d" 5 42|printf "%-*d|" 5 42|printf "%.*f" 2 3.14159|printf "%*d" "a" 1|printf "%s" .Values.l|printf "%d" .Values.l|printf "%q" .Values.ls|printf "%x" .Values.ls|printf "%s %v" .Values.m .Values.m|printf "%5t|%-7t|" true false|printf "%6.2f%%" 99.5|printf "%w" 1|printf "%c%c" 0x1F600 0x110000|printf "%U %#U" 0x1F600 0x1F600|printf "%v" 1+2i|printf "%.1f" 1+2i|printf "%s" true|printf "%5v|%-5v|%05v" 1 2 3|printf "%x" 3.5|printf "%x" -255|printf "%08b" 5|printf "%+.3e" 12345.678|printf "%6d|%-6d|" .Values.l .Values.l|printf "%.3v" "abcdef"|printf "%10.3v|" 3.14159|printf "%v" 'x'|printf "%q" 'x'|printf "%#q" 0x7f|printf "%d" true|printf 1|printf "%s" (list)|printf "%v" (dict)|printf "%.10g" 100000.0|printf "%.3g" 1234567.0|printf "%g" 1e6|printf "%g" 1e21|printf "%v" 1e20|printf "%G" 1e-7|printf "%6.3d|%+06d|%-06d|" 7 7 7|printf "%s" 3.0|printf "%d" 3.0|printf "%[1]*d" 4|printf "%d %d %#[1]x %#x" 16 17|printf "%t" "a"|printf "%p" 1
abbrev 5 "hello world"|abbrev 3 "hello"|abbrevboth 5 10 "1234 5678 9123"|abbrevboth 0 7 "abcdefghijkl"|trunc 3 "hello"|trunc -3 "hello"|trunc 10 "hi"|trunc -10 "hi"|trunc 0 "hi"|trim "  a b\n\t"|upper .Values.uni|lower "ÀB"|title "hello wörld foo-bar a.b"|untitle "Hello World"|substr 1 3 "hello"|substr -1 3 "hello"|substr 2 -1 "hello"|substr 1 99 "hello"|substr 4 2 "hello"|repeat 3 "ab"|repeat 0 "x"|repeat -1 "x"|trimAll "$" "$$a$b$"|trimall "ab" "abxba"|trimSuffix "-" "a-"|trimPrefix "-" "-a"|nospace " a b\tc "|initials "First Try of it"|swapcase "This Is A.Test"|snakecase "FirstName"|snakecase "HTTPServer2xx ID_foo-bar"|kebabcase "FirstName"|kebabcase "Bld4Floor 3rd"|camelcase "http_server"|camelcase "foo-bar_Baz qux"|camelcase "a"|camelcase "FOO_BAR"|camelcase "_leading__x"|snakecase "JSONData a1B2c3"|kebabcase "hello world  x"|snakecase ""|wrap 5 "hello big wide world"|wrap 80 "short"|wrapWith 5 "\t" "helloworldlong a"|wrap 0 "ab c"|contains "ell" "hello"|hasPrefix "he" "hello"|hasSuffix "x" "hello"|quote "a" 1 nil "b\"c"|quote nil|quote .Values.l|quote 1.5 true|squote "a" 1 nil|squote .Values.m|cat "a" 1 nil "b" 2.5|cat|indent 2 .Values.multi|nindent 4 .Values.multi|indent -1 "x"|replace "l" "L" "hello"|replace "" "-" "abc"|plural "one" "many" 1|plural "one" "many" 2|toString 1.5|toString .Values.l|toString nil|toString "x"|shuffle ""|"%d" | printf 3
sha1sum "x"|sha256sum "x"|sha512sum "x"|adler32sum "Wikipedia"|b64enc "hello?"|b64dec "aGVsbG8/"|b64dec "!!"|b64dec "aGVsbG8"|b64dec "aGVs bG8="|b64dec "aGVsbG8=x"|b64dec ""|b32enc "hello"|b32dec "NBSWY3DP"|b32dec "x"|b32dec "NBSWY3D"|b32enc "ab"|b32dec "MFRA===="|derivePassword 1 "long" "password" "user" "example.com"|derivePassword 2 "maximum" "p" "u" "s"|derivePassword 1 "pin" "p" "u" "s"|derivePassword 1 "nope" "p" "u" "s"|derivePassword 3 "basic" "a" "b" "c"|encryptAES "k" ""|decryptAES "k" ""|decryptAES "secretkey" "30tEfhuJSVRhpG97XCuWgz2okj7L8vQ1s6V9zVUPeDQ="|htpasswd "a:b" "c"|genPrivateKey "nope"|len (bcrypt "x")|len (htpasswd "u" "p")|len (randAlphaNum 5)|len (randBytes 3)|len uuidv4|randInt 3 4|randInt 5 5|regexMatch "^[A-Z][a-z0-9]+$" (randAlpha 0 | cat "Ab" | nospace)|buildCustomCert "!" "x"|genCA "x"|(genCA "foo" 365).Cert | hasPrefix "-----BEGIN CERTIFICATE-----\n"|(genCA "foo" 365).Key | hasPrefix "-----BEGIN RSA PRIVATE KEY-----\n"|(genSelfSignedCert "cn" (list "1.2.3.4") (list "a.b") 10).Nope|genSelfSignedCert "cn" (list "bad") nil 10|genSelfSignedCert "cn" nil (list 1) 10|genSignedCert "cn" nil nil 10 1
atoi "12"|atoi "x"|atoi "99999999999999999999"|int "12"|int "0x1F"|int "1.0"|int "1.5"|int 3.99|int -3.99|int true|int nil|int .Values.l|int "010"|int64 "7"|int64 1e18|int 1e30|float64 "1.5"|float64 "x"|float64 3|float64 true|toDecimal 777|toDecimal "0777"|toDecimal 9|add 1 2 3|add 1.9 "2" true|add|add1 5|add1 "7"|sub 5 3|sub 1|div 7 2|div -7 2|div 7 0|mod 7 3|mod -7 3|mod 1 0|mul 2 3 4|mul 2|max 1 5 3|max 1.9 1|min 4 2 8|biggest 1 2|maxf 1.5 2.5|minf 1.5 0.5 "x"|ceil 1.2|ceil "3.7"|floor -1.2|floor 1.9|round 123.555555 3|round 123.555555 3 0.6|round 2.5 0|round -2.5 0|round "1.2345" 2|round 5 -1|add1f 1.5|addf 0.1 0.2|addf 1.5 "2" 3|subf 7.5 2 3|mulf 1.1 1.1|mulf 2 "3"|divf 10 3|divf 1 0|divf 10 2 4|divf -1 3|until 5|until -3|until 0|untilStep 3 6 2|untilStep 5 0 -2|untilStep 0 5 -1|untilStep 5 5 1|seq 5|seq -3|seq 0|seq 0 2 10|seq 2 -2|seq 0 -2 -5|seq 0 2 -5|seq|seq 1 2 3 4|seq 5 -1 1|mul .Values.big 10|add .Values.n 1|div .Values.f 2
list 1 "a" nil|list|first .Values.l|first .Values.le|first nil|first "x"|last .Values.l|rest .Values.l|rest .Values.le|initial .Values.l|initial .Values.le|append .Values.l 4|append .Values.l nil|append nil 1|append "x" 1|prepend .Values.l 0|concat .Values.l .Values.ls|concat .Values.l nil|concat .Values.l "x"|concat|concat .Values.le|reverse .Values.ls|reverse "x"|uniq .Values.ls|uniq (list 1 1.0 "1" 1)|without .Values.ls "a"|without .Values.l 1.0 2|without (list 1 2) 1|has "a" .Values.ls|has 1 .Values.l|has 1.0 .Values.l|has 4 nil|has 1 "x"|compact .Values.mixed|compact (list 0 "" nil 1 "a")|slice .Values.l 1 -1|mustSlice .Values.l 1|chunk 2 .Values.ls|chunk 10 .Values.l|chunk 0 .Values.l|chunk 2 .Values.le|sortAlpha .Values.ls|sortAlpha (list 3 1 20)|sortAlpha "x"|sortAlpha nil|sortAlpha .Values.mixed|join "," .Values.ls|join "-" .Values.mixed|join "," nil|join "," "x"|join "" .Values.l|toStrings .Values.mixed|toStrings 5|toStrings nil|split "," "a,b,c"|(split "," "a,b").\_1|splitn "," 2 "a,b,c"|splitn "," 0 "a"|splitList "," "a,,b"|splitList "" "abc"|splitList "," ""|tuple 1 2|mustFirst 5|mustAppend 5 1|mustUniq nil|push .Values.l 1|mustHas 1 5|printf "%T" (until 2)|printf "%T" (keys .Values.m)|printf "%T %T" (split "," "a") (chunk 1 .Values.l)|printf "%#v" (splitList "," "a,b")|printf "%#v" (until 3)
dict "a" 1 "b"|dict 1 2|dict|dict "a" nil|get .Values.m "a"|get .Values.m "zz"|get "x" "y"|get nil "y"|set .Values.m "new" 1|set nil "a" 1|unset .Values.m "a"|hasKey .Values.m "a"|hasKey .Values.m "zz"|hasKey .Values.nil "a"|hasKey .Values.s "a"|pluck "a" .Values.m .Values.me (dict "a" 9)|keys .Values.m | sortAlpha|keys|pick .Values.m "a" "zz"|pick .Values.m 1|omit .Values.m "a" "b"|merge (dict "a" 0 "x" 1) .Values.m|merge (dict "c" (dict "d" "" "q" 1)) .Values.m|mergeOverwrite (dict "a" 0 "x" 1) .Values.m|mergeOverwrite (dict "c" (dict "d" "keep" "q" 1)) .Values.m (dict "c" nil)|merge (dict "l" (list 1)) (dict "l" (list 2 3))|merge (dict "l" (list)) (dict "l" (list 2 3))|mergeOverwrite (dict "l" (list 1)) (dict "l" (list))|merge (dict "a" "str") (dict "a" (dict "b" 1))|mergeOverwrite (dict "a" (dict "b" 1)) (dict "a" "str")|merge (dict "a" nil) (dict "a" 1)|merge (dict "a" 1) (dict "a" nil)|mergeOverwrite (dict "a" 1) (dict "a" nil)|merge (dict "a" false) (dict "a" true)|mergeOverwrite (dict "a" true) (dict "a" false)|merge nil .Values.m|merge 1 2|mustMerge (dict) .Values.m|merge (dict)|deepCopy .Values.m|deepCopy nil|deepCopy 3|mustDeepCopy .Values.mixed|dig "c" "d" "def" .Values.m|dig "c" "zz" "def" .Values.m|dig "x" "y" "def" .Values.m|dig "a" "b" "def" .Values.m|dig "c" "e" "def" .Values.m|dig "a" .Values.m|dig "a" "x" nil|dig "a" "x" .Values|dig 1 2 3 .Values.m|values .Values.m | len|values .Values.me|get .Values "s"|hasKey .Values "s"|merge .Values (dict "zzz" 1) | keys | len|set .Values "q" 1 | typeOf|kindOf .Values|typeOf .Values|dig "m" "a" 0 (merge (dict) .Values)
default 1 nil|default 1 0|default "d" ""|default "d" .Values.s|default "d"|default 1 false|default 1 .Values.le|default 1 .Values.me|.Values.missing | default "x"|empty 0|empty ""|empty nil|empty .Values.l|empty .Values|empty 0.0|coalesce 0 nil "" "x" 1|coalesce nil|coalesce|all 1 2|all 1 0|all|any 0 1|any|any 0|ternary 1 2 true|ternary 1 2 .Values.no|ternary 1 2 "x"|true | ternary "a" "b"|typeOf 1|typeOf nil|typeOf .Values.l|typeOf .Values.n|typeIs "float64" .Values.n|typeIs "int" 1|typeIsLike "semver.Version" (semver "1.2.3")|kindOf 1|kindOf .Values.m|kindOf nil|kindOf .Values.nil|kindIs "slice" .Values.l|kindIs "map" .Values.s|deepEqual .Values.l (list 1 2 3)|deepEqual .Values.l (list 1.0 2.0 3.0)|deepEqual nil nil|deepEqual (dict "a" 1) (dict "a" 1)|deepEqual .Values.ls (splitList "," "b,a,c,a")|fail "boom"|hello|kindOf (semver "1.2.3")|typeOf now|kindOf now|typeOf (genCA "a" 1)|kindOf (until 1)
regexMatch "^h" "hello"|regexMatch "[" "x"|mustRegexMatch "(" "x"|regexFind "[a-z]+" "12abc3"|regexFind "x" "abc"|regexFind "[" "x"|mustRegexFind "*a" "x"|regexFindAll "[0-9]" "a1b2c3" -1|regexFindAll "[0-9]" "a1b2c3" 2|regexFindAll "x" "abc" -1|regexFindAll "a*" "baac" -1|regexFindAll "a" "aaa" 0|regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W"|regexReplaceAll "a(x*)b" "-ab-axxb-" "$1W"|regexReplaceAll "a*" "baac" "-"|regexReplaceAll "" "abc" "."|regexReplaceAll "(?P<n>b)" "abc" "<${n}$$>"|regexReplaceAllLiteral "a(x*)b" "-ab-axxb-" "${1}"|regexSplit "z+" "pizza" -1|regexSplit "z+" "pizzazz" 2|regexSplit "a" "" -1|regexSplit "" "abc" -1|regexSplit "," "a,b" 0|regexQuoteMeta "1.2.3[x]*"|mustRegexReplaceAll "a{1001}" "x" "y"|mustRegexFind "\\" "x"|mustRegexFind "a**" "x"|mustRegexFind "[b-a]" "x"|mustRegexFind "(?z)" "x"|mustRegexFind "\\8" "x"|mustRegexSplit ")" "x" 1|mustRegexFind "[[:foo:]]" "x"|regexReplaceAll "世" .Values.uni "X"|regexMatch "(?i)HELLO" .Values.s
semver "1.2.3-beta.1+123"|(semver "v1.2.3-beta.1+123").Major|(semver "1.2.3").Prerelease|(semver "1.2").Original|(semver "1.2.3" | printf "%s")|semver "x"|semver "1.02.3"|semver "1.2.3-01"|(semver "1.2.3").Nope|(semver "1.2.3").Compare (semver "1.2.4")|(semver "1.2.3").Compare "x"|(semver "1.2.3").IncMinor|semverCompare "^1.2.0" "1.3.0"|semverCompare "~1.2" "1.2.9"|semverCompare "~1.2.3" "1.3.0"|semverCompare ">=1.2 <2" "1.5.0"|semverCompare ">=1.2, <2" "2.0.0"|semverCompare "1.2 - 1.4" "1.4.5"|semverCompare "1.2.x" "1.2.7"|semverCompare "*" "3.4.5"|semverCompare "*" "3.4.5-a"|semverCompare "!=1.x" "2.1.0"|semverCompare "^0.2" "0.2.5"|semverCompare "^0" "0.9.0"|semverCompare "^0.0.3" "0.0.4"|semverCompare ">=1.21-0" "v1.30.1-gke.100"|semverCompare ">=1.21" "v1.30.1-gke.100"|semverCompare "1.0 || >=2.0" "2.5.0"|semverCompare "" "1.0.0"|semverCompare "foo" "1.0.0"|semverCompare ">1.0" "x"|semverCompare ">1.x" "2.0.0"|semverCompare "<=1.2" "1.2.9"|semverCompare "<1.2" "1.1.9"|semverCompare "=1.2.3" "1.2.3+meta"|semverCompare "> 1.2.3 " "1.2.4"|semverCompare ">1.2.3,<2" "1.3"|semverCompare "1.2.3 1.2.4" "1.2.3"|semverCompare "~>1.2" "1.9"|semverCompare "=>1" "1.0.0"|semverCompare ">=1.2.3-alpha.2" "1.2.3-alpha.10"|semverCompare "a || b" "1"|semverCompare "1.2.3.4" "1.2.3"
urlParse "https://user:pa%20ss@host:8080/p/a th?q=1&b#frag"|urlParse "mailto:a@b"|urlParse "/rel/path"|urlParse "http://[::1]:80/"|urlParse "%zz"|urlParse "a:b:c"|urlParse ":x"|urlParse "http://h:x/"|urlParse ""|urlJoin (dict "scheme" "http" "host" "h:80" "path" "/p q" "query" "a=b" "fragment" "f" "userinfo" "u:p")|urlJoin (dict "host" "h" "path" "p")|urlJoin (dict "scheme" 1)|urlJoin (dict)|urlParse "http://host?x#y z" | urlJoin
base "/a/b.txt"|base ""|base "/"|dir "/a/b/c"|dir "a"|dir "/"|clean "/a/../b//c/."|clean ""|clean "../x"|ext "a/b.tar.gz"|ext "x"|isAbs "/a"|isAbs "a"|osBase "/x/y"|osDir "/x/y"|osExt "y.z"|osClean "a/./b"|osIsAbs "/"
toDate "2006-01-02" "2024-02-29" | date "Monday, 02-Jan-06 15:04:05"|dateInZone "2006-01-02T15:04:05Z07:00" 1700000000 "UTC"|dateInZone "2006-01-02 15:04:05.000 MST -0700" 1700000000 "America/New_York"|date_in_zone "Jan _2 3:04PM" 1700000000 "Asia/Kolkata"|dateInZone "Mon 02 Jan 2006" 0 "Nope/Zone"|htmlDate 1700000000|htmlDateInZone 1700000000 "Asia/Tokyo"|duration 95|duration "95"|duration (int64 3661)|duration 1.5|durationRound "2h10m5s"|durationRound "2400h10m5s"|durationRound (int64 100000)|durationRound "x"|durationRound 1|toDate "2006-01-02" "2024-01-05" | unixEpoch|toDate "2006-01-02" "bad"|mustToDate "2006-01-02" "2024-13-01"|mustToDate "2006-01-02" "2024-02-30"|mustToDate "2006-01-02" "x"|mustToDate "2006-01-02 15:04:05 MST" "2024-01-02 03:04:05 CEST"|mustToDate "2006-01-02T15:04:05Z07:00" "2024-01-02T03:04:05.678+02:00"|toDate "2006-01-02" "2024-01-31" | dateModify "24h" | date "2006-01-02"|toDate "2006-01-02" "2024-01-31" | mustDateModify "x"|dateModify "1h" 5|unixEpoch 5|(toDate "2006-01-02" "2024-03-10").Year|(toDate "2006-01-02" "2024-03-10").Month|(toDate "2006-01-02" "2024-03-10").Weekday|(toDate "2006-01-02" "2024-03-10").YearDay|(toDate "2006-01-02" "2024-03-10").Format "2006/1/2 002 __2 pm .00"|((toDate "2006-01-02" "2024-03-10").AddDate 0 1 30).Format "2006-01-02"|(toDate "2006-01-02" "2024-03-10").Unix|(toDate "2006-01-02" "2024-03-10").Nope|date "2006-01-02 15:04" "x" | len|ago "x"|dateInZone "2006-07-04 _2006 Janet Monday" 1720000000 "Europe/Berlin"|toDate "Jan 2, 2006 at 3:04pm (MST)" "Feb 3, 2013 at 7:54pm (PST)"|toYaml (toDate "2006-01-02" "2024-03-10")
toJson .Values.m|toJson .Values.mixed|toJson .Values.html|toJson nil|toJson "a\u2028\x01"|toRawJson .Values.html|toPrettyJson .Values.m|toPrettyJson .Values.le|toPrettyJson .Values.me|fromJson .Values.json|fromJson "[1]"|fromJson "x"|fromJson "{\"a\":}"|fromJson ""|fromJson "1"|fromJson "null"|fromJson "{\"a\":1} x"|fromJson "{\"a\":1,}"|fromJson "{\"a\" 1}"|fromJson "{\"a\":tru}"|fromJson "{\"a\":\"\n\"}"|fromJson "{\"a\":01}"|fromJson "{\"a\":1.}"|fromJson "{\"a\":\"\\x\"}"|fromJsonArray "[1, \"a\"]"|fromJsonArray "{}"|fromJsonArray "["|mustFromJson "{"|mustFromJson "[1,2.0,1e3,\"x\"]"|mustToJson .Values.m|mustToPrettyJson .Values.l|mustToRawJson .Values.html|toJson .Values.huge|toJson .Values.tiny|toJson 1.0|toJson (list 1 1.5 true nil "x")|toJson .Values.uni|toJson (semver "1.2.3")|toJson 1+2i
toYaml .Values.m|toYaml .Values.mixed|toYaml .Values.l|toYaml .Values.le|toYaml .Values.me|toYaml nil|toYaml "x"|toYaml "a: b"|toYaml 1.0|toYaml .Values.huge|toYaml .Values.multi|toYaml (dict "s" "yes" "n" "123" "e" "" "t" "true" "nl" "a\nb" "sp" " x" "c" "a: b" "h" "#x" "tilde" "~" "date" "2024-01-01")|toYaml .Values.html|toYaml .Values.uni|toYaml (list (dict "a" 1 "b" (list 1 2)) (list))|toYamlPretty .Values.m|toYamlPretty (dict "a" (list 1 (dict "b" 2)))|fromYaml .Values.yaml|fromYaml "a: yes\nb: on\nc: 0o7\nd: 010\ne: 1.0\nf: ~\ng: 2024-01-01\nh: 1_000"|fromYaml "- a"|fromYaml "x"|fromYaml ""|fromYaml "a: b: c" | typeOf|fromYaml "~" | toJson|fromJson "null" | toJson|fromYamlArray "" | toJson|fromYaml "---\na: 1\n---\nb: 2"|fromYaml "a: .inf"|fromYaml "a: 1\na: 2"|fromYaml "1: a\ntrue: b\n1.5: c"|fromYaml "a: &x {b: 1}\nc:\n  <<: *x"|b32dec "\n!!"|b64dec "aGV\n!"|toToml nil|chunk -1 (list 1 2)|fromYamlArray "- 1\n- a"|fromYamlArray "a: 1"|toToml .Values.m|toToml (dict "a" 1.5 "l" (list 1 "x") "t" (dict "n" (dict "x" true)) "at" (list (dict "q" 1) (dict "q" 2)))|fromToml .Values.toml|fromToml "a = [1, 2.5, \"x\"]\nb.c = 'lit'\n[[arr]]\nx=1\n[[arr]]\nx=2"|toToml "x"|toToml (dict "k 1" "v\"")|toYaml .Values.big|toYaml (dict 1 2)|toYaml (until 3)|toYaml (semver "1.2.3")|toYaml (dict "long" "aaaa bbbb cccc dddd eeee ffff gggg hhhh iiii jjjj kkkk llll mmmm nnnn oooo pppp qqqq rrrr")
required "need" .Values.missing|required "need" ""|required "need" .Values.s|required "need" 0|required 1 2|include "nope" .|tpl "{{ .Values.s }}" .|tpl "{{ .Values.x.y }}" .|tpl "{{" .|tpl "{{ define \"q\" }}Q{{ end }}{{ include \"q\" . }}" .|tpl "" .|tpl "{{ nofn }}" .|tpl 1 .|tpl "{{ .Values.missing }}" .|getHostByName "localhost"|lookup "v1" "Pod" "ns" "n"|lookup "v1" "Pod" "ns"
.Values.s.foo|.Values.m.zz.y|.Values.nil.x|.Values.missing.x.y|.Values.l.x|.Values.n.x|.Nope|.Nope.x|.Values.s "arg"|.Values.m.a 1|"x" | .Values.s|1 | 2|nil|nil.x|(nil)|.Values.nil | upper|upper .Values.nil|upper 1|upper .Values.n|1 | upper|upper|upper "a" "b"|.Values.m | upper|upper .Values.missing|upper nil|repeat "x" "y"|repeat 1.5 "y"|repeat .Values.n "y"|ternary 1 2 nil|round 1.5 nil|substr "a" 2 3|splitn "," "x" "y"|nofunc 1|$x|"a" "b"|(1) 2|("x").y|(.Values.s).y|(dict "a" 1).a|(dict "a" 1).b.c|(list 1).x|.Values.m.c.d.e|true 1|1.5.x|.Values.l.0|.Values.m."a"|(index .Values.lm 0).k|.Values.lm.k|$.Values.s|$.Values.s.x|toYaml|. | len|(.Values.m | toYaml) | indent 2
'''

PROGRAMS = [
    'a{{- 1 -}} b {{- 2 }} c', '{{/* c */}}x{{- /* c */ -}} y', '{{ /* c */ }}', '{{/* unclosed }}', '{{/* c */ x}}', '{{ 1 }', '{{ "a }}', "{{ 'a }}", '{{ `a }}',
    '{{ if .Values.t }}y{{ else }}n{{ end }}', '{{ if 0 }}a{{ else if 1 }}b{{ else }}c{{ end }}', '{{ with .Values.s }}{{ . }}{{ else }}e{{ end }}',
    '{{ with .Values.e }}{{ . }}{{ else with .Values.s }}w{{ . }}{{ end }}', '{{ with $x := .Values.m }}{{ $x.a }}{{ .b }}{{ end }}', '{{ if }}x{{ end }}', '{{ if 1 }}x', '{{ end }}', '{{ else }}',
    '{{ range .Values.l }}[{{ . }}]{{ end }}', '{{ range $i, $e := .Values.ls }}{{ $i }}:{{ $e }} {{ end }}', '{{ range $k, $v := .Values.m }}{{ $k }}={{ $v }};{{ end }}', '{{ range .Values.le }}x{{ else }}none{{ end }}',
    '{{ range 3 }}{{ . }}{{ end }}', '{{ range $i := 3 }}{{ $i }}{{ end }}', '{{ range $i, $e := 3 }}{{ $i }}{{ end }}', '{{ range .Values.s }}{{ . }}{{ end }}', '{{ range .Values.n }}{{ . }}{{ end }}', '{{ range int .Values.n }}{{ . }}{{ end }}', '{{ range nil }}x{{ else }}e{{ end }}', '{{ range .Values.missing }}x{{ else }}e{{ end }}',
    '{{ range -2 }}x{{ else }}neg{{ end }}', '{{ range .Values.l }}{{ if eq . 2.0 }}{{ continue }}{{ end }}{{ . }}{{ end }}', '{{ range .Values.l }}{{ if eq . 2.0 }}{{ break }}{{ end }}{{ . }}{{ end }}', '{{ break }}', '{{ if 1 }}{{ continue }}{{ end }}',
    '{{ range .Values.l }}{{ range .Values.le }}{{ else }}{{ end }}{{ end }}', '{{ range $.Values.l }}{{ range $.Values.le }}{{ else }}{{ break }}{{ end }}a{{ end }}', '{{ range $.Values.l }}{{ range $.Values.le }}{{ else }}{{ continue }}{{ end }}a{{ end }}',
    '{{ range $i, $_ := .Values.mixed }}{{ $i }}{{ . }}{{ end }}', '{{ range .Values.mixed }}{{ .x }}{{ end }}', '{{ range $v := .Values.ls }}{{ $v.foo }}{{ end }}', '{{ range .Values.lm }}{{ .k.z }}{{ end }}', '{{ with .Values.s }}{{ .foo }}{{ end }}', '{{ $v := .Values.s }}{{ $v.foo }}',
    '{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 3 }}{{ end }}{{ $x }}', '{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}', '{{ $y }}', '{{ if 1 }}{{ $y := 1 }}{{ end }}{{ $y }}', '{{ $x = 1 }}', '{{ $x := }}', '{{ $x, $y := 1 }}', '{{ range $a, $b, $c := .Values.l }}{{ end }}', '{{ range $a, 1 }}{{ end }}', '{{ $x := 1 | add 2 }}{{ $x }}', '{{ $x:=1 }}{{$x}}', '{{ 1 := 2 }}', '{{ $x := 1 }}{{ range $x = .Values.l }}{{ end }}{{ $x }}', '{{ $i := 0 }}{{ $e := 0 }}{{ range $i, $e = .Values.ls }}{{ end }}{{ $i }}{{ $e }}',
    '{{ define "a" }}A{{ . }}{{ end }}{{ template "a" 1 }}{{ template "a" }}{{ include "a" .Values.s | upper }}', '{{ template "nope" }}', '{{ template nope }}', '{{ define "a" }}x{{ end }}{{ define "a" }}y{{ end }}{{ template "a" }}', '{{ define "a" }} {{ end }}{{ define "a" }}y{{ end }}{{ template "a" }}', '{{ define a }}{{ end }}', '{{ define "a" }}', '{{ if 1 }}{{ define "a" }}{{ end }}{{ end }}', '{{ block "b" .Values.s }}[{{ . }}]{{ end }}', '{{ block "b" }}x{{ end }}', '{{ define "r" }}{{ include "r" . }}{{ end }}x', '{{ define "a" }}{{ $ }}{{ .x.y }}{{ end }}{{ include "a" (dict "x" nil) }}', '{{ define "a" }}{{ fail "deep" }}{{ end }}\n  {{ include "a" . }}', '{{ define "c" }}{{ index .l 9 }}{{ end }}{{ template "c" .Values }}', '{{ template "x" 1 2 }}',
    '{{ $d := dict }}{{ $_ := set $d "a" 1 }}{{ $_ := set $d "b" $d.a }}{{ $d }}', '{{ $_ := set .Values "added" 1 }}{{ .Values.added }}', '{{ $_ := set .Values.m "q" (list 1) }}{{ .Values.m }}', '{{ $c := deepCopy .Values.m }}{{ $_ := set $c "a" 9 }}{{ .Values.m.a }}{{ $c.a }}', '{{ $c := .Values.m }}{{ $_ := set $c.c "d" 9 }}{{ .Values.m }}', '{{ $_ := merge .Values.m (dict "zz" 1) }}{{ .Values.m }}', '{{ $o := omit .Values.m "a" }}{{ $_ := set $o.c "n" 1 }}{{ .Values.m }}', '{{ range $k, $v := .Values.m }}{{ $_ := unset $.Values.m $k }}{{ end }}{{ .Values.m }}', '{{ $_ := unset .Values.m "a" }}{{ hasKey .Values.m "a" }}', '{{ range $i, $x := .Values.lm }}{{ $_ := set $x "i" $i }}{{ end }}{{ .Values.lm }}',
    '{{ 1 | }}', '{{ | 1 }}', '{{ }}', '{{ ( }}', '{{ ) }}', '{{ (1 }}', '{{ 1) }}', '{{ () }}', '{{ 1 2 }}', '{{ 1a }}', '{{ 0x }}', '{{ 09 }}', '{{ 1__0 }}', '{{ 99999999999999999999 }}', '{{ 1e400 }}', "{{ 'ab' }}", "{{ '' }}", '{{ "\\q" }}', '{{ "\\u12" }}', '{{ .a.b-c }}', '{{ a-b }}', '{{ .. }}', '{{ .1a }}', '{{ $a.b.c }}', '{{ , }}', '{{ x: }}', '{{ := 1 }}', '{{ = 1 }}', '{{ \x01 }}', '{{ é }}', '{{ "é" }}', '{{ .Values.é }}', '{{ nil | default 1 }}', '{{ true | not }}', '{{ .Values.s | "x" }}', '{{ "x" | .Values.s }}', '{{ "x" | 1 }}', '{{if 1}}{{else}}{{else}}{{end}}', '{{if 1}}{{else if}}{{end}}', '{{range}}{{end}}', '{{with}}{{end}}', '{{if 1}}\n{{ foo }}\n{{end}}', '{{ if\n1 }}y{{ end }}', '{{ add\n1\n2 }}', '{{ "a\nb" }}', '{{ `a\nb` }}', '{{ if eq 1\n }}x', 'a\n\nb {{ .Values.s.x }}', '{{ with .Values.m }}\n  {{ .c.d.e }}{{ end }}', '{{ printf "%d" (index .Values.l 7) }}', '{{ .Values.l | first | printf "%v" | upper | trunc "x" }}', '{{ (index .Values.lm 0).k.z }}', '{{ len (index .Values.lm 0) .Values }}', '{{- if and (eq 1 1) (ne 2 3) -}} yes {{- end -}}', '{{ "{{" }}{{ "}}" }}', '{{"a"}}{{"b"}}', '{{ .Values.s|upper }}', '{{.Values.s}}.{{.Values.n}}', '{{-1}}', '{{- -1 -}}', '{{ 1 -}}\n\n  x', 'x  \n {{- 1 }}', '{{ (add 1 2) | mul 3 }}', '{{ add (1) (2 | add 3) }}', '{{ not (not 1) }}', '{{ and 1 (or 0 (and 2 3)) }}', '{{ if not .Values.nil }}n{{ end }}', '{{ if .Values.missing.x }}n{{ end }}', '{{ if (.Values.missing).x }}n{{ else }}e{{ end }}', '{{ (.Values.missing).x.y }}', '{{ with .Values.missing }}{{ else }}{{ . | len }}{{ end }}', '{{ define "x" }}{{ .Values.s }}{{ end }}{{ tpl "{{ include \\"x\\" . }}-{{ template \\"x\\" . }}" . }}', '{{ tpl (tpl "{{ \\"{{ 1 }}\\" }}" .) . }}', '{{ define "f" }}{{ tpl . 1 }}{{ end }}{{ include "f" "{{ .x }}" }}', '{{ $t := "{{ . }}{{ $ }}" }}{{ tpl $t 5 }}', '{{ range tuple "a" "b" }}{{ tpl "{{ . }}{{ upper . }}" . }}{{ end }}',
    # What follows the first document of a text is not looked at; bytes that are no characters; found by the random programs.
    '{{ toJson (fromYaml "[1 2 3] 1") }}', '{{ toJson (fromYamlArray "[1 2 3] 1") }}', '{{ toJson (fromYaml "{a: b} 1") }}', '{{ toJson (fromYaml "a: [1] 1") }}',
    '{{ toJson (fromYaml "a: b\\n---\\nc: [") }}', '{{ toJson (fromYaml "a: b\\n...\\n]") }}', '{{ toJson (fromYaml "---\\na: b\\n--- }") }}', '{{ toJson (fromYaml "# x\\n---\\na: 1\\n---\\n\\"b") }}',
    '{{ toJson (fromYaml "a: [\\n---\\nb: 1") }}', '{{ toJson (fromYaml "a: b\\n---x: [") }}', '{{ toJson (fromYaml "%YAML 1.1\\n---\\na: 1\\n---\\n@") }}', '{{ toJson (fromYaml "a: |\\n  x\\n---\\n\\tb: [") }}',
    '{{ coalesce.Values.nil "" "x" }}', '{{ coalesce.x }}', '{{ (coalesce).x }}', '{{ list.x }}', '{{ dict.x }}', '{{ toToml (dict "l" (list .Values.m 2.5)) }}', '{{ toToml (dict "l" (list (dict "a" nil "b" 1 "c" (dict "x" nil)) 2)) }}',
    '{{ range list (trunc -1 .Values.uni) (printf "%sab" (trunc -1 .Values.uni)) (printf "ab%s" (trunc -1 .Values.uni)) (printf "AB%sCd" (trunc -1 .Values.uni)) (printf "a_%s-b" (trunc -1 .Values.uni)) (printf "%s A" (trunc -1 .Values.uni)) (printf "1%s2!%s" (trunc -1 .Values.uni) (trunc -1 .Values.uni)) }}{{ kebabcase . | b64enc }} {{ snakecase . | b64enc }} {{ camelcase . | b64enc }} {{ end }}',
    # Forms of errors of text/template, Sprig and Helm that nothing above makes; bytes that are no characters as JSON, YAML and TOML.
    '{{ 9223372036854775808 }}', '{{ 0xFFFFFFFFFFFFFFFF }}', '{{ add 9223372036854775808 1 }}', '{{ printf "%d" 18446744073709551615 }}', '{{ (semver "1.2.3").major }}', '{{ (now).wall }}', '{{ now.wall }}', '{{ (semver "1.2.3").Major }}', '{{ (semver "1.2.3").nope }}', '{{ (urlParse "http://a").x }}', '{{ $c := genCA "a" 1 }}{{ $c.Cert 1 }}', '{{ $c := genCA "a" 1 }}{{ "x" | $c.Cert }}',
    '{{ derivePassword "x" "long" "p" "u" "s" }}', '{{ derivePassword -1 "long" "p" "u" "s" }}', '{{ derivePassword 1.5 "long" "p" "u" "s" }}', '{{ round 1.5 0 "x" }}', '{{ round 1.5 0 true }}', '{{ round 1.5 0 .Values.s }}', '{{ round 1.5 0 nil }}', '{{ define "r" }}{{ template "r" . }}{{ end }}{{ template "r" . }}', '{{ tpl "" . }}|', '{{ tpl "{{/* c */}}" . }}|',
    '{{ tpl "{{ define \\"z\\" }}q{{ end }}" . }}|', '{{ tpl "{{ define \\"z\\" }}q{{ end }}{{ include \\"z\\" . }}" . }}|', '{{ tpl "{{ nope }}" . }}', '{{ tpl "{{ .a.b.c }}" .Values }}', '{{ tpl "{{ fail \\"deep\\" }}" . }}', '{{ genCAWithKey "a" 1 "nokey" }}', '{{ genSelfSignedCertWithKey "a" nil nil 1 "nokey" }}', '{{ genSignedCertWithKey "a" nil nil 1 (genCA "a" 1) "nokey" }}',
    '{{ buildCustomCert "x" "x" }}', '{{ buildCustomCert (b64enc "a") (b64enc "b") }}', '{{ buildCustomCert (b64enc "a") "!" }}', '{{ buildCustomCert (b64enc (genCA "x" 1).Cert) (b64enc "b") }}', '{{ genSignedCert "cn" nil nil 10 (dict) }}', '{{ genSignedCert "cn" (list "1.2.3") nil 10 (genCA "a" 1) }}', '{{ genSignedCert "cn" (list 1) nil 10 (genCA "a" 1) }}',
    '{{ genSignedCert "cn" nil (list 1) 10 (genCA "a" 1) }}', '{{ genCAWithKey "a" 1 "-----BEGIN FOO-----\\nAAAA\\n-----END FOO-----\\n" }}', '{{ urlJoin (dict "userinfo" "%zz" "host" "h" "scheme" "http") }}', '{{ urlJoin (dict "userinfo" "a b" "host" "h" "scheme" "http") }}', '{{ urlParse "http://[::1" }}', '{{ "x" .Values }}', '{{ (nil).x }}', '{{ .Values.s nil }}', '{{ default nil nil }}',
    '{{ keys nil }}', '{{ atoi nil }}', '{{ until nil }}', '{{ 1.x }}', '{{ "a".x }}', '{{ true.x }}', '{{ .x.y | .Values.s }}', '{{ template "x" }}', '{{ block "x" . }}{{ end }}{{ end }}', '{{ define "x" }}{{ else }}{{ end }}', '{{ with 1 }}{{ else with }}{{ end }}', '{{ range 1 }}{{ else range 1 }}{{ end }}{{ end }}', '{{ range $x := 1 2 }}{{ end }}', '{{ range $i, $v := 3 }}{{ end }}',
    '{{ range "abc" }}{{ end }}', '{{ range 2.5 }}{{ end }}', '{{ range true }}{{ end }}', '{{ range nil }}{{ end }}', '{{ range .Values.nil }}x{{ else }}y{{ end }}', '{{ range -1 }}x{{ else }}y{{ end }}', '{{ toJson (trunc -1 .Values.uni) }}', '{{ toJson (printf "%c" 55296) }}', '{{ toJson (dict "a" (b64dec "gA==")) }}', '{{ toJson (dict (b64dec "/w==") 1) }}', '{{ toRawJson (b64dec "gP8=") }}',
    '{{ toPrettyJson (list (b64dec "gP8=")) }}', '{{ mustToJson (b64dec "gP8=") }}', '{{ toYaml (b64dec "gP8=") }}', '{{ toYaml (dict "a" (b64dec "gA==")) }}', '{{ toYaml (dict (b64dec "/w==") 1) }}', '{{ (b64dec "7aCA") | toJson }}', '{{ toToml (dict "l" (list nil)) }}', '{{ toToml (dict "l" (list 1 nil)) }}', '{{ toToml (dict "l" (list nil 1)) }}',
    '{{ toToml (dict "l" (list (dict "a" 1) nil)) }}', '{{ toToml (list nil) }}', '{{ toToml (dict "a" nil) }}', '{{ toToml 1 }}', '{{ toToml (dict "a" (dict "l" (list (dict "b" (list nil))))) }}', '{{ toToml (dict "l" (list (list 1) nil)) }}', '{{ toToml (dict "l" .Values.mixed) }}', '{{ toToml .Values.mixed }}', '{{ toToml .Values.lm }}',
    '{{ toToml .Values }}',
    # A name that is included again over the same data, which was edited in between, or not.
    '{{ define "n" }}{{ .Values.s }}{{ end }}{{ include "n" . }}{{ $_ := set .Values "s" "z" }}{{ include "n" . }}', '{{ define "n" }}{{ toJson .Values.m }}{{ end }}{{ include "n" . }}{{ $_ := unset .Values.m "a" }}{{ include "n" . }}',
    '{{ define "n" }}{{ .Values.q }}{{ end }}{{ define "e" }}{{ $_ := set .Values "q" (add 1 (default 0 .Values.q)) }}{{ end }}{{ include "n" . }}{{ include "e" . }}{{ include "n" . }}{{ include "e" . }}{{ include "n" . }}', '{{ define "n" }}{{ toJson .Values.m }}{{ end }}{{ include "n" . }}{{ $_ := mergeOverwrite .Values.m (dict "b" 9 "c" (dict "d" 1)) }}{{ include "n" . }}',
    '{{ define "n" }}{{ .Values.q }}{{ end }}{{ define "e" }}{{ template "f" . }}{{ end }}{{ define "f" }}{{ $_ := set .Values "q" (add 1 (default 0 .Values.q)) }}{{ end }}{{ include "e" . }}{{ include "n" . }}{{ include "e" . }}{{ include "n" . }}',
    '{{ define "r" }}{{ randAlpha 20 }}{{ end }}{{ define "q" }}{{ include "r" . }}{{ end }}{{ eq (include "r" .) (include "r" .) }}{{ eq (include "q" .) (include "q" .) }}{{ define "u" }}{{ uuidv4 }}{{ end }}{{ eq (include "u" .) (include "u" .) }}',
    '{{ define "a" }}{{ include .Values.s . }}{{ end }}{{ define "hello" }}1{{ end }}{{ define "z" }}2{{ end }}{{ include "a" . }}{{ $_ := set .Values "s" "z" }}{{ include "a" . }}', '{{ define "a" }}{{ tpl .Values.s . }}{{ end }}{{ include "a" . }}{{ $_ := set .Values "s" "{{ .Values.n }}" }}{{ include "a" . }}',
    '{{ define "n" }}{{ .Values.n }}{{ end }}{{ with .Values }}{{ include "n" $ }}{{ end }}{{ include "n" . }}{{ include "n" (dict "Values" (dict "n" 7)) }}{{ include "n" . }}', '{{ define "x" }}1{{ end }}{{ define "y" }}{{ include "x" . }}{{ end }}{{ include "y" . }}{{ tpl "{{ define \\"x\\" }}2{{ end }}{{ include \\"y\\" . }}" . }}{{ include "y" . }}',
    '{{ define "f" }}{{ .Values.s.x }}{{ end }}{{ define "g" }}{{ with .Values.nope }}{{ include "f" $ }}{{ end }}{{ end }}{{ include "g" . }}{{ include "f" . }}', '{{ define "p" }}{{ range $i, $x := .Values.lm }}{{ $i }}{{ $x.k }}{{ end }}{{ end }}{{ include "p" . }}{{ range .Values.lm }}{{ $_ := set . "k" "w" }}{{ end }}{{ include "p" . }}',
    '{{ define "k" }}{{ $d := dict "a" 1 }}{{ $_ := set $d "b" .Values.n }}{{ toJson $d }}{{ end }}{{ include "k" . }}{{ include "k" . }}', '{{ define "l" }}{{ include "m" . }}{{ end }}{{ define "m" }}{{ if .Values.t }}{{ $_ := set .Values "t" false }}{{ include "l" . }}{{ else }}end{{ end }}{{ end }}{{ include "l" . }}{{ include "l" . }}',
]


def hand_written():
    for line in EXPRESSIONS.strip().split('\n'):
        for expression in split_expressions(line):
            yield '{{ ' + expression + ' }}'
    yield from PROGRAMS


def split_expressions(line):
    """Expressions are parted by | with no blank around it, outside of quotes and parentheses."""
    parts, start, quote, depth, i = [], 0, '', 0, 0
    while i < len(line):
        c = line[i]
        if quote:
            if c == '\\' and quote != '`':
                i += 1
            elif c == quote:
                quote = ''
        elif c in '"`' or (c == "'" and (i == 0 or line[i - 1] in ' (|')):
            quote = c
        elif c == '(':
            depth += 1
        elif c == ')':
            depth -= 1
        elif c == '|' and depth == 0 and (i == 0 or line[i - 1] != ' ') and line[i + 1:i + 2] != ' ':
            parts.append(line[start:i])
            start = i + 1
        i += 1
    return parts + [line[start:]]


# --- random programs

# Functions by what they take: s string, i int, a anything, l list, m dict, b bool, f number. (Nothing random, no clock.)
FUNCTIONS = {
    'upper': 's', 'lower': 's', 'title': 's', 'trim': 's', 'quote': 'a', 'squote': 'a', 'toString': 'a', 'trunc': 'is', 'repeat': 'is', 'indent': 'is',
    'nindent': 'is', 'replace': 'sss', 'contains': 'ss', 'hasPrefix': 'ss', 'trimSuffix': 'ss', 'trimPrefix': 'ss', 'trimAll': 'ss', 'splitList': 'ss',
    'split': 'ss', 'join': 'sl', 'cat': 'aa', 'substr': 'iis', 'abbrev': 'is', 'snakecase': 's', 'camelcase': 's', 'kebabcase': 's', 'swapcase': 's', 'untitle': 's',
    'initials': 's', 'nospace': 's', 'plural': 'ssi', 'wrap': 'is', 'b64enc': 's', 'b64dec': 's', 'b32enc': 's', 'b32dec': 's', 'sha256sum': 's', 'atoi': 's', 'int': 'a',
    'int64': 'a', 'float64': 'a', 'add': 'ff', 'sub': 'ff', 'mul': 'ff', 'div': 'ff', 'mod': 'ff', 'max': 'ff', 'min': 'ff', 'addf': 'ff', 'mulf': 'ff', 'divf': 'ff', 'round': 'fi',
    'floor': 'f', 'ceil': 'f', 'add1': 'f', 'list': 'aaa', 'first': 'l', 'last': 'l', 'rest': 'l', 'initial': 'l', 'append': 'la', 'prepend': 'la', 'concat': 'll', 'reverse': 'l',
    'uniq': 'l', 'without': 'la', 'has': 'al', 'compact': 'l', 'sortAlpha': 'l', 'toStrings': 'l', 'slice': 'li', 'chunk': 'il', 'until': 'i', 'untilStep': 'iii', 'dict': 'sasa', 'get': 'ms', 'hasKey': 'ms',
    'pluck': 'smm', 'pick': 'mss', 'omit': 'ms', 'merge': 'mm', 'mergeOverwrite': 'mm', 'deepCopy': 'a', 'dig': 'ssam', 'set': 'mss', 'unset': 'ms', 'default': 'aa', 'empty': 'a', 'coalesce': 'aaa',
    'ternary': 'aab', 'typeOf': 'a', 'kindOf': 'a', 'kindIs': 'sa', 'deepEqual': 'aa', 'toJson': 'a', 'toYaml': 'a', 'toPrettyJson': 'a', 'fromJson': 's', 'fromYaml': 's', 'toToml': 'm', 'all': 'aa', 'any': 'aa',
    'eq': 'aa', 'ne': 'aa', 'lt': 'ff', 'gt': 'ff', 'le': 'ss', 'ge': 'ss', 'and': 'aa', 'or': 'aa', 'not': 'a', 'index': 'la', 'len': 'a', 'print': 'aa', 'html': 's', 'js': 's', 'urlquery': 's',
    'base': 's', 'dir': 's', 'ext': 's', 'clean': 's', 'regexQuoteMeta': 's', 'required': 'sa', 'tpl': 'sa', 'fail': 's', 'seq': 'ii', 'adler32sum': 's',
}
LITERALS = {
    's': ['"a"', '"Hello World"', '""', '"a,b,c"', '"x-y_z"', '"é世"', '"{{ . }}"', '.Values.s', '.Values.e', '.Values.multi', '.Values.uni', '.Values.html', '"12"', '"%v"', '"a: 1"', '"[1,2]"'],
    'i': ['0', '1', '2', '5', '-1', '12', '(int .Values.n)', "'a'"],
    'f': ['1', '2.5', '-3', '0', '.Values.n', '.Values.f', '"7"', '1e3', '.Values.big', '0.1'],
    'a': ['1', '"x"', 'nil', 'true', '2.5', '.Values.m', '.Values.l', '.Values.nil', '.Values.missing', '.Values', '.Values.lm', '.Values.mixed', '""', '0', '.Values.me'],
    'l': ['.Values.l', '.Values.ls', '.Values.le', '.Values.mixed', '.Values.lm', '(list 1 "a" nil)', '(until 3)', '(splitList "," "x,y")'],
    'm': ['.Values.m', '.Values.me', '(dict "a" 1 "z" (dict "q" 2))', '.Values.m.c', '.Values', '(dict)'],
    'b': ['true', 'false', '(eq 1 1)', '(empty .Values.s)'],
}
VERBS = 'vdsqxXtTgfecboU'


class Grammar:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.variables = []

    def pick(self, items):
        return self.random.choice(items)

    def value(self, kind, depth):
        roll = self.random.random()
        if self.variables and roll < 0.12:
            return self.pick(self.variables)
        if roll < 0.04:
            return self.pick(LITERALS[self.pick(list(LITERALS))])
        if depth > 0 and roll < 0.4:
            return '(' + self.expression(depth - 1) + ')'
        return self.pick(LITERALS[kind])

    def expression(self, depth):
        roll = self.random.random()
        if roll < 0.08:
            return self.format(depth)
        if roll < 0.2:
            return self.value(self.pick('siflam'), depth)
        name = self.pick(list(FUNCTIONS))
        kinds = FUNCTIONS[name]
        if self.random.random() < 0.03:
            kinds = kinds[:-1] if self.random.random() < 0.5 else kinds + 'a'
        arguments = [self.value(kind, depth) for kind in kinds]
        if name.startswith('merge') and arguments:  # a dict that holds itself ends Go's process when it is printed
            arguments[0] = '(deepCopy ' + arguments[0] + ')'
        if arguments and self.random.random() < 0.4:
            last = arguments.pop()
            if name == 'set' and not last.startswith('"'):
                last = '"v"'
            return ' | '.join([last, ' '.join([name] + arguments)])
        if name == 'set':
            arguments[2:] = ['"v"'] if len(arguments) > 2 else []
        return ' '.join([name] + arguments)

    def format(self, depth):
        verbs, arguments = [], []
        for _ in range(self.random.randint(1, 3)):
            flags = ''.join(self.random.sample('+-# 0', self.random.randint(0, 2)))
            width = self.pick(['', '', '6', '.2', '8.3', '3'])
            verbs.append('%' + flags + width + self.pick(VERBS))
            arguments.append(self.value(self.pick('siflam'), depth))
        return 'printf ' + json.dumps('|'.join(verbs)) + ' ' + ' '.join(arguments)

    def action(self, depth):
        trim = self.pick(['{{ ', '{{- ', '{{ ', '{{ ']), self.pick([' }}', ' -}}', ' }}', ' }}'])
        wrap = lambda text: trim[0] + text + trim[1]
        roll = self.random.random()
        if depth <= 0 or roll < 0.5:
            return wrap(self.expression(2))
        known = len(self.variables)
        if roll < 0.6:
            name = '$' + self.pick('xyz')
            text = wrap(name + ' := ' + self.expression(1))
            self.variables.append(name)
            return text
        if roll < 0.65 and self.variables:
            return wrap(self.pick(self.variables) + ' = ' + self.expression(1))
        word = self.pick(['if', 'with', 'range'])
        head = self.expression(1)
        if word == 'range':
            head = self.pick(['', '', '$v := ', '$k, $v := ']) + self.value(self.pick('lllmia'), 1)
        parts = [wrap(word + ' ' + head)]
        if '$v' in head.split(':=')[0] and ':=' in head:
            self.variables.append('$v')
        parts.append(self.body(depth - 1))
        if word == 'range' and self.random.random() < 0.2:
            parts.append('{{ if ' + self.expression(0) + ' }}{{ ' + self.pick(['break', 'continue']) + ' }}{{ end }}')
        del self.variables[known:]
        if self.random.random() < 0.4:
            parts += [wrap('else'), self.body(depth - 1)]
            del self.variables[known:]
        return ''.join(parts) + wrap('end')

    def body(self, depth):
        return ''.join(self.pick(['', ' ', 'text\n', '\n  ', '-']) + self.action(depth) for _ in range(self.random.randint(1, 3)))

    def program(self):
        self.variables = []
        text = self.body(2)
        if self.random.random() < 0.2:
            text = '{{ define "t" }}' + Grammar(self.random.random()).body(1) + '{{ end }}' + text + self.pick(['{{ template "t" . }}', '{{ include "t" .Values | trim }}'])
        if self.random.random() < 0.04:
            at = self.random.randrange(len(text))
            text = text[:at] + text[at + 1:]
        return text


def main():
    if len(sys.argv) > 1 and sys.argv[1] == 'random':
        grammar = Grammar(int(sys.argv[2]))
        programs = (grammar.program() for _ in range(int(sys.argv[3])))
    else:
        programs = hand_written()
    line = {'values': VALUES}
    for text in programs:
        line['template'] = text
        print(json.dumps(line, ensure_ascii=False))
        line = {}


main()
