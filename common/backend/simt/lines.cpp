#include "backend/simt/lines.hpp"

#include <cxxabi.h>
#include <elf.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <utility>

namespace cr::backend::simt {
namespace {

std::string own_path() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).string();
}

// The program itself comes first.
std::vector<Module> modules() {
  std::vector<Module> all;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        Module m{info->dlpi_name, info->dlpi_addr, {}};
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& header = info->dlpi_phdr[i];
          const uintptr_t low = info->dlpi_addr + header.p_vaddr;
          const Range range{low, low + header.p_memsz};
          if (header.p_type == PT_LOAD) m.segments.push_back({range, (header.p_flags & PF_W) != 0});
          if (header.p_type == PT_GNU_RELRO) m.segments.insert(m.segments.begin(), {range, false});
        }
        static_cast<std::vector<Module>*>(out)->push_back(std::move(m));
        return 0;
      },
      &all);
  if (!all.empty() && all[0].path.empty()) all[0].path = own_path();
  return all;
}

// Paths in debug information depend on where and how the program was built. A reader knows them from the root.
std::string from_root(const std::string& path) {
  std::string normal = std::filesystem::path(path).lexically_normal().string();
  size_t cut = std::string::npos;
  for (const char* folder : {"common/", "chapters/", "tests/"}) {
    size_t at = normal.rfind(folder);
    if (at == std::string::npos || (at > 0 && normal[at - 1] != '/')) continue;
    if (cut == std::string::npos || at < cut) cut = at;
  }
  if (cut != std::string::npos) normal.erase(0, cut);
  // The compiler may name the one-line file that includes a kernel source (common/cmake/gpu.cmake).
  if (normal.size() > 7 && normal.compare(normal.size() - 7, 7, ".cu.cpp") == 0) normal.erase(normal.size() - 4);
  return normal;
}

// CUDA's words, and what is said in their place: they belong to the kernel's line that uses them.
bool is_ours(const std::string& file) {
  return file.rfind("common/backend/simt/", 0) == 0 || file == "common/backend/gpu/async_copy.cuh" ||
         file == "common/backend/gpu/tensor_core.cuh";
}

// As one word of a shell's command.
std::string quoted(const std::string& text) {
  std::string word = "'";
  for (char c : text) {
    if (c == '\'') word += "'\\'";
    word += c;
  }
  return word + "'";
}

// What addr2line answers to `-ai`: for each address itself, then "file:line" of the innermost call and, further down,
// of those it was inlined into.
void ask(const std::string& path, const std::vector<uintptr_t>& addresses, std::vector<Line>& answers) {
  std::string command = "addr2line -ai -e ";
  command += quoted(path);
  char text[4096];
  for (uintptr_t a : addresses) {
    std::snprintf(text, sizeof text, " 0x%zx", static_cast<size_t>(a));
    command += text;
  }
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen((command + " 2>/dev/null").c_str(), "r"), pclose);
  if (!pipe) return;
  size_t next = 0;
  while (std::fgets(text, sizeof text, pipe.get())) {
    if (std::strncmp(text, "0x", 2) == 0) {
      ++next;
      continue;
    }
    const std::string answer(text);
    const size_t colon = answer.rfind(':');
    if (next == 0 || next > answers.size() || colon == std::string::npos || answer[0] == '?') continue;
    Line& line = answers[next - 1];
    if (line.line == 0 || is_ours(line.file))
      line = {from_root(answer.substr(0, colon)), std::atoi(answer.c_str() + colon + 1)};
  }
}

}  // namespace

std::vector<Line> lines_of(const std::vector<const void*>& return_addresses) {
  static thread_local std::map<const void*, Line> known;
  std::vector<const void*> unknown;
  for (const void* pc : return_addresses) {
    if (known.emplace(pc, Line{}).second) unknown.push_back(pc);
  }
  for (const Module& m : unknown.empty() ? std::vector<Module>{} : modules()) {
    std::vector<const void*> here;
    std::vector<uintptr_t> addresses;
    for (const void* pc : unknown) {
      const uintptr_t call = reinterpret_cast<uintptr_t>(pc) - 1;  // the last byte of the call
      if (!m.holds(call)) continue;
      here.push_back(pc);
      addresses.push_back(call - m.base);
    }
    constexpr size_t kAtOnce = 500;  // a command line has an end
    for (size_t i = 0; i < here.size(); i += kAtOnce) {
      const size_t n = std::min(kAtOnce, here.size() - i);
      std::vector<Line> answers(n);
      ask(m.path, {addresses.begin() + static_cast<long>(i), addresses.begin() + static_cast<long>(i + n)}, answers);
      for (size_t k = 0; k < n; ++k) known[here[i + k]] = answers[k];
    }
  }
  std::vector<Line> lines;
  for (const void* pc : return_addresses) lines.push_back(known[pc]);
  return lines;
}

