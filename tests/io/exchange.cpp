// Our side of the exchange of files with Python, which io/test_python.py drives:
//
//     exchange features                  which optional libraries this build has
//     exchange convert FROM TO           from one format into another, as the names end
//     exchange events FOLDER FIRST LAST  an event file with scalars for these steps, a histogram and an image
//
// A file of one tensor gives the tensor "x", a WAV file also "rate".

#include <cmath>
#include <iostream>
#include <map>

#include "io/events.hpp"
#include "io/idx.hpp"
#include "io/npy.hpp"
#include "io/png.hpp"
#include "io/safetensors.hpp"
#include "io/wav.hpp"
#include "ops/create.hpp"
#include "ops/ops.hpp"

using namespace cr;
using Tensors = std::map<std::string, Tensor>;

namespace {

Tensors read(const std::string& path) {
  if (path.ends_with(".npz")) return io::read_npz(path);
  if (path.ends_with(".npy")) return {{"x", io::read_npy(path)}};
  if (path.ends_with(".safetensors")) return io::load_safetensors(path).tensors;
  if (path.ends_with(".png")) return {{"x", io::read_png(path, {.scale = 1})}};
  if (path.ends_with(".wav")) {
    const io::Wav wav = io::read_wav(path);
    return {{"x", wav.samples}, {"rate", Tensor(wav.rate)}};
  }
  return {{"x", io::read_idx(path)}};
}

void write(const std::string& path, const Tensors& tensors) {
  if (path.ends_with(".deflated.npz")) io::write_npz(path, tensors, io::NpzCompression::deflated);
  else if (path.ends_with(".npz")) io::write_npz(path, tensors);
  else if (path.ends_with(".npy")) io::write_npy(path, tensors.at("x"));
  else if (path.ends_with(".safetensors")) io::save_safetensors(path, tensors);
  else if (path.ends_with(".png")) io::write_png(path, tensors.at("x"), 1);
  else if (path.ends_with(".float.wav"))
    io::write_wav(path, tensors.at("x"), tensors.at("rate").item<int64_t>(), io::WavType::float32);
  else if (path.ends_with(".wav")) io::write_wav(path, tensors.at("x"), tensors.at("rate").item<int64_t>());
  else io::write_idx(path, tensors.at("x"));
}

void write_events(const std::string& folder, int64_t first, int64_t last) {
  io::EventWriter writer(folder, first == 0 ? std::nullopt : std::optional(first));
  for (int64_t step = first; step <= last; ++step)
    writer.add_scalar("loss", std::exp(-0.1 * static_cast<double>(step)) + static_cast<double>(first), step,
                      1000. + step);
  writer.add_histogram("weights", tensor({-1., 0., 0.5, 1., 3.}), last, 4, 2000);
#if CHAINRULE_PNG
  writer.add_image("picture", arange(24).reshape({2, 4, 3}).to(DType::float32) / 255., last, 2000);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  try {
    if (arguments.size() == 1 && arguments[0] == "features") {
      if (CHAINRULE_LIBZIP) std::cout << "libzip ";
      if (CHAINRULE_PNG) std::cout << "libpng ";
      if (CHAINRULE_SNDFILE) std::cout << "libsndfile";
      std::cout << "\n";
    } else if (arguments.size() == 3 && arguments[0] == "convert") {
      write(arguments[2], read(arguments[1]));
    } else if (arguments.size() == 4 && arguments[0] == "events") {
      write_events(arguments[1], std::stoll(arguments[2]), std::stoll(arguments[3]));
    } else {
      std::cerr << "usage: exchange features | convert FROM TO | events FOLDER FIRST LAST\n";
      return 2;
    }
  } catch (const Error& error) {
    std::cerr << "exchange: " << error.what() << "\n";
    return 2;
  }
}
