// SPDX-License-Identifier: Apache-2.0
// A filter says of a needle that it is surely not in a block's text, without opening the block. It is a set of bits for
// the sequences of six bytes that occur, of which every fourth (by its hash) is looked at: about 3 % of the text. Six,
// because of ids in hexadecimal digits a block has nearly every sequence of four. Pure functions; any thread.
#pragma once
#include <string>
#include <string_view>

namespace caisson::logs {

std::string make_filter(std::string_view text);
// False: surely not. A needle shorter than six bytes may be anywhere.
bool may_contain(std::string_view filter, std::string_view needle);

}  // namespace caisson::logs
