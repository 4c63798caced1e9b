// SPDX-License-Identifier: Apache-2.0
// Binary operators. Which series match depends on who has a sample, so vectors are matched step by step; signatures and
// result labels are computed once.
#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "observe/metrics/promql/evaluator.h"

namespace caisson::metrics::promql {
namespace {

double arithmetic(Tok op, double a, double b) {
  switch (op) {
    case Tok::add:
      return a + b;
    case Tok::sub:
      return a - b;
    case Tok::mul:
      return a * b;
    case Tok::div:
      return a / b;
    case Tok::mod:
      return std::fmod(a, b);
    case Tok::pow:
      return std::pow(a, b);
    default:
      return std::atan2(a, b);
  }
}

bool compared(Tok op, double a, double b) {
  switch (op) {
    case Tok::eq:
      return a == b;
    case Tok::ne:
      return a != b;
    case Tok::lt:
      return a < b;
    case Tok::le:
      return a <= b;
    case Tok::gt:
      return a > b;
    default:
      return a >= b;
  }
}

bool is_arithmetic(Tok op) {
  return (op >= Tok::add && op <= Tok::pow) || op == Tok::atan2;
}

struct Operand {
  double v = 0;
  const HistogramPtr* h = nullptr;  // null: a float
};

struct ElementResult {
  bool valid = false;  // the types go together
  bool keep = false;   // a comparison held, or there was none
  double v = 0;
  HistogramPtr h;
};

class Elements {
 public:
  Elements(const Binary& node, Annotations& notes) : node_(node), notes_(notes) {}

  ElementResult apply(const Operand& a, const Operand& b) {
    if (!a.h && !b.h && node_.op != Tok::trim_lower && node_.op != Tok::trim_upper) {
      if (is_arithmetic(node_.op)) return {true, true, arithmetic(node_.op, a.v, b.v), nullptr};
      return {true, compared(node_.op, a.v, b.v), a.v, nullptr};
    }
    if (a.h && b.h) return histograms(**a.h, **b.h, *a.h);
    if (!a.h && b.h && node_.op == Tok::mul)
      return changed(**b.h, [&](FloatHistogram& h) { scale(h, a.v), compact(h); });
    if (a.h && !b.h) {
      if (node_.op == Tok::mul) return changed(**a.h, [&](FloatHistogram& h) { scale(h, b.v), compact(h); });
      if (node_.op == Tok::div) return changed(**a.h, [&](FloatHistogram& h) { divide(h, b.v), compact(h); });
      if (node_.op == Tok::trim_upper) return changed(**a.h, [&](FloatHistogram& h) { trim_buckets(h, b.v, true); });
      if (node_.op == Tok::trim_lower) return changed(**a.h, [&](FloatHistogram& h) { trim_buckets(h, b.v, false); });
    }
    return incompatible(a, b);
  }

 private:
  ElementResult incompatible(const Operand& a, const Operand& b) {
    const auto kind = [](const Operand& o) { return std::string(o.h ? "histogram" : "float"); };
    const std::string op(spelling(node_.op));
    notes_.info("incompatible sample types encountered for binary operator \"" + op + "\": " + kind(a) + " " + op +
                    " " + kind(b),
                node_.at);
    return {};
  }

  template <class Change>
  static ElementResult changed(const FloatHistogram& h, Change change) {
    FloatHistogram copy = h;
    change(copy);
    return {true, true, 0, std::make_shared<const FloatHistogram>(std::move(copy))};
  }

  ElementResult histograms(const FloatHistogram& a, const FloatHistogram& b, const HistogramPtr& left) {
    if (node_.op == Tok::eq) return {true, equals(a, b), 0, left};
    if (node_.op == Tok::ne) return {true, !equals(a, b), 0, left};
    if (node_.op != Tok::add && node_.op != Tok::sub) return incompatible({0, &left}, {0, &left});
    const bool plus = node_.op == Tok::add;
    FloatHistogram result = a;
    const auto notes = plus ? add(result, b) : subtract(result, b);
    if (!notes.ok()) {
      notes_.warn("incompatible bucket layout encountered for binary operator " + std::string(spelling(node_.op)),
                  node_.at);
      return {};
    }
    if (!plus) result.hint = ResetHint::gauge;
    if (notes->reset_collision) notes_.reset_collision(plus ? "addition" : "subtraction", node_.at);
    if (notes->bounds_reconciled) notes_.bounds_reconciled(plus ? "addition" : "subtraction", node_.at);
    compact(result);
    return {true, true, 0, std::make_shared<const FloatHistogram>(std::move(result))};
  }

