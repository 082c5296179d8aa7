#include "book/training.hpp"

#include <fmt/format.h>

#include <cctype>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "backend/generator.hpp"
#include "book/chapter_state.hpp"
#include "io/checkpoint.hpp"
#include "io/events.hpp"

namespace cr::book {

using json = nlohmann::ordered_json;

// Something kept: how to read it and how to put it back.
struct Entry {
  std::string name;
  std::function<Training::Dict()> save;
  std::function<void(const Training::Dict&)> load;
};

// What a checkpoint must agree with, or resuming would mix two runs.
static json run_identity(const ChapterState& chapter) {
  const Options& o = chapter.options;
  json own = json::object();
  for (const auto& option : o.own) std::visit([&](const auto& v) { own[option.first] = v; }, option.second.is);
  return {{"chapter", full_name(chapter.info)}, {"size", book::name(o.size)}, {"seed", o.seed},
          {"device", cr::name(o.device)},       {"break", o.broken},          {"options", own}};
}

static void compare(const json& theirs, const json& ours, const std::string& path) {
  for (const auto& [what, value] : ours.items()) {
    json other = theirs.value(what, json());
    if (other != value) {
      throw UsageError(fmt::format(
          "--resume: {} belongs to another run ({} {}, here {}); give the same options or leave out --resume", path,
          what, other.dump(), value.dump()));
    }
  }
}

// Damaged ones are not judged here: the training they belong to may have a good one.
void check_checkpoints(const ChapterState& chapter) {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(chapter.options.out / "checkpoint", none)) {
    json metadata;
    try {
      metadata = json::parse(io::load_checkpoint(entry.path().string()).json, nullptr, false);
    } catch (const Error&) {
    }
    if (metadata.is_object() && metadata.contains("run") && metadata["run"].is_object())
      compare(metadata["run"], run_identity(chapter), entry.path().string());
  }
}

struct Training::State {
  ChapterState* chapter;
  std::string name, unit;
  io::CheckpointSeries checkpoints;
  int64_t total = 0, step = 0;
  bool begun = false;
  std::vector<Entry> entries;
  double started = 0;
  Progress progress;
  std::unique_ptr<io::EventWriter> events;  // for --tensorboard

  static std::string key(const std::string& name, const std::string& part) {
    return part.empty() ? name : name + "." + part;
  }

  void save() {
    if (entries.empty()) return;
    std::map<std::string, Tensor> tensors;
    for (const Entry& entry : entries) {
      for (const auto& [part, tensor] : entry.save()) tensors.emplace(key(entry.name, part), tensor.detach());
    }
    json run = run_identity(*chapter);
    run["training"] = name, run[unit] = total;
    json metadata = {{"run", run}, {"step", step}};
    checkpoints.save(step, {std::move(tensors), metadata.dump()});
    chapter->saved = true;
    chapter->last_checkpoint = chapter->seconds();
  }

  // Puts back what the last good checkpoint has; false if there never was one.
  bool load() {
    if (checkpoints.steps().empty()) return false;
    std::string damaged;
    auto found = checkpoints.load([&](const std::string& why) {
      put(fmt::format("  not usable: {}\n", why));
      damaged = why;
    });
    if (!found) throw IoError(fmt::format("--resume: {}; no good one is left, so leave out --resume", damaged));
    io::Checkpoint& saved = found->checkpoint;
    json metadata = json::parse(saved.json, nullptr, false);
    if (!metadata.is_object() || !metadata.contains("run") || !metadata.contains("step") ||
        !metadata["run"].is_object() || !metadata["step"].is_number_integer())
      throw IoError(
          fmt::format("--resume: {} is not a checkpoint of a chapter; remove it or leave out --resume", found->path));
    compare(metadata["run"], {{"training", name}, {unit, total}}, found->path);
    for (const Entry& entry : entries) {
      Dict parts;
      for (const auto& [full, tensor] : saved.tensors) {
        if (full == entry.name) parts.emplace("", tensor);
        else if (full.starts_with(entry.name + ".")) parts.emplace(full.substr(entry.name.size() + 1), tensor);
      }
      entry.load(parts);
    }
    step = metadata["step"].get<int64_t>();
    chapter->saved = chapter->resumed = true;
    return true;
  }
};

