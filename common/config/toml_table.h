#ifndef HOLDFAST_COMMON_CONFIG_TOML_TABLE_H_
#define HOLDFAST_COMMON_CONFIG_TOML_TABLE_H_

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace holdfast {

namespace internal {
struct TomlDocument;
}  // namespace internal

// A TomlTable reads the keys of one table of a TOML file and says of each mistake where it is. It
// is all that the rest of Holdfast sees of the TOML library, whose header costs seconds.
//
//   HOLDFAST_ASSIGN_OR_RETURN(TomlTable root, TomlTable::Parse(text, "holdfast.toml"));
//   HOLDFAST_RETURN_IF_ERROR(root.CheckKeys({"name", "size"}));   // nothing else is there
//   HOLDFAST_ASSIGN_OR_RETURN(std::optional<std::string> name, root.String("name"));
//
// A value that is absent is nullopt (a list: empty). All errors are INVALID_ARGUMENT and begin with
// "<file>:<line>:<column>: ".
//
// A value type; copies share the parsed file. Not thread-safe.
class TomlTable {
 public:
  // `file_name` is for messages.
  static absl::StatusOr<TomlTable> Parse(absl::string_view text, const std::string& file_name);

  // An error names the first key that is not in `known`, and the one that was probably meant.
  absl::Status CheckKeys(std::initializer_list<absl::string_view> known) const;

  absl::StatusOr<std::optional<std::string>> String(absl::string_view key) const;
  absl::StatusOr<std::optional<bool>> Bool(absl::string_view key) const;
  // An error where it is not in [0, max].
  absl::StatusOr<std::optional<uint32_t>> Number(absl::string_view key, uint32_t max) const;
  absl::StatusOr<std::vector<std::string>> Strings(absl::string_view key, size_t count_max) const;
  absl::StatusOr<std::optional<TomlTable>> Table(absl::string_view key) const;
  // A table with a double bracket.
  absl::StatusOr<std::vector<TomlTable>> Tables(absl::string_view key, size_t count_max) const;

  // An INVALID_ARGUMENT about a key: "<file>:<line>:<column>: <key>: <what>". Where the key is
  // absent the place is that of the table.
  absl::Status Error(absl::string_view key, absl::string_view what) const;

 private:
  // `node` is a table of `document`.
  TomlTable(std::shared_ptr<const internal::TomlDocument> document, const void* node,
            std::string name);

  // "agent.stores.name" of the key "name".
  std::string FullName(absl::string_view key) const;

  std::shared_ptr<const internal::TomlDocument> document_;
  const void* table_;  // a toml::table
  std::string name_;   // "agent.stores"; empty for the root
};

}  // namespace holdfast

#endif  // HOLDFAST_COMMON_CONFIG_TOML_TABLE_H_