  const Binary& node_;
  Annotations& notes_;
};

// Equal numbers for series that match each other.
class Signatures {
 public:
  explicit Signatures(const Matching& matching) : matching_(matching), names_(matching.labels) {
    if (!matching.on) names_.insert(names_.end(), {"__name__", "__type__", "__unit__"});
  }
  std::vector<std::size_t> of(const Matrix& matrix) {
    std::vector<std::size_t> out;
    for (const Series& series : matrix)
      out.push_back(index_
                        .try_emplace(matching_.on ? series.labels.key_of(names_) : series.labels.key_without(names_),
                                     index_.size())
                        .first->second);
    return out;
  }
  std::size_t size() const { return index_.size(); }
  Labels group(const Labels& labels) const { return matching_.on ? labels.keep(names_) : labels.drop(names_); }

 private:
  const Matching& matching_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::size_t> index_;
};

Labels result_labels(const Labels& many, const Labels& one, const Binary& node) {
  const Matching& m = node.matching;
  Labels labels = is_arithmetic(node.op) ? many.drop_metadata() : many;
  if (m.card == Cardinality::one_to_one) labels = m.on ? labels.keep(m.labels) : labels.drop(m.labels);
  if (m.include.empty()) return labels;
  LabelsBuilder builder(labels);
  for (const std::string& name : m.include) builder.set(name, one.get(name));
  return builder.labels();
}

constexpr std::size_t kNone = SIZE_MAX;

// Matching of two vectors, after the sides were turned so that the left one is the "many" side.
class VectorMatching {
 public:
  VectorMatching(const Binary& node, const Matrix& many, const Matrix& one, bool swapped, Annotations& notes)
      : node_(node),
        m_(node.matching),
        many_(many),
        one_(one),
        swapped_(swapped),
        signatures_(m_),
        elements_(node, notes),
        many_signature_(signatures_.of(many)),
        one_signature_(signatures_.of(one)),
        one_at_(signatures_.size(), kNone),
        matched_(signatures_.size()),
        fill_many_(m_.fill_left),
        fill_one_(m_.fill_right) {}

  Result<void> step(const std::vector<StepReader::Sample>& many, const std::vector<StepReader::Sample>& one,
                    std::int64_t t) {
    if (many.empty() && one.empty()) return {};
    if ((many.empty() || one.empty()) && !fill_many_ && !fill_one_) return {};
    std::fill(one_at_.begin(), one_at_.end(), kNone);
    for (auto& outputs : matched_) outputs.clear();
    for (std::size_t i = 0; i < one.size(); ++i) {
      std::size_t& at = one_at_[one_signature_[one[i].series]];
      if (at != kNone) return duplicate(one_[one[i].series].labels, one_[one[at].series].labels);
      at = i;
    }
    for (const StepReader::Sample& sample : many) {
      const std::size_t signature = many_signature_[sample.series], at = one_at_[signature];
      const Operand left = operand(sample);
      if (at != kNone)
        TRY(pair(left, sample.series, operand(one[at]), one[at].series, signature, t));
      else if (fill_one_)
        TRY(pair(left, sample.series, {*fill_one_, nullptr}, kNone, signature, t));
    }
    if (!fill_many_) return {};
    for (const StepReader::Sample& sample : one) {
      const std::size_t signature = one_signature_[sample.series];
      if (matched_[signature].empty())
        TRY(pair({*fill_many_, nullptr}, kNone, operand(sample), sample.series, signature, t));
    }
    return {};
  }

  Matrix take() { return out_.take(); }

 private:
  static Operand operand(const StepReader::Sample& sample) { return {sample.v, sample.h ? &sample.h : nullptr}; }

  Error duplicate(const Labels& a, const Labels& b) const {
    std::string first = a.str(), second = b.str();
    if (first > second) std::swap(first, second);
    return {ErrorCode::bad_request,
            "found duplicate series for the match group " + signatures_.group(a).str() + " on the " +
                (swapped_ ? "left" : "right") + " hand-side of the operation: [" + first + ", " + second +
                "];many-to-many matching not allowed: matching labels must be unique on one side"};
  }

