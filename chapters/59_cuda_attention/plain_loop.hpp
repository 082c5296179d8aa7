// The definition, in three loops and float64, for one head after the other. It is
// slow and short, and that is what a reference should be: the test holds the rungs
// and the library against it.
#pragma once

#include <cmath>
#include <vector>

#include "the_call.hpp"

struct Plain {
  std::vector<double> o, row_log;
};

inline Plain plain_loop(const AttentionSizes& s, const std::vector<double>& q,
                        const std::vector<double>& k,
                        const std::vector<double>& v) {
  Plain result;
  for (int64_t head = 0; head < s.batch * s.heads; ++head)
    for (int64_t i = 0; i < s.queries; ++i) {
      // Where this query begins, and the keys of its head.
      const double* query = &q[size_t((head * s.queries + i) * s.width)];
      const size_t keys = size_t(kv_head_of(s, head) * s.keys * s.width),
                   width = size_t(s.width);
      std::vector<double> weight, out(width);

      // The weights, not yet divided. Scores are small here, so nothing overflows
      // and no maximum is needed.
      double sum = 0;
      for (size_t j = 0; j < size_t(seen_by(s, i)); ++j) {
        double dot = 0;
        for (size_t d = 0; d < width; ++d)
          dot += query[d] * k[keys + j * width + d];
        weight.push_back(std::exp(dot / std::sqrt(double(width))));
        sum += weight.back();
      }

      // The mean of the values.
      for (size_t j = 0; j < weight.size(); ++j)
        for (size_t d = 0; d < width; ++d)
          out[d] += weight[j] / sum * v[keys + j * width + d];
      result.o.insert(result.o.end(), out.begin(), out.end());
      result.row_log.push_back(std::log(sum));
    }
  return result;
}
