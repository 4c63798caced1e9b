// SPDX-License-Identifier: Apache-2.0
// Every function of Sprig by its implementation; table.cc has the names that templates call them by.
#pragma once
#include "core/base/result.h"
#include "core/expr/go_template/execution.h"
#include "core/expr/go_template/function.h"

namespace caisson::go_template::sprig {

using Implementation = Result<Datum>(Call&);

// lists.cc
Implementation make_list, append, prepend, first, last, rest, initial, reverse, compact, uniq, without, has, slice,
    concat, chunk, sort_alpha, join, string_list;
// dicts.cc
Implementation dict, get, set, unset, has_key, pluck, keys, values, pick, omit, merge, merge_overwrite, deep_copy, dig;
// defaults.cc
Implementation hello, default_, empty, coalesce, all, any, ternary, fail, type_of, type_is, type_is_like, kind_of,
    kind_is, deep_equal_;
// strings.cc
Implementation trim, trim_all, trim_prefix, trim_suffix, upper, lower, trunc, substr, repeat, contains, has_prefix,
    has_suffix, replace, plural, to_string_, quote_, squote, cat, indent, nindent, split, splitn, split_list, abbrev,
    abbrevboth, wrap, wrap_with, nospace, initials;
// words.cc
Implementation snakecase, kebabcase, camelcase, title, untitle, swapcase;
// math.cc
Implementation int_, int64_, float64_, atoi, to_decimal, add1, sub, add, mul, div, mod, max, min, maxf, minf, ceil,
    floor, round, add1f, addf, subf, mulf, divf, until, until_step, seq;
// encoding.cc
Implementation b64enc, b32enc, b64dec, b32dec, path_base, path_dir, path_ext, path_clean, path_is_abs, to_json,
    must_to_json, to_pretty_json, must_to_pretty_json, to_raw_json, from_json, must_from_json;
// regex.cc
Implementation regex_match, must_regex_match, regex_find, regex_find_all, regex_replace_all, regex_replace_all_literal,
    regex_split, regex_quote_meta;
// url.cc
Implementation url_parse, url_join;
// semver.cc
Implementation semver, semver_compare;
// dates.cc
Implementation ago, date, date_in_zone, date_modify, must_date_modify, duration, duration_round, html_date,
    html_date_in_zone, now, to_date, must_to_date, unix_epoch;
// crypto.cc
Implementation sha1sum, sha256sum, sha512sum, adler32sum, bcrypt, htpasswd, derive_password, encrypt_aes, decrypt_aes;
// certificates.cc
Implementation gen_private_key, build_custom_cert, gen_ca, gen_ca_with_key, gen_self_signed_cert,
    gen_self_signed_cert_with_key, gen_signed_cert, gen_signed_cert_with_key;
// random.cc
Implementation rand_alpha_num, rand_alpha, rand_ascii, rand_numeric, rand_int, rand_bytes, shuffle, uuidv4;

}  // namespace caisson::go_template::sprig