  // The output series of a pair; a filled side stands for a series with the matching labels only.
  std::size_t output_of(std::size_t many, std::size_t one) {
    const std::uint64_t key = (many == kNone ? 0xFFFFFFFFu : many) << 32 | (one == kNone ? 0xFFFFFFFFu : one);
    const auto [at, added] = outputs_.try_emplace(key, 0);
    if (!added) return at->second;
    const Labels many_labels = many == kNone ? signatures_.group(one_[one].labels) : many_[many].labels;
    const Labels one_labels = one == kNone ? signatures_.group(many_[many].labels) : one_[one].labels;
    const bool drop = node_.return_bool || (many != kNone && many_[many].drop_name);
    at->second = out_.series(result_labels(many_labels, one_labels, node_), drop);
    return at->second;
  }

  Result<void> pair(const Operand& many_value, std::size_t many, const Operand& one_value, std::size_t one,
                    std::size_t signature, std::int64_t t) {
    ElementResult value = swapped_ ? elements_.apply(one_value, many_value) : elements_.apply(many_value, one_value);
    if (!value.valid) return {};
    const std::size_t output = output_of(many, one);
    auto& matched = matched_[signature];
    if (m_.card == Cardinality::one_to_one) {
      if (!matched.empty())
        return Error{ErrorCode::bad_request,
                     "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"};
    } else if (std::find(matched.begin(), matched.end(), output) != matched.end()) {
      return Error{ErrorCode::bad_request, "multiple matches for labels: grouping labels must ensure unique matches"};
    }
    matched.push_back(output);
    if (node_.return_bool) return out_.append(output, t, value.keep ? 1 : 0, nullptr);
    if (!value.keep) return {};
    return out_.append(output, t, value.v, value.h);
  }