std::string line_of(const void* return_address) {
  const Line line = lines_of({return_address})[0];
  if (line.line > 0) return line.file + ":" + std::to_string(line.line);
  char text[32];
  std::snprintf(text, sizeof text, "address %p", return_address);
  return text;
}

bool Module::holds(uintptr_t a) const {
  return std::any_of(segments.begin(), segments.end(), [&](const Segment& s) { return s.range.holds(a); });
}

Module module_of(uintptr_t a) {
  for (Module& m : modules()) {
    if (m.holds(a)) return std::move(m);
  }
  return {};
}

// The symbol table of an ELF file is a section of fixed-size entries, beside a section with the names. A variable that is
// local to a function is called _ZZ, the function's name, E, its own name. A function that declares one `__shared__` has a
// gap there too, and its variables without a value from the start are shared: the loader clears them, so that they take no
// place in the file. A variable that must be constructed has a guard, called _ZGV and so on.
Symbols symbols_of(const Module& module) {
  Symbols found;
  std::ifstream file(module.path, std::ios::binary);
  auto read = [&](auto* to, size_t count, uint64_t offset) {
    file.seekg(static_cast<std::streamoff>(offset));
    return static_cast<bool>(file.read(reinterpret_cast<char*>(to), static_cast<std::streamsize>(count * sizeof(*to))));
  };
  ElfW(Ehdr) header;
  if (!read(&header, 1, 0) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return found;
  std::vector<ElfW(Shdr)> sections(header.e_shnum);
  if (!read(sections.data(), sections.size(), header.e_shoff)) return found;
  std::set<std::string> functions, constructed;
  std::vector<SharedVariable> locals;
  for (const auto& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    std::vector<ElfW(Sym)> symbols(section.sh_size / sizeof(ElfW(Sym)));
    const auto& names_section = sections[section.sh_link];
    std::vector<char> names(names_section.sh_size + 1, 0);
    if (!read(symbols.data(), symbols.size(), section.sh_offset)) continue;
    if (!read(names.data(), names_section.sh_size, names_section.sh_offset)) continue;
    for (const auto& s : symbols) {
      if ((s.st_info & 0xf) != STT_OBJECT || s.st_shndx >= sections.size() || s.st_name >= names.size()) continue;
      const uintptr_t low = module.base + s.st_value;
      const Range range{low, low + s.st_size};
      found.variables.push_back(range);
      const char* name = names.data() + s.st_name;
      if (std::strncmp(name, "_ZGVZ", 5) == 0) constructed.insert(std::string("_Z") + (name + 4));
      if (std::strncmp(name, "_ZZ", 3) != 0 || sections[s.st_shndx].sh_type != SHT_NOBITS) continue;
      const char* gap = std::strstr(name, "cr_shared_guard_");
      locals.push_back({range, name, gap != nullptr});
      if (gap)
        functions.insert(
            locals.back().symbol.substr(0, locals.back().symbol.rfind('E', static_cast<size_t>(gap - name))));
    }
  }
  for (SharedVariable& v : locals) {
    size_t end = v.symbol.rfind('E');
    while (end != std::string::npos && end > 0 && !functions.count(v.symbol.substr(0, end)))
      end = v.symbol.rfind('E', end - 1);
    if (end == std::string::npos || end == 0) continue;
    v.constructed = constructed.count(v.symbol.substr(0, v.symbol.find('.'))) > 0;  // clang splits structs
    found.shared.push_back(v);
  }
  std::sort(found.shared.begin(), found.shared.end(),
            [](const auto& a, const auto& b) { return a.range.low < b.range.low; });
  std::sort(found.variables.begin(), found.variables.end(), [](Range a, Range b) { return a.low < b.low; });
  return found;
}

std::string demangled(const std::string& symbol) {
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status),
                                              std::free);
  return status == 0 && name ? name.get() : symbol;
}

}  // namespace cr::backend::simt
