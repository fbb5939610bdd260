#!/usr/bin/python3
"""The tidy test's own test: it finds what was planted, and nothing in what is clean."""

import os
import re
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import tidy  # noqa: E402


def header(path: str, body: str = "") -> str:
    guard = "HOLDFAST_" + re.sub(r"[^A-Za-z0-9]", "_", path).upper() + "_"
    return f"#ifndef {guard}\n#define {guard}\n\n{body}\n\n#endif  // {guard}\n"


CLEAN = {
    "CMakeLists.txt": "add_subdirectory(common)\n",
    "README.md": "# Holdfast\n",
    "build/dev/generated.cc": "std::thread\n",
    "common/base/CMakeLists.txt": "holdfast_library(NAME base SOURCES clock.cc)\n",
    "common/base/clock.cc": '#include "common/base/clock.h"\n#include <thread>\nstd::thread t;\n',
    "common/base/clock.h": header("common/base/clock.h"),
    "common/crypto/CMakeLists.txt": "holdfast_library(NAME crypto\n  SOURCES\n    hash.cc)\n",
    "common/crypto/hash.cc": '#include <sodium.h>\n#include "common/base/clock.h"\n',
    "store-service/service/CMakeLists.txt": "holdfast_library(NAME s SOURCES service.cc)\n",
    "store-service/service/service.cc":
        '#include <grpcpp/grpcpp.h>\n#include "holdfast/v1/checkpoints.grpc.pb.h"\n',
    "store-service/CMakeLists.txt": "holdfast_library(NAME store SOURCES store.cc)\n",
    "store-service/store.cc": '#include "store-service/service/service.h"\n',
    "store-service/service/service.h": header("store-service/service/service.h"),
}


