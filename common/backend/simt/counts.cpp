#include "backend/simt/counts.hpp"

namespace cr::backend::simt {

LineCounts& LineCounts::operator+=(const LineCounts& o) {
  loads += o.loads, load_sectors += o.load_sectors;
  stores += o.stores, store_sectors += o.store_sectors;
  shared_requests += o.shared_requests, wavefronts += o.wavefronts;
  ideal_sectors += o.ideal_sectors, ideal_wavefronts += o.ideal_wavefronts;
  barriers += o.barriers, divergent += o.divergent, bytes += o.bytes;
  return *this;
}

LineCounts Counts::total(const std::string& kernel) const {
  LineCounts sum;
  for (const LineCounts& l : lines) {
    if (kernel.empty() || l.kernel == kernel) sum += l;
  }
  sum.kernel = kernel;
  return sum;
}

LineCounts Counts::at(const std::string& file, int line) const {
  LineCounts sum;
  for (const LineCounts& l : lines) {
    if (l.line == line && l.file.size() >= file.size() &&
        l.file.compare(l.file.size() - file.size(), file.size(), file) == 0)
      sum += l;
  }
  sum.file = file, sum.line = line;
  return sum;
}

Counts count(const std::function<void()>& f, const CountOptions&) {
  f();
  return {};
}

std::string to_string(const Counts& counts) {
  return counts.checked ? "" : "nothing counted: this build has no watcher\n";
}

}  // namespace cr::backend::simt
