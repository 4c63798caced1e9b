// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/secrets.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/base/text.h"

namespace caisson::scan {
namespace {

enum class Letters : std::uint8_t { upper_digits, alnum, word, base64, base64url, hex };

struct Rule {
  std::string_view id, title, prefix;
  Letters letters;
  std::size_t length_min, length_max;  // of what follows the prefix
  Severity severity;
};
constexpr std::array<Rule, 17> kRules = {{
    {"aws-access-key-id", "AWS Access Key ID", "AKIA", Letters::upper_digits, 16, 16, Severity::critical},
    {"aws-temporary-key-id", "AWS Temporary Access Key ID", "ASIA", Letters::upper_digits, 16, 16, Severity::medium},
    {"github-pat", "GitHub Personal Access Token", "ghp_", Letters::alnum, 36, 36, Severity::critical},
    {"github-oauth", "GitHub OAuth Token", "gho_", Letters::alnum, 36, 36, Severity::critical},
    {"github-app-token", "GitHub App Token", "ghs_", Letters::alnum, 36, 36, Severity::critical},
    {"github-fine-grained-pat", "GitHub Fine-grained Token", "github_pat_", Letters::word, 82, 82, Severity::critical},
    {"gitlab-pat", "GitLab Personal Access Token", "glpat-", Letters::base64url, 20, 64, Severity::critical},
    {"slack-access-token", "Slack Token", "xoxb-", Letters::base64url, 20, 100, Severity::high},
    {"slack-access-token", "Slack Token", "xoxp-", Letters::base64url, 20, 100, Severity::high},
    {"stripe-secret-token", "Stripe Secret Key", "sk_live_", Letters::alnum, 16, 128, Severity::critical},
    {"google-api-key", "Google API Key", "AIza", Letters::base64url, 35, 35, Severity::high},
    {"npm-access-token", "npm Access Token", "npm_", Letters::alnum, 36, 36, Severity::critical},
    {"pypi-upload-token", "PyPI Upload Token", "pypi-AgEIcHlwaS5vcmc", Letters::base64url, 50, 1000,
     Severity::critical},
    {"sendgrid-api-token", "SendGrid Token", "SG.", Letters::base64url, 22, 22, Severity::high},
    {"huggingface-access-token", "Hugging Face Token", "hf_", Letters::alnum, 34, 40, Severity::high},
    {"dockerhub-pat", "Docker Hub Access Token", "dckr_pat_", Letters::base64url, 27, 27, Severity::critical},
    {"hashicorp-tf-api-token", "HashiCorp Vault Token", "hvs.", Letters::base64url, 90, 120, Severity::critical},
}};
constexpr std::size_t kSecretsMax = 100, kShownMax = 160;
constexpr double kEntropyMin = 2.5;  // bits a character: "xxxxxxxx" and "1234" repeated are below

bool is_letter_of(Letters letters, char c) {
  const bool digit = c >= '0' && c <= '9', upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z';
  switch (letters) {
    case Letters::upper_digits:
      return digit || upper;
    case Letters::alnum:
      return digit || upper || lower;
    case Letters::word:
      return digit || upper || lower || c == '_';
    case Letters::base64:
      return digit || upper || lower || c == '+' || c == '/';
    case Letters::base64url:
      return digit || upper || lower || c == '-' || c == '_';
    case Letters::hex:
      return digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  }
  return false;
}

double entropy(std::string_view text) {
  std::array<int, 256> counts{};
  for (const char c : text) ++counts[static_cast<unsigned char>(c)];
  double bits = 0;
  for (const int count : counts) {
    if (count == 0) continue;
    const double p = static_cast<double>(count) / static_cast<double>(text.size());
    bits -= p * std::log2(p);
  }
  return bits;
}

bool is_example(std::string_view secret) {
  return to_lower(secret).find("example") != std::string::npos || entropy(secret) < kEntropyMin;
}

std::size_t find_from(std::string_view text, std::string_view what, std::size_t from) {
  if (from >= text.size()) return std::string_view::npos;
  const void* at = ::memmem(text.data() + from, text.size() - from, what.data(), what.size());
  return at == nullptr ? std::string_view::npos : static_cast<std::size_t>(static_cast<const char*>(at) - text.data());
}

class Finder {
 public:
  Finder(std::string_view path, std::string_view text) : path_(path), text_(text) {}

