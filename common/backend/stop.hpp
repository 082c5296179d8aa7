// # Where a long computation can be stopped
//
// The emulator calls this, if it is set, before each block that a thread launches: a kernel can take minutes. What it throws
// ends the launch.
#pragma once

namespace cr::backend {
inline thread_local void (*stop_here)() = nullptr;
}
