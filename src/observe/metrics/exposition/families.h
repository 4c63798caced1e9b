// SPDX-License-Identifier: Apache-2.0
// Families: what a source of this program exposes, put together sample by sample, and its text. One thread.
#pragma once
#include "observe/metrics/exposition/text.h"

namespace caisson::metrics {

class Families {
 public:
  // The family that add() adds to from now on. Type: counter, gauge, histogram …
  void family(std::string_view name, std::string_view type, std::string_view help);
  void add(std::vector<Label> labels, double v);
  void add_part(std::string_view suffix, std::vector<Label> labels, double v);  // _bucket, _sum, _count
  Exposition take() { return std::move(out_); }

 private:
  std::string name_;
  Exposition out_;
};

// The families of both.
Exposition joined(Exposition a, Exposition b);

// The text format 0.0.4; samples follow the metadata of their family. `always`: a label that every sample is written
// with, empty where it has none.
std::string write_text(const Exposition& exposition, std::string_view always = {});

}  // namespace caisson::metrics