std::string checkpoint_name(const std::string& training) {
  std::string file = training;
  for (char& c : file) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_' && c != '.') c = '_';
  }
  return file;
}

Training::Training(ChapterState& chapter, const std::string& name, int64_t total, const std::string& unit) {
  const std::string file = checkpoint_name(name);
  state_ = std::make_unique<State>(State{&chapter,
                                         name,
                                         unit,
                                         io::CheckpointSeries((chapter.options.out / "checkpoint").string(), file),
                                         total,
                                         0,
                                         false,
                                         {},
                                         0,
                                         Progress(name, total, unit),
                                         nullptr});
}
Training::Training(Training&&) noexcept = default;
Training::~Training() = default;

// ## What is kept
Training& Training::keep(const std::string& name, std::function<Dict()> save, std::function<void(const Dict&)> load) {
  if (state_->begun)
    throw std::logic_error("training " + state_->name + ": keep(\"" + name + "\") comes after the loop has begun");
  for (const Entry& entry : state_->entries) {
    if (entry.name == name || entry.name.starts_with(name + ".") || name.starts_with(entry.name + ".")) {
      throw std::logic_error("training " + state_->name + ": \"" + name + "\" is kept as \"" + entry.name + "\" too");
    }
  }
  state_->entries.push_back({name, std::move(save), std::move(load)});
  return *this;
}

static const Tensor& only(const Training::Dict& parts, const std::string& name) {
  auto found = parts.find("");
  if (found == parts.end())
    throw IoError(fmt::format("--resume: the checkpoint has no \"{}\"; leave out --resume", name));
  return found->second;
}

static void put_back(const std::string& name, const Tensor& tensor, const Training::Dict& parts) {
  const Tensor& saved = only(parts, name);
  if (!tensor.defined() || saved.shape() != tensor.shape() || saved.dtype() != tensor.dtype()) {
    const std::string here =
        tensor.defined() ? fmt::format("{} {}", cr::name(tensor.dtype()), to_string(tensor.shape())) : "undefined";
    throw IoError(fmt::format("--resume: the checkpoint's \"{}\" is {} {}, here it is {}; leave out --resume", name,
                              cr::name(saved.dtype()), to_string(saved.shape()), here));
  }
  tensor.detach().copy_(saved);
}

// A variable may have been given another tensor since, as by `w = w - lr * g`: then it is given one on resume too. As
// long as it has not, its numbers are put back into the memory it has, which an optimiser knows.
Training& Training::keep(const std::string& name, Tensor& tensor) {
  return keep(
      name,
      [&tensor, first = tensor] {
        if (!tensor.defined()) return Dict{};
        const bool same = first.defined() && first.impl()->storage.get() == tensor.impl()->storage.get();
        return Dict{{same ? "" : "new value", tensor}};
      },
      [&tensor, name](const Dict& parts) {
        if (auto value = parts.find("new value"); value != parts.end()) {
          const bool grad = tensor.defined() && tensor.requires_grad();
          tensor = value->second.to(tensor.defined() ? tensor.device() : Device::cpu).requires_grad_(grad);
        } else if (tensor.defined() || !parts.empty()) {
          put_back(name, tensor, parts);
        }
      });
}

Training& Training::keep(const std::string& name, const Tensor& tensor) {
  return keep(
      name,
      [tensor] {
        return tensor.defined() ? Dict{{"", tensor}} : Dict{};
      },
      [tensor, name](const Dict& parts) {
        if (tensor.defined()) put_back(name, tensor, parts);
      });
}

// C++ numbers travel as tensors too, bit for bit.
template <class Stored, class T> static Tensor to_tensor(const std::vector<T>& numbers) {
  Tensor x = empty({static_cast<int64_t>(numbers.size())}, dtype_of<Stored>);
  Stored* out = x.mutable_data<Stored>();
  for (size_t i = 0; i < numbers.size(); ++i) out[i] = static_cast<Stored>(numbers[i]);
  return x;
}

template <class Stored, class T>
static Training& keep_numbers(Training& run, const std::string& name, std::function<std::vector<T>()> get,
                              std::function<void(std::vector<T>)> set) {
  return run.keep(
      name,
      [get] {
        return Training::Dict{{"", to_tensor<Stored>(get())}};
      },
      [set, name](const Training::Dict& parts) {
        const Tensor& saved = only(parts, name);
        if (saved.dtype() != dtype_of<Stored>)
          throw IoError(fmt::format("--resume: the checkpoint's \"{}\" is {}; leave out --resume", name,
                                    cr::name(saved.dtype())));
        auto numbers = saved.span<Stored>();
        set(std::vector<T>(numbers.begin(), numbers.end()));
      });
}

