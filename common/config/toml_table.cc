#include "common/config/toml_table.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/nearest_name.h"
#include "toml++/toml.h"

namespace holdfast {

namespace internal {

struct TomlDocument {
  std::string file_name;
  toml::table root;
};

}  // namespace internal

namespace {

std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

const toml::table& TableAt(const void* node) { return *static_cast<const toml::table*>(node); }

std::string Place(const std::string& file_name, const toml::source_region& region) {
  // The root of a file has no place.
  if (region.begin.line == 0) return absl::StrCat(file_name, ": ");
  return absl::StrCat(file_name, ":", region.begin.line, ":", region.begin.column, ": ");
}

const char* TypeName(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a number";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

// What the parser says, without what a terminal must not be sent. Its quotes, and the backslashes
// by which it names control characters itself, stay as they are.
std::string PlainText(absl::string_view text) {
  return absl::StrReplaceAll(absl::Utf8SafeCHexEscape(text),
                             {{"\\'", "'"}, {"\\\"", "\""}, {"\\\\", "\\"}});
}

}  // namespace

TomlTable::TomlTable(std::shared_ptr<const internal::TomlDocument> document, const void* node,
                     std::string name)
    : document_(std::move(document)), table_(node), name_(std::move(name)) {}

absl::StatusOr<TomlTable> TomlTable::Parse(absl::string_view text, const std::string& file_name) {
  try {
    auto document = std::make_shared<internal::TomlDocument>();
    document->file_name = file_name;
    document->root = toml::parse(ToStd(text));
    const void* const root = &document->root;
    return TomlTable(std::move(document), root, "");
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(absl::StrCat(Place(file_name, error.source()),
                                                   "not valid TOML: ", PlainText(error.what())));
  }
}

std::string TomlTable::FullName(absl::string_view key) const {
  return name_.empty() ? std::string(key) : absl::StrCat(name_, ".", key);
}

absl::Status TomlTable::Error(absl::string_view key, absl::string_view what) const {
  const toml::table& table = TableAt(table_);
  const toml::node* const node = table.get(ToStd(key));
  return absl::InvalidArgumentError(
      absl::StrCat(Place(document_->file_name, node != nullptr ? node->source() : table.source()),
                   FullName(key), ": ", what));
}

absl::Status TomlTable::CheckKeys(std::initializer_list<absl::string_view> known) const {
  // The table is ordered by name; the first mistake in the file is the one to report.
  const toml::key* unknown = nullptr;
  for (const auto& [key, node] : TableAt(table_)) {
    const absl::string_view name(key.data(), key.length());
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    if (unknown == nullptr || key.source().begin < unknown->source().begin) unknown = &key;
  }
  if (unknown == nullptr) return absl::OkStatus();
  const absl::string_view name(unknown->data(), unknown->length());
  const absl::string_view nearest = NearestName(name, known);
  return absl::InvalidArgumentError(
      absl::StrCat(Place(document_->file_name, unknown->source()), "unknown key ",
                   absl::Utf8SafeCHexEscape(FullName(name)),
                   nearest.empty() ? absl::StrCat("; known here: ", absl::StrJoin(known, ", "))
                                   : absl::StrCat("; did you mean ", nearest, "?")));
}

absl::StatusOr<std::optional<std::string>> TomlTable::String(absl::string_view key) const {
  const toml::node* const node = TableAt(table_).get(ToStd(key));
  if (node == nullptr) return std::nullopt;
  if (const auto* const value = node->as_string()) return value->get();
  return Error(key, absl::StrCat("must be a string in quotes, not ", TypeName(*node)));
}

absl::StatusOr<std::optional<bool>> TomlTable::Bool(absl::string_view key) const {
  const toml::node* const node = TableAt(table_).get(ToStd(key));
  if (node == nullptr) return std::nullopt;
  if (const auto* const value = node->as_boolean()) return value->get();
  return Error(key, absl::StrCat("must be true or false, not ", TypeName(*node)));
}

absl::StatusOr<std::optional<uint32_t>> TomlTable::Number(absl::string_view key,
                                                          uint32_t max) const {
  const toml::node* const node = TableAt(table_).get(ToStd(key));
  if (node == nullptr) return std::nullopt;
  const auto* const value = node->as_integer();
  if (value == nullptr) {
    return Error(key, absl::StrCat("must be a whole number, not ", TypeName(*node)));
  }
  if (value->get() < 0 || value->get() > int64_t{max}) {
    return Error(key, absl::StrCat("must be 0 to ", max, ", not ", value->get()));
  }
  return static_cast<uint32_t>(value->get());
}

absl::StatusOr<std::vector<std::string>> TomlTable::Strings(absl::string_view key,
                                                            size_t count_max) const {
  const toml::node* const node = TableAt(table_).get(ToStd(key));
  std::vector<std::string> strings;
  if (node == nullptr) return strings;
  const toml::array* const array = node->as_array();
  if (array == nullptr) {
    return Error(key, absl::StrCat("must be a list of strings, not ", TypeName(*node)));
  }
  if (array->size() > count_max) {
    return Error(
        key, absl::StrCat("has ", array->size(), " entries; at most ", count_max, " are allowed"));
  }
  for (const toml::node& element : *array) {
    const auto* const value = element.as_string();
    if (value == nullptr) {
      return Error(key, absl::StrCat("must be a list of strings; one of its entries is ",
                                     TypeName(element)));
    }
    strings.push_back(value->get());
  }
  return strings;
}

absl::StatusOr<std::optional<TomlTable>> TomlTable::Table(absl::string_view key) const {
  const toml::node* const node = TableAt(table_).get(ToStd(key));
  if (node == nullptr) return std::nullopt;
  if (const toml::table* const table = node->as_table()) {
    return TomlTable(document_, table, FullName(key));
  }
  return Error(key, absl::StrCat("must be a table, [", FullName(key), "], not ", TypeName(*node)));
}

absl::StatusOr<std::vector<TomlTable>> TomlTable::Tables(absl::string_view key,
                                                         size_t count_max) const {
  const toml::node* const node = TableAt(table_).get(ToStd(key));
  std::vector<TomlTable> tables;
  if (node == nullptr) return tables;
  const toml::array* const array = node->as_array();
  const bool holds_tables =
      array != nullptr && std::all_of(array->begin(), array->end(),
                                      [](const toml::node& element) { return element.is_table(); });
  if (!holds_tables) {
    return Error(key, absl::StrCat("must be tables with double brackets, [[", FullName(key), "]]"));
  }
  if (array->size() > count_max) {
    return Error(key, absl::StrCat("there are ", array->size(), " of them; at most ", count_max,
                                   " are allowed"));
  }
  for (const toml::node& element : *array) {
    tables.push_back(TomlTable(document_, element.as_table(), FullName(key)));
  }
  return tables;
}

}  // namespace holdfast