class TidyTest(unittest.TestCase):
    def findings(self, planted: dict[str, str]) -> list[str]:
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**CLEAN, **planted}.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            return [str(finding) for finding in tidy.check(root)]

    def assert_finds(self, path: str, text: str, *expected: str) -> None:
        """Planting this one file gives exactly these findings, each at its path and line."""
        planted = {path: text}
        if path.endswith(".cc") and path not in CLEAN:  # an unlisted file would be a finding too
            lists = os.path.join(os.path.dirname(path), "CMakeLists.txt")
            planted[lists] = CLEAN.get(lists, "") + f"x({os.path.basename(path)})\n"
        found = self.findings(planted)
        self.assertEqual(len(found), len(expected), found)
        for pattern in expected:
            self.assertRegex("\n".join(found), "(?m)^" + re.escape(path) + pattern)

    def test_clean_tree_has_no_findings(self):
        self.assertEqual(self.findings({}), [])

    def test_dependencies_point_one_way(self):
        self.assert_finds("common/base/bad.cc", '\n#include "common/crypto/hash.h"\n',
                          ":2:.*no such file", ":2:.*common/base may not see common/crypto")
        self.assert_finds("common/crypto/bad.cc", '#include "store-service/service/service.h"\n',
                          ":1:.*does not know them", ":1:.*is outermost")
        self.assert_finds("backup-agent/bad.cc", '#include "store-service/service/service.h"\n',
                          ":1:.*know each other by proto/ alone")
        self.assert_finds("store-service/documents/bad.cc",
                          '#include "store-service/service/service.h"\n', ":1:.*is outermost")

    def test_shipped_code_does_not_know_the_tests(self):
        self.assert_finds("common/base/bad.cc", '#include "tests/testing/fake_clock.h"\n',
                          ":1:.*no such file", ":1:.*does not know the tests")

    def test_messages_stay_in_their_layer(self):
        self.assert_finds("common/crypto/bad.cc", '#include "holdfast/v1/checkpoints.pb.h"\n',
                          ":1:.*know this package")
        self.assert_finds("backup-agent/bad.cc", '#include "holdfast/store/v1/data.pb.h"\n',
                          ":1:.*know this package")

    def test_foreign_libraries_have_their_borders(self):
        for include, why in (("sodium.h", "cryptography"), ("sodium/crypto_box.h", "cryptography"),
                             ("rocksdb/db.h", "RocksDB"), ("grpcpp/grpcpp.h", "gRPC"),
                             ("holdfast/v1/x.grpc.pb.h", "gRPC"), ("toml++/toml.h", "common/config"), ("curl/curl.h", "rclone"),
                             ("CLI/CLI.hpp", "command lines"), ("iostream", "terminal"),
                             ("thread", "simulation"), ("mutex", "simulation"),
                             ("random", "RandomSource"), ("chrono", "Clock"),
                             ("absl/time/clock.h", "Clock"),
                             ("absl/synchronization/mutex.h", "sanitizers")):
            with self.subTest(include=include):
                self.assert_finds("backup-agent/transfer/bad.cc", f"#include <{include}>\n",
                                  f":1:.*allowed only in .*{why}")

    def test_the_program_and_the_command_line_may_talk(self):
        self.assertEqual(self.findings({
            "backup-agent/CMakeLists.txt": "x(main.cc cli/show.cc)\n",
            "backup-agent/main.cc": "#include <iostream>\n",
            "backup-agent/cli/show.cc": "#include <iostream>\n#include <CLI/CLI.hpp>\n",
        }), [])

    def test_threads_time_and_chance_come_from_base(self):
        for code in ("std::thread t;", "std::this_thread::yield();", "std::mutex m;",
                     "absl::Mutex m;", "absl::SleepFor(d);", "usleep(1);", "auto t = absl::Now();",
                     "std::chrono::steady_clock::now();", "clock_gettime(c, &t);",
                     "time(nullptr);", "std::random_device d;", "absl::BitGen gen;", "rand();",
                     "randombytes_buf(a, b);", "absl::ErrnoToStatus(e, m);", "strerror(e);",
                     "assert(x);", "using namespace std;"):
            with self.subTest(code=code):
                self.assert_finds("backup-agent/transfer/bad.cc", f"void f() {{\n  {code}\n}}\n",
                                  ":2: ")

    def test_comments_strings_and_longer_names_are_no_code(self):
        self.assertEqual(self.findings({"store-service/store.cc": r'''
// std::thread, absl::Now() and assert(x)
/* usleep(1);
   rand(); */
const char* a = "std::thread \" absl::Now()";
const char* b = R"tag(rand(); " std::mutex)tag";
int c = 1'000'000; char d = '"'; int usleep_count; clock.time(0); operand(1); static_assert(x);
'''}), [])

    def test_string_view_in_a_signature_is_abseils(self):
        self.assert_finds("store-service/bad.h",
                          header("store-service/bad.h", "void f(std::string_view v);"), ":4: ")

    def test_tests_are_not_switched_off(self):
        self.assert_finds("tests/unit/bad_test.cc", "TEST(A, DISABLED_b) {}\n", ":1:.*forgotten")

    def test_headers_have_guards_of_their_path(self):
        self.assert_finds("common/base/bad.h", header("common/base/other.h"), ":1:.*guard")
        self.assert_finds("common/base/bad.h", header("common/base/bad.h") + "int x;\n",
                          ":7:.*last line is not")
        self.assert_finds("common/base/bad.h", "#pragma once\n", ":1:.*guard")

    def test_includes_are_written_from_the_root(self):
        self.assert_finds("common/base/bad.cc", '#include "../base/clock.h"\n', ":1:.*root")
        self.assert_finds("common/base/bad.cc", '#include <common/base/clock.h>\n', ":1:.*quotes")

    def test_sources_and_lists_agree(self):
        self.assertRegex(self.findings({"common/base/forgotten.cc": ""})[0],
                         "^common/base/forgotten.cc:1: no CMakeLists.txt lists")
        self.assert_finds("common/base/CMakeLists.txt", "holdfast_library(SOURCES clock.cc no.cc)\n",
                          ":1: no.cc: there is no such file")
        self.assert_finds("CMakeLists.txt", "file(GLOB sources *.x)\n", ":1: GLOB")

    def test_folders_are_nouns_of_the_domain(self):
        self.assert_finds("common/base/utils/a.txt", "", ":1:.*says nothing")
        self.assertRegex(self.findings({"tools/a.txt": ""})[0], "^tools:1:.*at the top")
        self.assertRegex(self.findings({"common/strings/a.txt": ""})[0],
                         "^common/strings/:1:.*table")

    def test_text_is_clean(self):
        self.assert_finds("README.md", "no end", ":1: .*no end")
        self.assert_finds("common/base/clock.cc", "int a; \nint\tb;\n", ":1: spaces", ":2: a tab")


if __name__ == "__main__":
    unittest.main()