  void add(std::string_view id, std::string_view title, Severity severity, std::size_t at, std::size_t length) {
    if (found_.size() >= kSecretsMax) return;
    const std::size_t begin = at == 0 ? 0 : text_.rfind('\n', at - 1) + 1;
    const std::size_t stop = std::min(text_.find('\n', at + length), text_.size());
    const std::size_t shown_from = std::max(begin, at > 60 ? at - 60 : 0);
    std::string line(text_.substr(shown_from, at - shown_from));
    line += std::string(std::min<std::size_t>(length, 40), '*');
    line += text_.substr(at + length, std::min<std::size_t>(stop - at - length, 40));
    Secret secret;
    secret.rule = id;
    secret.title = title;
    secret.severity = severity;
    secret.path = path_;
    secret.line =
        static_cast<int>(std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at), '\n')) + 1;
    secret.match = line.substr(0, kShownMax);
    found_.push_back(std::move(secret));
  }

  void by_prefix(const Rule& rule) {
    for (std::size_t at = find_from(text_, rule.prefix, 0); at != std::string_view::npos;
         at = find_from(text_, rule.prefix, at + rule.prefix.size())) {
      if (at > 0 && is_letter_of(Letters::word, text_[at - 1])) continue;  // in the middle of a word
      std::size_t end = at + rule.prefix.size();
      while (end < text_.size() && end - at - rule.prefix.size() <= rule.length_max &&
             is_letter_of(rule.letters, text_[end]))
        ++end;
      const std::size_t length = end - at - rule.prefix.size();
      if (length < rule.length_min || length > rule.length_max) continue;
      if (end < text_.size() && is_letter_of(Letters::word, text_[end])) continue;
      if (!is_example(text_.substr(at + rule.prefix.size(), length)))
        add(rule.id, rule.title, rule.severity, at, end - at);
    }
  }

  // -----BEGIN … PRIVATE KEY----- with a body of base64; an empty frame in a program's text is none.
  void private_keys() {
    constexpr std::string_view kBegin = "-----BEGIN ", kEnd = "PRIVATE KEY";
    for (std::size_t at = find_from(text_, kBegin, 0); at != std::string_view::npos;
         at = find_from(text_, kBegin, at + kBegin.size())) {
      const std::size_t dashes = text_.find("-----", at + kBegin.size());
      if (dashes == std::string_view::npos || dashes - at > 80) continue;
      const std::string_view label = text_.substr(at + kBegin.size(), dashes - at - kBegin.size());
      if (!label.starts_with(kEnd) && label.find(std::string(" ") + std::string(kEnd)) == std::string_view::npos)
        continue;
      std::size_t end = dashes + 5, letters = 0;
      while (end < text_.size() && text_[end] != '-' && end - dashes < 200)
        letters += is_letter_of(Letters::base64, text_[end++]);
      if (letters >= 60) add("private-key", "Asymmetric Private Key", Severity::high, at, dashes + 5 - at);
    }
  }

  // Forty characters of base64 that a name like aws_secret_access_key is given.
  void aws_secret_keys() {
    constexpr std::string_view kNames[] = {"aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "aws_secret_key",
                                           "AWS_SECRET_KEY",        "secretAccessKey",       "SecretAccessKey"};
    for (const std::string_view name : kNames) {
      for (std::size_t at = find_from(text_, name, 0); at != std::string_view::npos;
           at = find_from(text_, name, at + name.size())) {
        std::size_t begin = at + name.size();
        const std::size_t reach = begin + 8;
        while (begin < text_.size() && begin < reach &&
               std::string_view("\"'=: \t>").find(text_[begin]) != std::string_view::npos)
          ++begin;
        std::size_t end = begin;
        while (end < text_.size() && is_letter_of(Letters::base64, text_[end])) ++end;
        if (begin > at + name.size() && end - begin == 40 && !is_example(text_.substr(begin, 40)))
          add("aws-secret-access-key", "AWS Secret Access Key", Severity::critical, begin, 40);
      }
    }
  }

  std::vector<Secret> take() && {
    std::sort(found_.begin(), found_.end(),
              [](const Secret& a, const Secret& b) { return std::tie(a.line, a.rule) < std::tie(b.line, b.rule); });
    return std::move(found_);
  }

 private:
  std::string_view path_, text_;
  std::vector<Secret> found_;
};

}  // namespace

std::vector<Secret> find_secrets(std::string_view path, std::string_view text) {
  if (text.substr(0, 8192).find('\0') != std::string_view::npos) return {};  // no text
  Finder finder(path, text);
  for (const Rule& rule : kRules) finder.by_prefix(rule);
  finder.private_keys();
  finder.aws_secret_keys();
  return std::move(finder).take();
}

}  // namespace caisson::scan
