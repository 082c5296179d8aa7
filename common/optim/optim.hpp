// # Optimisers
//
// An optimiser holds the parameters it updates and whatever it remembers about them. One step: `zero_grad()`, compute
// the loss, `loss.backward()`, `step()`. A parameter without gradient is left alone.
//
//     optim::AdamW opt(parameters(model), {.lr = 1e-3});
//     optim::WarmupCosine schedule(opt, 100, 10000);
//     for (…) {
//       opt.zero_grad();
//       loss(model).backward();
//       optim::clip_grad_norm_(opt.parameters(), 1.0);
//       opt.step();
//       schedule.step();
//     }
#pragma once

#include "optim/adagrad.hpp"
#include "optim/adam.hpp"
#include "optim/clip.hpp"
#include "optim/rmsprop.hpp"
#include "optim/schedule.hpp"
#include "optim/sgd.hpp"
