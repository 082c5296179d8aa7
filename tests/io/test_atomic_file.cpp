// Files that are whole or not there.

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "catch.hpp"
#include "contains.hpp"
#include "io/atomic_file.hpp"
#include "temporary_folder.hpp"
#include "tensor/error.hpp"

using namespace cr;
using namespace cr::io;

TEST_CASE("a committed file is there, and nothing else is", "[io]") {
  TemporaryFolder folder;
  AtomicFile file(folder / "a");
  file.write("hello ");
  file.write("world");
  CHECK_FALSE(std::filesystem::exists(folder / "a"));
  file.commit();
  CHECK(read_file(folder / "a") == "hello world");
  CHECK(folder.count() == 1);

  write_file(folder / "a", "new");
  CHECK(read_file(folder / "a") == "new");
  CHECK(folder.count() == 1);
}

TEST_CASE("without commit the old file stays", "[io]") {
  TemporaryFolder folder;
  write_file(folder / "a", "old");
  {
    AtomicFile file(folder / "a");
    file.write("new");
  }
  CHECK(read_file(folder / "a") == "old");
  CHECK(folder.count() == 1);
}

TEST_CASE("two writers of one name do not disturb each other", "[io]") {
  TemporaryFolder folder;
  AtomicFile first(folder / "a"), second(folder / "a");
  first.write("first");
  second.write("second");
  second.commit();
  CHECK(read_file(folder / "a") == "second");
  first.commit();
  CHECK(read_file(folder / "a") == "first");
  CHECK(folder.count() == 1);
}

TEST_CASE("a full disk leaves the old file", "[io]") {
  TemporaryFolder folder;
  write_file(folder / "a", "old");
  // The limit on a file's size stands for the full disk: writing beyond it fails as ENOSPC would.
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 100000;
  setrlimit(RLIMIT_FSIZE, &small);
  std::string message;
  try {
    write_file(folder / "a", std::string(1000000, 'x'));
  } catch (const IoError& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  CHECK(message == "cannot write " + (folder / "a") + ": File too large");
  CHECK(read_file(folder / "a") == "old");
  CHECK(folder.count() == 1);
}

TEST_CASE("a symbolic link is followed", "[io]") {
  TemporaryFolder folder;
  write_file(folder / "real", "old");
  std::filesystem::create_symlink(folder / "real", folder / "link");
  write_file(folder / "link", "new");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(read_file(folder / "real") == "new");
}

TEST_CASE("a leftover of a killed writer is in nobody's way, and a file keeps its mode", "[io]") {
  TemporaryFolder folder;
  for (int i = 0; i < 50; ++i)
    write_file(folder / ("a.tmp-" + std::to_string(::getpid()) + "-" + std::to_string(i)), "");
  write_file(folder / "a", "secret");
  REQUIRE(::chmod((folder / "a").c_str(), 0600) == 0);
  for (int i = 0; i < 60; ++i) write_file(folder / "a", "more");
  struct stat info;
  REQUIRE(::stat((folder / "a").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(folder.count() == 51);
  CHECK(target_of_temporary("x/a.json.tmp-12-3") == "x/a.json");
  for (const char* other : {"a", "a.tmp-", "a.tmp-1", "a.tmp-1-2-3", "a.tmp-2023-01-05", "a.tmp-x-1"})
    CHECK(target_of_temporary(other).empty());

  // A link to a file that is not there yet makes that file.
  std::filesystem::create_symlink("made", folder / "dangling");
  write_file(folder / "dangling", "x");
  CHECK(std::filesystem::is_symlink(folder / "dangling"));
  CHECK(read_file(folder / "made") == "x");
}

TEST_CASE("what cannot be written or read is said in one line", "[io]") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(AtomicFile(folder / "no/a"), "cannot write " + (folder / "no/a") + ": No such file or directory");
  CHECK_THROWS_WITH(AtomicFile("/dev/null"), "cannot write /dev/null: it exists and is not a plain file");
  CHECK_THROWS_AS(AtomicFile(folder / ""), IoError);
  CHECK_THROWS_AS(write_file("", "x"), IoError);
  CHECK_THROWS_WITH(read_file(folder / "a"), "cannot read " + (folder / "a") + ": No such file or directory");
  CHECK_THROWS_WITH(read_file(folder / ""), "cannot read " + (folder / "") + ": not a plain file");
  // A named pipe that nobody writes to must not hang the reader.
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_WITH(read_file(folder / "pipe"), "cannot read " + (folder / "pipe") + ": not a plain file");
  write_file(folder / "b", "12345");
  CHECK_THROWS_WITH(read_file(folder / "b", 4), ContainsSubstring("5 bytes, at most 4"));
}