template <class Stored, class T> static Training& keep_number(Training& run, const std::string& name, T& number) {
  return keep_numbers<Stored, T>(
      run, name, [&number] { return std::vector<T>{number}; }, [&number](std::vector<T> v) { number = v.at(0); });
}

template <class Stored, class T>
static Training& keep_list(Training& run, const std::string& name, std::vector<T>& numbers) {
  return keep_numbers<Stored, T>(
      run, name, [&numbers] { return numbers; }, [&numbers](std::vector<T> v) { numbers = std::move(v); });
}

Training& Training::keep(const std::string& name, double& number) { return keep_number<double>(*this, name, number); }
Training& Training::keep(const std::string& name, int64_t& number) { return keep_number<int64_t>(*this, name, number); }
Training& Training::keep(const std::string& name, int& number) { return keep_number<int64_t>(*this, name, number); }
Training& Training::keep(const std::string& name, std::vector<double>& numbers) {
  return keep_list<double>(*this, name, numbers);
}
Training& Training::keep(const std::string& name, std::vector<float>& numbers) {
  return keep_list<float>(*this, name, numbers);
}
Training& Training::keep(const std::string& name, std::vector<int64_t>& numbers) {
  return keep_list<int64_t>(*this, name, numbers);
}

Training& Training::keep(const std::string& name, Generator& generator) {
  return keep_numbers<int64_t, int64_t>(
      *this, name,
      [&generator] {
        const RandomState& s = generator.state();
        return std::vector<int64_t>{static_cast<int64_t>(s.seed), static_cast<int64_t>(s.stream),
                                    static_cast<int64_t>(s.position)};
      },
      [&generator](std::vector<int64_t> s) {
        generator.set_state(
            {static_cast<uint64_t>(s.at(0)), static_cast<uint64_t>(s.at(1)), static_cast<uint64_t>(s.at(2))});
      });
}

void Training::show(std::string_view name, double value) {
  state_->progress.show(name, value);
  if (state_->events) state_->events->add_scalar(std::string(name), value, state_->step);
}

// ## The loop
Training::Step Training::begin() {
  State& s = *state_;
  if (s.begun) throw std::logic_error("training " + s.name + ": a run is looped over once");
  s.begun = true;
  if (s.chapter->options.resume && s.load()) {
    put(fmt::format("  resumed {} at {} {} of {}\n", s.name, s.unit, s.step, s.total));
  }
  // Of an older run in this folder, what begins at our first step or later is no longer drawn.
  if (s.chapter->options.tensorboard) {
    const std::filesystem::path folder = s.chapter->options.out / "tensorboard" / s.checkpoints.name();
    s.events = std::make_unique<io::EventWriter>(folder.string(), s.step);
  }
  s.progress.begin_at(s.step);
  s.started = s.chapter->seconds();
  if (s.step >= s.total) return Step(nullptr);
  enter_training();
  return Step(this);
}

int64_t Training::Step::operator*() const { return run_->state_->step; }
bool Training::Step::operator!=(const Step& end) const { return run_ != end.run_; }

// The loop is left: through its end, by `break`, or by what its body throws.
Training::Step::~Step() {
  if (run_) leave_training();
}

Training::Step& Training::Step::operator++() {
  State& s = *run_->state_;
  ++s.step;
  s.progress.count(s.step);
  double now = s.chapter->seconds();
  bool over = s.step >= s.total;
  // What has ended is kept as well, if it took a moment: a chapter that trains twenty times resumes at the
  // twenty-first.
  bool due = now - s.chapter->last_checkpoint >= s.chapter->options.checkpoint_every || (over && now - s.started >= 1);
  if (due || interrupted()) s.save();
  // Also out of a loop around this one: its step has not come to its end and must not be saved as if it had.
  if (interrupted()) throw Interrupted{interrupted()};
  if (over) {
    leave_training();
    run_ = nullptr;
  }
  return *this;
}

}  // namespace cr::book
