// Something to hash: a comment does not count, the line below does.

inline constexpr int kTiny = 98;  // and this comment does