  const Binary& node_;
  const Matching& m_;
  const Matrix &many_, &one_;
  const bool swapped_;
  Signatures signatures_;
  Elements elements_;
  std::vector<std::size_t> many_signature_, one_signature_;
  std::vector<std::size_t> one_at_;                // by signature, at the current step
  std::vector<std::vector<std::size_t>> matched_;  // by signature: outputs of the current step
  // Upstream's test scripts take fill_left for the "many" side with group_right too, where that stands on the right.
  std::optional<double> fill_many_, fill_one_;
  std::unordered_map<std::uint64_t, std::size_t> outputs_;
  MatrixBuilder out_;
};

}  // namespace

Result<Matrix> Evaluator::binary(Binary& node, const Window& window) {
  const bool left_scalar = type_of(*node.lhs) == ValueType::scalar,
             right_scalar = type_of(*node.rhs) == ValueType::scalar;
  if (left_scalar && right_scalar) return scalar_scalar(node, window);
  if (left_scalar || right_scalar) return vector_scalar(node, window, left_scalar);
  return is_set_operator(node.op) ? set_operation(node, window) : vector_vector(node, window);
}

Result<Matrix> Evaluator::scalar_scalar(Binary& node, const Window& window) {
  const std::vector<double> a = TRY(scalar_arg(*node.lhs, window)), b = TRY(scalar_arg(*node.rhs, window));
  if (node.op == Tok::trim_lower || node.op == Tok::trim_upper)
    return Error{ErrorCode::bad_request,
                 "operator \"" + std::string(spelling(node.op)) + "\" not allowed for Scalar operations"};
  Matrix out = TRY(constant(0, window));
  for (std::size_t i = 0; i < a.size(); ++i)
    out[0].floats[i].v = is_arithmetic(node.op)          ? arithmetic(node.op, a[i], b[i])
                         : compared(node.op, a[i], b[i]) ? 1
                                                         : 0;
  return out;
}

Result<Matrix> Evaluator::vector_scalar(Binary& node, const Window& window, bool scalar_left) {
  Matrix matrix = TRY(eval(scalar_left ? *node.rhs : *node.lhs, window));
  const std::vector<double> scalars = TRY(scalar_arg(scalar_left ? *node.lhs : *node.rhs, window));
  Elements elements(node, notes_);
  const auto apply = [&](const Operand& vector, double scalar) {
    return scalar_left ? elements.apply({scalar, nullptr}, vector) : elements.apply(vector, {scalar, nullptr});
  };
  for (Series& series : matrix) {
    TRY(tick());
    if (is_arithmetic(node.op) || node.return_bool) series.drop_name = true;
    Series out{series.labels, {}, {}, series.drop_name};
    out.floats.reserve(series.floats.size());
    const auto put = [&](std::int64_t t, const Operand& original, const ElementResult& value) {
      if (!value.valid) return;
      if (node.return_bool)
        out.floats.push_back({t, value.keep ? 1.0 : 0.0});
      else if (!value.keep)
        return;
      else if (is_comparison(node.op) && !original.h)
        out.floats.push_back({t, original.v});  // the vector's, on either side
      else if (value.h)
        out.histograms.push_back({t, value.h});
      else
        out.floats.push_back({t, value.v});
    };
    for (const FloatPoint& p : series.floats)
      put(p.t, {p.v, nullptr}, apply({p.v, nullptr}, scalars[window.index(p.t)]));
    for (const HistogramPoint& p : series.histograms) put(p.t, {0, &p.h}, apply({0, &p.h}, scalars[window.index(p.t)]));
    series = std::move(out);
  }
  std::erase_if(matrix, [](const Series& series) { return series.floats.empty() && series.histograms.empty(); });
  return matrix;
}

Result<Matrix> Evaluator::set_operation(Binary& node, const Window& window) {
  const Matrix left = TRY(eval(*node.lhs, window)), right = TRY(eval(*node.rhs, window));
  Signatures signatures(node.matching);
  const std::vector<std::size_t> left_signature = signatures.of(left), right_signature = signatures.of(right);
  StepReader left_reader(left), right_reader(right);
  std::vector<std::uint8_t> in_left(signatures.size()), in_right(signatures.size());
  MatrixBuilder out;
  std::vector<std::size_t> left_out(left.size(), kNone), right_out(right.size(), kNone);
  const auto put = [&](const Matrix& from, std::vector<std::size_t>& outputs, const StepReader::Sample& sample,
                       std::int64_t t) {
    std::size_t& output = outputs[sample.series];
    if (output == kNone) output = out.series(from[sample.series].labels, from[sample.series].drop_name);
    return out.append(output, t, sample.v, sample.h);
  };
  for (std::size_t i = 0; i < window.steps(); ++i) {
    TRY(tick());
    const std::int64_t t = window.time(i);
    const auto& lefts = left_reader.at(t);
    const auto& rights = right_reader.at(t);
    std::fill(in_left.begin(), in_left.end(), 0);
    std::fill(in_right.begin(), in_right.end(), 0);
    for (const auto& sample : lefts) in_left[left_signature[sample.series]] = 1;
    for (const auto& sample : rights) in_right[right_signature[sample.series]] = 1;
    for (const auto& sample : lefts) {
      const bool matched = in_right[left_signature[sample.series]];
      if (node.op == Tok::or_ || matched == (node.op == Tok::and_)) TRY(put(left, left_out, sample, t));
    }
    if (node.op != Tok::or_) continue;
    for (const auto& sample : rights)
      if (!in_left[right_signature[sample.series]]) TRY(put(right, right_out, sample, t));
  }
  Matrix matrix = out.take();
  std::erase_if(matrix, [](const Series& series) { return series.floats.empty() && series.histograms.empty(); });
  for (const Series& series : matrix) TRY(hold(series.floats.size() + series.histograms.size()));
  return matrix;
}

Result<Matrix> Evaluator::vector_vector(Binary& node, const Window& window) {
  const Matrix left = TRY(eval(*node.lhs, window)), right = TRY(eval(*node.rhs, window));
  const bool swapped = node.matching.card == Cardinality::one_to_many;
  const Matrix &many = swapped ? right : left, &one = swapped ? left : right;
  VectorMatching matching(node, many, one, swapped, notes_);
  StepReader many_reader(many), one_reader(one);
  for (std::size_t i = 0; i < window.steps(); ++i) {
    TRY(tick());
    const std::int64_t t = window.time(i);
    TRY(matching.step(many_reader.at(t), one_reader.at(t), t));
  }
  Matrix matrix = matching.take();
  std::erase_if(matrix, [](const Series& series) { return series.floats.empty() && series.histograms.empty(); });
  for (const Series& series : matrix) TRY(hold(series.floats.size() + series.histograms.size()));
  return matrix;
}

}  // namespace caisson::metrics::promql
