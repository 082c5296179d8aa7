// Only a GPU tells the time: seconds that it needs for what `f` launches, the
// fastest of several rounds after one that warms up.
#pragma once

#include <functional>

namespace attention::cuda {
double seconds(const std::function<void()>& f);
}
