#include "backend/simt/counts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cr::backend::simt {

LineCounts& LineCounts::operator+=(const LineCounts& o) {
  loads += o.loads, load_sectors += o.load_sectors;
  stores += o.stores, store_sectors += o.store_sectors;
  shared_requests += o.shared_requests, wavefronts += o.wavefronts;
  ideal_sectors += o.ideal_sectors, ideal_wavefronts += o.ideal_wavefronts;
  barriers += o.barriers, divergent += o.divergent, bytes += o.bytes;
  return *this;
}

LineCounts LineCounts::operator*(double scale) const {
  LineCounts c = *this;
  for (int64_t* n : {&c.loads, &c.load_sectors, &c.stores, &c.store_sectors, &c.shared_requests, &c.wavefronts,
                     &c.ideal_sectors, &c.ideal_wavefronts, &c.barriers, &c.divergent, &c.bytes}) {
    *n = std::llround(static_cast<double>(*n) * scale);
  }
  return c;
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

double Counts::intensity() const {
  const LineCounts all = total();
  return operations / (32 * static_cast<double>(std::max<int64_t>(1, all.load_sectors + all.store_sectors)));
}

std::string to_string(const Counts& counts) {
  if (!counts.checked) return "nothing counted: this build has no watcher\n";
  std::string text =
      fmt::format("{:<40} {:>12} {:>10} {:>8} {:>10} {:>10} {:>8} {:>9} {:>9}\n", "kernel, line", "loads+stores",
                  "sectors", "ideal", "shared", "wavefronts", "ideal", "barriers", "divergent");
  auto row = [&](const std::string& name, const LineCounts& c) {
    text += fmt::format("{:<40} {:>12} {:>10} {:>8} {:>10} {:>10} {:>8} {:>9} {:>9}\n", name, c.loads + c.stores,
                        c.load_sectors + c.store_sectors, c.ideal_sectors, c.shared_requests, c.wavefronts,
                        c.ideal_wavefronts, c.barriers, c.divergent);
  };
  std::string kernel;
  for (const LineCounts& c : counts.lines) {
    if (c.kernel != kernel) {
      kernel = c.kernel;
      row(kernel, counts.total(kernel));
    }
    const size_t slash = c.file.rfind('/');
    row("  " + (slash == std::string::npos ? c.file : c.file.substr(slash + 1)) + ":" + std::to_string(c.line), c);
  }
  if (counts.operations > 0)
    text += fmt::format("{:.4g} operations, {:.3g} for each byte of global memory\n", counts.operations,
                        counts.intensity());
  return text;
}

}  // namespace cr::backend::simt
