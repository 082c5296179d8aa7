// # A training run that can be interrupted
//
// A loop over steps that shows its progress, saves a checkpoint now and then, saves one more on Ctrl-C, and under
// `--resume` starts where that one ended, with the same bits as if nothing had happened.
//
//     Training run = chapter.training("mnist", steps);
//     run.keep("model", model).keep("optimizer", opt).keep("batches", generator).keep("losses", losses);
//     for (int64_t step : run) {
//       Tensor loss = …;
//       opt.zero_grad(); loss.backward(); opt.step();
//       losses.push_back(loss.item());
//       run.show("loss", losses.back());
//     }
//
// Whatever the loop changes and later reads has to be kept; the rest of the story is run again, and its randomness
// comes from seeds. A step is whole or not done: Ctrl-C waits for its end, so a step should take seconds at most, say
// an epoch. Checkpoints lie in `OUT/checkpoint/`, one for each training, and are removed when the chapter has ended.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backend/generator.hpp"
#include "nn/fields.hpp"
#include "tensor/tensor.hpp"

namespace cr::book {

class Chapter;
struct ChapterState;

class Training {
 public:
  using Dict = std::map<std::string, Tensor>;

  Training(Training&&) noexcept;
  ~Training();

  // Keeps numbers, which are written at each checkpoint and put back in place on resume. Variables are kept by reference
  // and have to outlive the loop; so a tensor may be given another value, as by `w = w - lr * g`. Of a tensor that has no
  // name of its own, the handle is kept.
  Training& keep(const std::string& name, Tensor& tensor);
  Training& keep(const std::string& name, const Tensor& tensor);
  Training& keep(const std::string& name, double& number);
  Training& keep(const std::string& name, int64_t& number);
  Training& keep(const std::string& name, int& number);
  Training& keep(const std::string& name, std::vector<double>& numbers);
  Training& keep(const std::string& name, std::vector<float>& numbers);
  Training& keep(const std::string& name, std::vector<int64_t>& numbers);
  Training& keep(const std::string& name, Generator& generator);

  // A model: its tensors, and the generators of its layers, such as those of Dropout.
  template <nn::Model M> Training& keep(const std::string& name, M& model) {
    nn::visit_tensors(name, model, [&](const std::string& part, auto& tensor) { keep(part, tensor); });
    nn::visit_all<Generator>(name, model, [&](const std::string& part, auto& generator) {
      if constexpr (!std::is_const_v<std::remove_reference_t<decltype(generator)>>) keep(part, generator);
    });
    return *this;
  }

  // A state dict: anything that lists names and tensors.
  template <class Named>
    requires requires(const Named& d) {
      std::string(d.begin()->first);
      Tensor(d.begin()->second);
    }
  Training& keep(const std::string& name, const Named& dict) {
    for (const auto& [key, tensor] : dict) keep(name + "." + std::string(key), Tensor(tensor));
    return *this;
  }

  // An optimiser: anything that gives its state and takes one back.
  template <class Stateful>
    requires requires(Stateful& s) { s.load_state_dict(s.state_dict()); }
  Training& keep(const std::string& name, Stateful& stateful) {
    using Theirs = decltype(stateful.state_dict());
    return keep(
        name,
        [&stateful] {
          auto state = stateful.state_dict();
          return Dict(state.begin(), state.end());
        },
        [&stateful](const Dict& saved) { stateful.load_state_dict(Theirs(saved.begin(), saved.end())); });
  }

  // Anything else, as two functions: one gives the tensors to save, the other takes them back.
  Training& keep(const std::string& name, std::function<Dict()> save, std::function<void(const Dict&)> load);

  // The number shown beside the progress; with --tensorboard every one of them is kept, and `tensorboard --logdir OUT`
  // draws them.
  void show(std::string_view name, double value);

  // For `for (int64_t step : run)`. `begin` reads the checkpoint, if there is one to resume; each step's end saves one
  // when it is due. Throw IoError when a checkpoint is damaged or cannot be written, Interrupted after Ctrl-C.
  class Step {
   public:
    ~Step();
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    int64_t operator*() const;
    Step& operator++();
    bool operator!=(const Step& end) const;

   private:
    friend class Training;
    explicit Step(Training* run) : run_(run) {}
    Training* run_;
  };
  Step begin();
  Step end() { return Step(nullptr); }

 private:
  friend class Chapter;
  struct State;
  Training(ChapterState& chapter, const std::string& name, int64_t total, const std::string& unit);
  std::unique_ptr<State> state_;
};

}  // namespace cr::book

namespace cr {
using book::Training;
}
